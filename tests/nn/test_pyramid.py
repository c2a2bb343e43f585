"""A pyramid that loses nothing, and the resizing between its levels."""

import pytest
import torch

from gancli.nn.pyramid import double, halve, laplacian


@pytest.mark.parametrize("resize", ["bilinear", "binomial"])
@pytest.mark.parametrize("size", [28, 32, 64])
def test_a_picture_is_rebuilt_exactly_from_its_pyramid(resize: str, size: int) -> None:
    picture = torch.rand(2, 3, size, size, dtype=torch.float64) * 2 - 1
    *finer, (rebuilt, nothing) = laplacian(picture, 3, resize)
    assert not nothing.any()
    for residual, low_pass in reversed(finer):
        torch.testing.assert_close(low_pass, double(rebuilt, resize), rtol=0, atol=1e-15)
        rebuilt = low_pass + residual
    torch.testing.assert_close(rebuilt, picture, rtol=0, atol=1e-15)


def test_a_disturbed_pyramid_still_adds_up_to_the_picture() -> None:
    picture = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    (residual, low_pass), *_ = laplacian(picture, 3, "bilinear", perturb=0.3)
    torch.testing.assert_close(residual + low_pass, picture, rtol=0, atol=1e-15)
    assert (low_pass - laplacian(picture, 3, "bilinear")[0][1]).std() > 0.05


@pytest.mark.parametrize("resize", ["bilinear", "binomial"])
def test_resizing_keeps_plain_areas_ramps_and_bounds(resize: str) -> None:
    grey = torch.full((1, 1, 8, 8), 0.25, dtype=torch.float64)
    torch.testing.assert_close(halve(grey, resize), grey[..., :4, :4])
    torch.testing.assert_close(double(grey, resize)[..., :8, :8], grey)
    ramp = torch.arange(16, dtype=torch.float64).expand(1, 1, 16, 16)
    for each in (ramp, ramp.mT):
        inner = (double(halve(each, resize), resize) - each)[..., 4:-4, 4:-4]
        torch.testing.assert_close(inner, torch.zeros_like(inner))
    noise = torch.rand(4, 3, 8, 8) * 2 - 1
    assert halve(noise, resize).abs().max() <= 1
    assert double(noise, resize).abs().max() <= 1


def test_the_two_resizes_are_those_of_torch_and_of_burt_and_adelson() -> None:
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(
        halve(x, "bilinear"), torch.nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear")
    )
    weights = torch.tensor([1, 4, 6, 4, 1], dtype=torch.float64) / 16
    kernel = torch.outer(weights, weights).expand(3, 1, 5, 5)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), "replicate")
    blurred = torch.nn.functional.conv2d(padded, kernel, groups=3)
    torch.testing.assert_close(halve(x, "binomial"), blurred[..., ::2, ::2])
    sparse = torch.zeros(2, 3, 16, 16, dtype=torch.float64)
    sparse[..., ::2, ::2] = x
    expanded = torch.nn.functional.conv2d(sparse, 4 * kernel, groups=3, padding=2)
    torch.testing.assert_close(double(x, "binomial")[..., 2:-2, 2:-2], expanded[..., 2:-2, 2:-2])
