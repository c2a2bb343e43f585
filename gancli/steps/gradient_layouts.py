"""Gradients of convolutions in a memory layout that follows from their shape, which Inductor must know in advance.

The layout of what `aten::convolution_backward` returns on CUDA depends on that of its inputs; if one of them is a single
pixel, as in a generator's first layer, Inductor may expect another one than it gets.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, fx

aten = torch.ops.aten
INPUT, WEIGHT, BIAS = range(3)  # the results of aten::convolution_backward


@torch.library.custom_op("gancli::convolution_gradient", mutates_args=())
def convolution_gradient(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    result: int,
) -> Tensor:
    """Return the gradient of the loss with respect to the input `x` (`result` 0) or the `weight` (1) of a convolution, given
    the gradient with respect to its output; channels last."""
    mask = [result == INPUT, result == WEIGHT, False]
    rest = (stride, padding, dilation, transposed, output_padding, groups, mask)
    found: Tensor = aten.convolution_backward(gradient, x, weight, None, *rest)[result]
    expected = _empty(gradient, x, weight, result)
    return found if found.stride() == expected.stride() else expected.copy_(found)


@convolution_gradient.register_fake
def _(gradient: Tensor, x: Tensor, weight: Tensor, *rest: object) -> Tensor:
    result = rest[-1]
    assert isinstance(result, int)
    return _empty(gradient, x, weight, result)


def _empty(gradient: Tensor, x: Tensor, weight: Tensor, result: int) -> Tensor:
    like = (x, weight)[result]
    return torch.empty(like.shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)


def fix(module: fx.GraphModule) -> None:
    """Replace the backward pass of each two-dimensional convolution in a trace by `convolution_gradient`, in place."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not aten.convolution_backward.default or len(node.args[4]) != 2:
            continue
        gradient, x, weight, _, *rest, _ = node.args
        for item in list(node.users):  # each of the three results is computed by itself
            result = item.args[1]
            if not item.users:
                graph.erase_node(item)
                continue
            with graph.inserting_before(node):
                if result == BIAS:
                    new = graph.call_function(aten.sum.dim_IntList, (gradient, [0, 2, 3]))
                else:
                    new = graph.call_function(
                        torch.ops.gancli.convolution_gradient.default, (gradient, x, weight, *rest, result)
                    )
            item.replace_all_uses_with(new)
            graph.erase_node(item)
        graph.erase_node(node)
    module.recompile()
