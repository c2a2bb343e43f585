"""Gradient penalties on D, computed on an eighth of each batch.

`d` is a function of images, float `[b, C, H, W]`, that returns their logits, float `[b, 1]`. Penalties are scalars,
always computed in fp32: squared gradients are too small for half precision.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

ONE_IN = 8
LogitsOf = Callable[..., Tensor]


class PenaltySubset(NamedTuple):
    """The subset of a batch that penalties are computed on: its first `size` images, of `whole`. `weight`: the factor of
    their mean; 1 unless several processes share the batch."""

    size: int
    whole: int
    weight: float = 1.0

    def of(self, batch: Tensor) -> Tensor:
        """Return the subset of a tensor `[B, …]`."""
        return batch[: self.size]


def penalty_subset(batch: Tensor) -> PenaltySubset:
    """Return the first eighth of a batch (at least one image). The penalty costs an eighth, and its mean is unbiased, as
    batches are shuffled. If several processes share a batch, `AsOneBatch` overrides this function."""
    if has_torch_function_unary(batch):
        subset: PenaltySubset = handle_torch_function(penalty_subset, (batch,), batch)
        return subset
    return PenaltySubset(penalty_subset_size(len(batch)), len(batch))


def penalty_subset_size(batch_size: int) -> int:
    """Return the number of images, of all processes together, that penalties are computed on."""
    return max(1, batch_size // ONE_IN)


def r1(d: LogitsOf, images: Tensor) -> Tensor:
    """Return ½·E‖∇D(x)‖² at images x: the zero-centred penalty of Mescheder et al. 2018, section 4.1 (R1 for real
    images, R2 for fake ones)."""
    with torch.autocast(images.device.type, enabled=False):
        leaf = images.detach().float().requires_grad_()
        (gradient,) = torch.autograd.grad(d(leaf).sum(), leaf, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean() / 2


def gradient_penalty(d: LogitsOf, real: Tensor, fake: Tensor, fraction: Tensor) -> Tensor:
    """Return E(‖∇D(x)‖ − 1)² at images x between `fake` and `real` (Gulrajani et al. 2017, equation 3). `fraction`: float
    `[b, 1, 1, 1]`, 0 at the fake image and 1 at the real one."""
    with torch.autocast(real.device.type, enabled=False):
        points = torch.lerp(fake.detach().float(), real.detach().float(), fraction.float()).requires_grad_()
        (gradient,) = torch.autograd.grad(d(points).sum(), points, create_graph=True)
        # The root has no finite gradient at 0.
        return ((gradient.square().flatten(1).sum(1) + 1e-12).sqrt() - 1).square().mean()


@dataclass(frozen=True)
class Penalties:
    """The weights of the optional gradient penalties: `r1` and `r2` at real and at fake images, `gp` between them.
    False if all are 0."""

    r1: float = 0.0
    r2: float = 0.0
    gp: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.r1 or self.r2 or self.gp)

    def __call__(self, d: LogitsOf, real: Tensor, fake: Tensor, *conditions: Tensor | None) -> Tensor | float:
        """Return the weighted sum of the penalties on the subset of a batch; 0.0 if all weights are 0. `d(images,
        *conditions)` returns logits; conditions are `[B, …]`, such as labels, or None."""
        if not self:
            return 0.0
        subset = penalty_subset(real)
        given = [None if condition is None else subset.of(condition) for condition in conditions]
        return self.on_subset(lambda images: d(images, *given), subset.of(real), subset.of(fake), subset)

    def on_subset(self, d: LogitsOf, real: Tensor, fake: Tensor, subset: PenaltySubset) -> Tensor | float:
        """Return the weighted sum of the penalties at images that are the `subset` of a batch."""
        terms = []
        if self.r1:
            terms.append(r1(d, real) * (self.r1 * subset.weight))
        if self.r2:
            terms.append(r1(d, fake) * (self.r2 * subset.weight))
        if self.gp:
            # Drawn for the whole batch: processes that take unequal parts of it must draw the same numbers.
            fraction = subset.of(torch.rand(subset.whole, 1, 1, 1, device=real.device))
            terms.append(gradient_penalty(d, real, fake, fraction) * (self.gp * subset.weight))
        return functools.reduce(torch.add, terms) if terms else 0.0
