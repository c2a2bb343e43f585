"""Blocks shared by variants: what they are there for."""

import pytest
import torch
from torch import Tensor, nn

from gancli import catalogue
from gancli.nn.layers import CellMeans, ConvAfterDoubling, ConvAfterShuffle, Frequencies, LabelPlane, Tanh
from gancli.spec import ImageSpec


def test_black_pixels_still_learn_in_bf16() -> None:
    """Where torch's own tanh, in bf16, has rounded to -1 and passes no gradient on."""
    x = torch.linspace(-9, -3.5, 50, dtype=torch.bfloat16, requires_grad=True)
    (lost,) = torch.autograd.grad(torch.tanh(x).sum(), x)
    assert (lost == 0).all()
    pictures = Tanh()(x)
    (gradient,) = torch.autograd.grad(pictures.sum(), x)
    exact = 1 - torch.tanh(x.detach().double()).square()
    assert pictures.dtype == torch.float32
    torch.testing.assert_close(gradient.double(), exact, rtol=0.01, atol=1e-6)


def test_frequencies_are_a_cosine_transform_enhanced_the_finer_the_more() -> None:
    size = 7
    frequencies = Frequencies(size)
    pictures = torch.rand(3, 2, size, size) * 2 - 1
    seen = frequencies(pictures).double()
    place = torch.arange(size, dtype=torch.float64)
    for u in range(size):
        for v in range(size):  # by definition, in float64
            wave = [torch.cos(torch.pi / size * f * (place + 0.5)) * (2 / size) ** 0.5 for f in (u, v)]
            wave = [w * (0.5**0.5 if f == 0 else 1) for w, f in zip(wave, (u, v), strict=True)]
            expected = torch.einsum("bcij,i,j->bc", pictures.double(), *wave) * (1 + (u**2 + v**2) ** 0.5) ** 1.5
            torch.testing.assert_close(seen[:, :, u, v], expected, rtol=1e-5, atol=1e-4)


def test_a_label_plane_joins_the_map_of_the_label_and_nothing_without_classes() -> None:
    pictures, labels = torch.rand(3, 2, 4, 4), torch.tensor([1, 0, 1])
    join = LabelPlane(2, 4)
    assert join.embed is not None
    found = join(pictures, labels)
    assert torch.equal(found[:, :2], pictures)
    assert torch.equal(found[:, 2], join.embed.weight[labels].view(3, 4, 4))
    assert torch.equal(LabelPlane(0, 4)(pictures, None), pictures)


@pytest.mark.parametrize("name", sorted({*catalogue.names()} - {"srgan"}))  # whose G ends in a convolution
def test_generators_end_in_fp32_under_autocast(name: str) -> None:
    variant = catalogue.load(name)(catalogue.variant_info(name).config_class(), ImageSpec(1, 16, tuple("0123456789")))
    labels = torch.arange(4)
    with torch.autocast("cpu", torch.bfloat16):
        pictures = variant.generator(*variant.sample_inputs(labels))
    assert pictures.dtype == torch.float32


@pytest.mark.parametrize(("height", "width", "cells"), [(12, 12, 6), (7, 13, 6), (2, 2, 6), (6, 6, 6), (1, 5, 3)])
def test_cell_means_are_those_of_adaptive_pooling(height: int, width: int, cells: int) -> None:
    x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    found, expected = CellMeans(cells)(x), nn.functional.adaptive_avg_pool2d(x, cells)
    assert torch.allclose(found, expected)
    weights = torch.randn_like(expected)
    (mine,), (theirs,) = (torch.autograd.grad((y * weights).sum(), x) for y in (found, expected))
    assert torch.allclose(mine, theirs)


def assert_same_values_and_gradients(found: Tensor, expected: Tensor, sources: tuple[Tensor, ...]) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    towards = torch.randn_like(found)
    gradients = torch.autograd.grad((found * towards).sum(), sources)
    torch.testing.assert_close(
        gradients, torch.autograd.grad((expected * towards).sum(), sources), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize(("kernel", "size"), [(9, (7, 5)), (5, (4, 6)), (1, (3, 3)), (9, (1, 2))])
def test_a_convolution_after_a_shuffle_is_that_of_the_shuffled_picture(kernel: int, size: tuple[int, int]) -> None:
    ours = ConvAfterShuffle(3, 2, kernel).double()
    features = torch.randn(2, 12, *size, dtype=torch.float64, requires_grad=True)
    plain = nn.functional.pixel_shuffle(features, 2)
    expected = nn.functional.conv2d(plain, ours.weight, ours.bias, padding=kernel // 2)
    assert_same_values_and_gradients(ours(features), expected, (features, *ours.parameters()))
    assert {*ours.state_dict()} == {"weight", "bias"}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("odd", [True, False])
def test_a_convolution_after_doubling_is_that_of_repeated_pixels(bias: bool, odd: bool) -> None:
    ours = ConvAfterDoubling(3, 5, bias=bias, odd=odd).double()
    features = torch.randn(2, 3, 6, 4, dtype=torch.float64, requires_grad=True)
    repeated = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = nn.functional.conv2d(repeated, ours.weight, ours.bias, padding=1)
    expected = expected[..., :-1, :-1] if odd else expected
    assert_same_values_and_gradients(ours(features), expected, (features, *ours.parameters()))
