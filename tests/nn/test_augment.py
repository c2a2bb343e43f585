"""DiffAugment: changes that gradients flow through."""

import pytest
import torch

from gancli.nn.augment import POLICIES, diff_augment


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("size", [7, 28])
def test_an_augmentation_keeps_the_shape_changes_the_picture_and_passes_gradients(policy: str, size: int) -> None:
    torch.manual_seed(0)
    x = (torch.rand(8, 3, size, size) * 2 - 1).requires_grad_()
    changed = diff_augment(x, [policy])
    assert changed.shape == x.shape
    assert not torch.equal(changed, x)
    (gradient,) = torch.autograd.grad(changed.square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


def test_a_translation_moves_a_dot_by_at_most_an_eighth_and_by_every_step_of_it() -> None:
    torch.manual_seed(0)
    x = torch.zeros(400, 1, 16, 16)
    x[:, :, 8, 8] = 1
    places = diff_augment(x, ["translation"]).flatten(1).argmax(1)
    rows, columns = places // 16, places % 16
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}


def test_a_translation_fills_with_zeros() -> None:
    torch.manual_seed(0)
    moved = diff_augment(torch.ones(50, 1, 16, 16), ["translation"])
    assert set(moved.flatten().tolist()) == {0.0, 1.0}
    assert (moved.mean((1, 2, 3)) >= (14 / 16) ** 2).all()


def test_colour_keeps_the_mean_of_brightness_within_its_bounds() -> None:
    torch.manual_seed(0)
    x = torch.rand(100, 3, 8, 8)
    shift = diff_augment(x, ["colour"]).mean((1, 2, 3)) - x.mean((1, 2, 3))
    assert shift.abs().max() <= 0.5
    assert shift.max() - shift.min() > 0.8
