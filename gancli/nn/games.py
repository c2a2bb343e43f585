"""The games that D and G may play: each a pair of pure functions of logits, chosen by name in one place.

Logits are float `[B, 1]` (any shape), unbounded, and taken in fp32; losses are scalars to minimise. A real and a fake logit
at the same place are a pair. `Penalties` are what D's gradient may cost beside.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli.nn import losses

Judge = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Game:
    """`discriminator(real_logits, fake_logits)`; `generator(fake_logits, real)`, where `real()` gives D's logits of real
    pictures to a game that compares with them. `term`: what D's loss is called in reports: `d_loss` near 0 says that D is
    never wrong."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Callable[[], Tensor]], Tensor]
    term: str = "d_loss"


def relativistic(more_real: Tensor, less_real: Tensor) -> Tensor:
    """E softplus(−(a − b)): how far the logits a are from being the larger ones of their pairs (Jolicoeur-Martineau 2018;
    Huang et al. 2024, equation 2)."""
    return F.softplus(less_real.float() - more_real.float()).mean()


def hinge(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))): Lim & Ye 2017, section 3."""
    return F.relu(1 - real_logits.float()).mean() + F.relu(1 + fake_logits.float()).mean()


def least_squares(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½·E(D(x) − 1)² + ½·E D(G(z))²: Mao et al. 2017, equation 9."""
    return ((real_logits.float() - 1).square().mean() + fake_logits.float().square().mean()) / 2


def wasserstein(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E D(G(z)) − E D(x): Arjovsky et al. 2017, equation 3; it needs a bound on D's gradient, such as `--gp`."""
    return fake_logits.float().mean() - real_logits.float().mean()


GAMES: Mapping[str, Game] = MappingProxyType({
    "non-saturating": Game(losses.discriminator, lambda fake, _: losses.non_saturating(fake)),
    "relativistic": Game(relativistic, lambda fake, real: relativistic(fake, real())),
    "hinge": Game(hinge, lambda fake, _: -fake.float().mean()),
    "least-squares": Game(least_squares, lambda fake, _: (fake.float() - 1).square().mean() / 2),
    "wasserstein": Game(wasserstein, lambda fake, _: -fake.float().mean(), "distance"),
})  # fmt: skip


@dataclass(frozen=True)
class Penalties:
    """Weights: `r1` and `r2` of ½·E‖∇D‖² at real and at fake pictures (Mescheder et al. 2018, section 4.1; 0: none), `gp` of
    E(‖∇D‖ − 1)² between them (Gulrajani et al. 2017, equation 3)."""

    r1: float = 0.0
    r2: float = 0.0
    gp: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.r1 or self.r2 or self.gp)

    def of(self, judge: Judge, real: Tensor, fake: Tensor, share: losses.Penalised) -> Tensor | float:
        """The weighted sum of them for a D, at the `share` of a batch's pictures, float `[b, C, H, W]`, real and fake."""
        found = []
        if self.r1:
            found.append(losses.r1(judge, real) * (self.r1 * share.weight))
        if self.r2:
            found.append(losses.r1(judge, fake) * (self.r2 * share.weight))
        if self.gp:
            # For the whole batch: processes that take unequal parts of it must draw alike.
            between = share.of(torch.rand(share.whole, 1, 1, 1, device=real.device))
            found.append(gradient_penalty(judge, real, fake, between) * (self.gp * share.weight))
        return functools.reduce(torch.add, found) if found else 0.0


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor, between: Tensor) -> Tensor:
    """E(‖∇D(x)‖ − 1)² at points x between real and fake pictures, float `[B, C, H, W]` both: at fake ones where `between`,
    float `[B, 1, 1, 1]`, is 0, at real ones where it is 1. In fp32 or finer always."""
    with torch.autocast(real.device.type, enabled=False):
        points = torch.lerp(fake.detach().float(), real.detach().float(), between.float()).requires_grad_()
        (gradient,) = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
        # Never 0 inside the root, where its gradient would not be finite.
        return ((gradient.square().flatten(1).sum(1) + 1e-12).sqrt() - 1).square().mean()
