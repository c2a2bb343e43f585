"""Adversarial losses: pairs of pure functions of D's logits, for D and for G.

Logits are float `[B, 1]` (or any shape), unbounded, and are converted to fp32. Losses are scalars to minimise. A real
and a fake logit at the same position form a pair.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of D and G.

    `discriminator(real_logits, fake_logits)` is D's loss. `generator(fake_logits, real_logits)` is G's; `real_logits`
    is a function, which only losses that compare fake with real logits call. `term` names D's loss in reports; a
    `d_loss` near 0 means that D is never wrong.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Callable[[], Tensor]], Tensor]
    term: str = "d_loss"


def bce(logits: Tensor, target: float) -> Tensor:
    """Return the mean binary cross-entropy of `sigmoid(logits)` and one constant `target` in [0, 1], in nats.

    softplus(x) − target·x is the stable form of −t·log σ(x) − (1−t)·log(1−σ(x)). For the targets 0 and 1 it is
    softplus(±x), which takes fewer operations.
    """
    logits = logits.float()
    if target == 0:
        return F.softplus(logits).mean()
    if target == 1:
        return F.softplus(-logits).mean()
    return (F.softplus(logits) - target * logits).mean()


def discriminator(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    """Return −E log D(x) − E log(1 − D(G(z))) (Goodfellow et al. 2014, Algorithm 1).

    A `real_target` below 1 is one-sided label smoothing (Salimans et al. 2016, section 3.4).
    """
    return bce(real_logits, real_target) + bce(fake_logits, 0.0)


def non_saturating(fake_logits: Tensor) -> Tensor:
    """Return −E log D(G(z)), G's loss that has a gradient early in training (Goodfellow et al. 2014, section 3)."""
    return bce(fake_logits, 1.0)


def relativistic(higher: Tensor, lower: Tensor) -> Tensor:
    """Return E softplus(lower − higher) over pairs of logits, the loss of the side that wants `higher` to be the higher
    one (Jolicoeur-Martineau 2018; Huang et al. 2024, equation 2)."""
    return F.softplus(lower.float() - higher.float()).mean()


def hinge(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))) (Lim & Ye 2017, section 3)."""
    return F.relu(1 - real_logits.float()).mean() + F.relu(1 + fake_logits.float()).mean()


def least_squares(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return ½·E(D(x) − 1)² + ½·E D(G(z))² (Mao et al. 2017, equation 9)."""
    return ((real_logits.float() - 1).square().mean() + fake_logits.float().square().mean()) / 2


def wasserstein(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E D(G(z)) − E D(x) (Arjovsky et al. 2017, equation 3), which needs a bound on D's gradient, such as
    `--gp`."""
    return fake_logits.float().mean() - real_logits.float().mean()


LOSSES: Mapping[str, AdversarialLoss] = MappingProxyType({
    "non-saturating": AdversarialLoss(discriminator, lambda fake, _: non_saturating(fake)),
    "relativistic": AdversarialLoss(relativistic, lambda fake, real: relativistic(fake, real())),
    "hinge": AdversarialLoss(hinge, lambda fake, _: -fake.float().mean()),
    "least-squares": AdversarialLoss(least_squares, lambda fake, _: (fake.float() - 1).square().mean() / 2),
    "wasserstein": AdversarialLoss(wasserstein, lambda fake, _: -fake.float().mean(), "distance"),
})  # fmt: skip


def d_probabilities(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """Return the terms `d_real` and `d_fake`: the means of σ(logits), in [0, 1], which D assigns to real and to fake
    images (1 = real). Detached."""
    logits = {"d_real": real_logits, "d_fake": fake_logits}
    return {term: torch.sigmoid(each.detach().float()).mean() for term, each in logits.items()}
