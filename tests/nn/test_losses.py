"""Losses against their definitions in float64."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gancli.nn import losses

logits = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=8)


def reference(values: list[float], target: float) -> float:
    """−t·log σ(x) − (1−t)·log(1−σ(x)), as the textbook writes it."""
    total = 0.0
    for x in values:
        p = 1 / (1 + math.exp(-x))
        q = 1 / (1 + math.exp(x))
        total += -target * math.log(p) - (1 - target) * math.log(q)
    return total / len(values)


@given(logits, st.floats(0, 1))
def test_bce_is_the_cross_entropy_of_the_sigmoid(values: list[float], target: float) -> None:
    assert losses.bce(torch.tensor(values), target).item() == pytest.approx(
        reference(values, target), rel=1e-4, abs=1e-5
    )


@given(logits, logits, st.floats(0.5, 1))
def test_discriminator_loss_smooths_only_the_real_side(real: list[float], fake: list[float], target: float) -> None:
    expected = reference(real, target) + reference(fake, 0.0)
    found = losses.discriminator(torch.tensor(real), torch.tensor(fake), target).item()
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_losses_stay_finite_and_keep_a_gradient_far_out() -> None:
    far = torch.tensor([[-1e4], [1e4]], requires_grad=True)
    loss = losses.non_saturating(far)
    (gradient,) = torch.autograd.grad(loss, far)
    assert torch.isfinite(loss)
    assert gradient.flatten().tolist() == pytest.approx([-0.5, 0.0])


def test_half_precision_logits_are_reduced_in_fp32() -> None:
    assert losses.bce(torch.full((4096,), 0.1, dtype=torch.bfloat16), 1.0).dtype == torch.float32
