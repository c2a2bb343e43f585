"""Slopes of convolutions with a layout that follows from their shape, for a compiler that must know it beforehand.

What `aten::convolution_backward` gives on CUDA lies as its inputs happen to lie; where one has a single pixel, as in a
generator's first layer, what the compiler expects of them is not always what it then gets.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, fx

aten = torch.ops.aten
GIVEN, WEIGHT, BIAS = range(3)  # of which the gradient is


@torch.library.custom_op("gancli::convolution_gradient", mutates_args=())
def convolution_gradient(
    gradient: Tensor,
    given: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    of: int,
) -> Tensor:
    """Of the loss by what a convolution was given (`of`: 0) or by its weight (1), where that by its output is `gradient`; it
    has the shape of the one it is by, and lies channels last."""
    mask = [of == GIVEN, of == WEIGHT, False]
    rest = (stride, padding, dilation, transposed, output_padding, groups, mask)
    found: Tensor = aten.convolution_backward(gradient, given, weight, None, *rest)[of]
    made = _empty(gradient, given, weight, of)
    return found if found.stride() == made.stride() else made.copy_(found)


@convolution_gradient.register_fake
def _(gradient: Tensor, given: Tensor, weight: Tensor, *rest: object) -> Tensor:
    of = rest[-1]
    assert isinstance(of, int)
    return _empty(gradient, given, weight, of)


def _empty(gradient: Tensor, given: Tensor, weight: Tensor, of: int) -> Tensor:
    like = (given, weight)[of]
    return torch.empty(like.shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)


def settle(module: fx.GraphModule) -> None:
    """Let all gradients of two-dimensional convolutions in a trace be found so."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not aten.convolution_backward.default or len(node.args[4]) != 2:
            continue
        gradient, given, weight, _, *rest, _ = node.args
        for got in list(node.users):  # each of the three by itself
            of = got.args[1]
            if not got.users:
                graph.erase_node(got)
                continue
            with graph.inserting_before(node):
                if of == BIAS:
                    new = graph.call_function(aten.sum.dim_IntList, (gradient, [0, 2, 3]))
                else:
                    new = graph.call_function(
                        torch.ops.gancli.convolution_gradient.default, (gradient, given, weight, *rest, of)
                    )
            got.replace_all_uses_with(new)
            graph.erase_node(got)
        graph.erase_node(node)
    module.recompile()
