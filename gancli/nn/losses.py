"""Pure functions of logits: `logits -> scalar to minimise`. Logits are float `[B, 1]` (any shape), unbounded."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

PENALISED_SHARE = 8


def bce(logits: Tensor, target: float) -> Tensor:
    """Mean binary cross-entropy of `sigmoid(logits)` against one constant `target` in [0, 1], in nats.

    softplus(x) − target·x: the stable form of −t·log σ(x) − (1−t)·log(1−σ(x)), always in fp32. For the targets 0 and 1 that
    is softplus(±x), in fewer operations.
    """
    logits = logits.float()
    if target == 0:
        return F.softplus(logits).mean()
    if target == 1:
        return F.softplus(-logits).mean()
    return (F.softplus(logits) - target * logits).mean()


def discriminator(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    """−log D(x) − log(1 − D(G(z))): Goodfellow et al. 2014, Algorithm 1.

    `real_target` below 1 smooths the real side only (Salimans et al. 2016, section 3.4).
    """
    return bce(real_logits, real_target) + bce(fake_logits, 0.0)


def non_saturating(fake_logits: Tensor) -> Tensor:
    """−log D(G(z)): the generator's loss that keeps a gradient early on (Goodfellow et al. 2014, section 3)."""
    return bce(fake_logits, 1.0)


def probability(logits: Tensor) -> Tensor:
    """Mean of σ(logits), detached: what D believes on average, in [0, 1]; for reports."""
    return torch.sigmoid(logits.detach().float()).mean()


class Penalised(NamedTuple):
    """The part of a batch (of `whole` pictures) that a penalty is taken on: its first `size` pictures. `weight`: what their
    mean counts for; 1, but of a process among several."""

    size: int
    whole: int
    weight: float = 1.0

    def of(self, batch: Tensor) -> Tensor:
        return batch[: self.size]


def penalised(batch: Tensor) -> Penalised:
    """The first eighth of a batch (at least one): R1 on it costs an eighth, and is right on average, since batches are
    shuffled. Of a batch that several processes share, the whole batch's eighth: `AsOneBatch` overrides this function."""
    if has_torch_function_unary(batch):
        chosen: Penalised = handle_torch_function(penalised, (batch,), batch)
        return chosen
    return Penalised(eighth(len(batch)), len(batch))


def eighth(batch_size: int) -> int:
    """How many pictures of a whole batch are penalised."""
    return max(1, batch_size // PENALISED_SHARE)


def r1(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """½·E‖∇D(x)‖² at real pictures, float `[B, C, H, W]`: the zero-centred penalty of Mescheder et al. 2018, section 4.1.

    Always in fp32: squared gradients are too small for half precision.
    """
    with torch.autocast(real.device.type, enabled=False):
        leaf = real.detach().float().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(leaf).sum(), leaf, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean() / 2
