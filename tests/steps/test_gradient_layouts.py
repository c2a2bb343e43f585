"""Gradients of convolutions with a layout that follows from the shape: the same values."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx

from gancli.machine import torch_private
from gancli.steps import gradient_layouts, trace

CHANNELS_LAST = torch.channels_last


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def generator(z: Tensor, first: Tensor, second: Tensor, bias: Tensor) -> Tensor:
    """One pixel, as the first layer of a generator has, to four by four, then with a bias."""
    return F.conv2d(F.relu(F.conv_transpose2d(z, first)), second, bias, padding=1).square().mean()


def traced(dtype: torch.dtype, found: list[Tensor]) -> tuple[fx.GraphModule, list[Tensor], Callable[[], None]]:
    z = drawn(4, 10, 1, 1).to(dtype)
    weights = [drawn(10, 8, 4, 4).to(memory_format=CHANNELS_LAST), drawn(3, 8, 3, 3), drawn(3)]
    weights = [weight.to(dtype).requires_grad_() for weight in weights]
    found += [torch.empty_like(weight, memory_format=torch.contiguous_format) for weight in weights]

    def do() -> None:
        gradients = torch.autograd.grad(generator(z, *weights), weights)
        with torch.no_grad():
            for mine, gradient in zip(found, gradients, strict=True):
                mine.copy_(gradient)

    return *trace.record_operations(do), do


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_the_convolution(dtype: torch.dtype) -> None:
    found: list[Tensor] = []
    module, arguments, do = traced(dtype, found)
    do()
    expected = [gradient.clone() for gradient in found]
    gradient_layouts.fix(module)
    names = [str(node.target) for node in module.graph.nodes]
    assert "aten.convolution_backward.default" not in names
    assert (
        names.count("gancli.convolution_gradient.default") == 3
    )  # two weights, and what the second convolution was given
    for gradient in found:
        gradient.zero_()
    with torch.no_grad():
        module(*arguments)
    for mine, gradient in zip(found, expected, strict=True):
        assert torch.allclose(
            mine.double(), gradient.double(), rtol=1e-5 if dtype is torch.float32 else 0.02, atol=1e-6
        )


def test_the_layout_is_that_of_the_shape_however_the_inputs_lie() -> None:
    gradient, given, weight = drawn(4, 8, 4, 4), drawn(4, 10, 1, 1), drawn(10, 8, 4, 4)
    for form in (torch.contiguous_format, CHANNELS_LAST):
        inputs = [tensor.to(memory_format=form) for tensor in (gradient, given, weight)]
        for of, like in enumerate((given, weight)):
            rest = ([1, 1], [0, 0], [1, 1], True, [0, 0], 1, of)
            real = gradient_layouts.convolution_gradient(*inputs, *rest)
            with torch_private.FakeTensorMode() as mode:
                expected = gradient_layouts.convolution_gradient(*map(mode.from_tensor, inputs), *rest)
            assert real.shape == expected.shape == like.shape
            assert real.stride() == expected.stride() == torch.empty_like(like, memory_format=CHANNELS_LAST).stride()
