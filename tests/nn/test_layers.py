"""Blocks shared by variants: what they are there for."""

import pytest
import torch

from gancli import catalogue
from gancli.data.spec import ImageSpec
from gancli.nn.layers import Tanh


def test_black_pixels_still_learn_in_bf16() -> None:
    """Where torch's own tanh, in bf16, has rounded to -1 and passes no slope on."""
    x = torch.linspace(-9, -3.5, 50, dtype=torch.bfloat16, requires_grad=True)
    (lost,) = torch.autograd.grad(torch.tanh(x).sum(), x)
    assert (lost == 0).all()
    pictures = Tanh()(x)
    (slope,) = torch.autograd.grad(pictures.sum(), x)
    exact = 1 - torch.tanh(x.detach().double()).square()
    assert pictures.dtype == torch.float32
    torch.testing.assert_close(slope.double(), exact, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("name", sorted({*catalogue.names()} - {"srgan"}))  # whose G ends in a convolution
def test_generators_end_in_fp32_under_autocast(name: str) -> None:
    variant = catalogue.load(name)(catalogue.card(name).config_class(), ImageSpec(1, 16, tuple("0123456789")))
    labels = torch.arange(4)
    with torch.autocast("cpu", torch.bfloat16):
        pictures = variant.generator(*variant.inputs(labels))
    assert pictures.dtype == torch.float32
