"""Slopes of convolutions with a layout that follows from their shape, for a compiler that must know it beforehand.

What `aten::convolution_backward` gives on CUDA lies as its inputs happen to lie; where one has a single pixel, as in a
generator's first layer, what the compiler expects of them is not always what it then gets.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, fx

aten = torch.ops.aten
GIVEN, WEIGHT, BIAS = range(3)  # of which the slope is


@torch.library.custom_op("gancli::convolution_slope", mutates_args=())
def convolution_slope(
    slope: Tensor,
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
    """Of the loss by what a convolution was given (`of`: 0) or by its weight (1), where that by its output is `slope`; it
    has the shape of the one it is by, and lies channels last."""
    mask = [of == GIVEN, of == WEIGHT, False]
    rest = (stride, padding, dilation, transposed, output_padding, groups, mask)
    found: Tensor = aten.convolution_backward(slope, given, weight, None, *rest)[of]
    made = _empty(slope, given, weight, of)
    return found if found.stride() == made.stride() else made.copy_(found)


@convolution_slope.register_fake
def _(slope: Tensor, given: Tensor, weight: Tensor, *rest: object) -> Tensor:
    of = rest[-1]
    assert isinstance(of, int)
    return _empty(slope, given, weight, of)


def _empty(slope: Tensor, given: Tensor, weight: Tensor, of: int) -> Tensor:
    like = (given, weight)[of]
    return torch.empty(like.shape, dtype=slope.dtype, device=slope.device, memory_format=torch.channels_last)


def settle(module: fx.GraphModule) -> None:
    """Let all slopes of two-dimensional convolutions in a trace be found so."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not aten.convolution_backward.default or len(node.args[4]) != 2:
            continue
        slope, given, weight, _, *rest, _ = node.args
        for got in list(node.users):  # each of the three by itself
            of = got.args[1]
            if not got.users:
                graph.erase_node(got)
                continue
            with graph.inserting_before(node):
                if of == BIAS:
                    new = graph.call_function(aten.sum.dim_IntList, (slope, [0, 2, 3]))
                else:
                    new = graph.call_function(
                        torch.ops.gancli.convolution_slope.default, (slope, given, weight, *rest, of)
                    )
            got.replace_all_uses_with(new)
            graph.erase_node(got)
        graph.erase_node(node)
    module.recompile()
