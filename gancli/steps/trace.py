"""A step on the CPU as a list of its operations, forward, backward and update: replayed without the Python of the networks
and the bookkeeping of autograd."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx

from gancli.machine import private
from gancli.steps.captured import Captured, Work

aten = torch.ops.aten
# The same operations by the functions that Python code calls: they begin a microsecond sooner.
SOONER: Mapping[Any, Callable[..., object]] = MappingProxyType({
    private.FUSED_ADAM: private.fused_adam_,
    aten.add.Tensor: torch.add,
    aten.add_.Tensor: Tensor.add_,
    aten.addmm.default: torch.addmm,
    aten.cat.default: torch.cat,
    aten.div.Scalar: torch.div,
    aten.empty.memory_format: torch.empty,
    aten.expand.default: Tensor.expand,
    aten.leaky_relu.default: private.leaky_relu,
    aten.mean.default: torch.mean,
    aten.mm.default: torch.mm,
    aten.mul.Tensor: torch.mul,
    aten.neg.default: torch.neg,
    aten.ones_like.default: torch.ones_like,
    aten.sigmoid.default: torch.sigmoid,
    aten.softplus.default: private.softplus,
    aten.sub.Tensor: torch.sub,
    aten.sum.dim_IntList: torch.sum,
    aten.t.default: torch.t,
    aten.tanh.default: torch.tanh,
    aten.uniform_.default: Tensor.uniform_,
    aten.view.default: Tensor.view,
})  # fmt: skip


def capture_by_trace(work: Work) -> Captured:
    """Do `work`, noting what it does; what is given does the same again.

    As with a CUDA graph, everything that changes from time to time must lie in tensors that are there before. Random
    numbers come from the default generator each time.
    """

    def do() -> None:  # a function: of a method, the tracer would ask for `self`
        work()

    module = private.make_fx(do)()
    arguments = _lean(module)
    run: Callable[..., object] = type(module).forward

    @torch.no_grad()
    def replay() -> None:
        run(module, *arguments)

    return Captured(replay, done=True)


def given(module: fx.GraphModule) -> list[Tensor]:
    """Make the tensors that a trace found lying there its arguments, which are given back, each once."""
    arguments = _handed_in(
        module.graph,
        {node: operator.attrgetter(str(node.target))(module) for node in module.graph.nodes if node.op == "get_attr"},
    )
    module.recompile()
    return [tensor.detach() for tensor in arguments]


def _lean(module: fx.GraphModule) -> list[Tensor]:
    """Take out of the graph what need not be done each time: views that change nothing, and fetching tensors that are there
    before, and views of them. These become its arguments, which are given back."""
    graph = module.graph
    constants: dict[fx.Node, Tensor] = {}
    for node in list(graph.nodes):
        if node.op == "get_attr":
            constants[node] = operator.attrgetter(node.target)(module)
        elif _is_view(node) and node.args[0] in constants:
            with torch.no_grad():
                constants[node] = node.target(constants[node.args[0]], *node.args[1:], **node.kwargs)
        elif _is_view(node) and (same := _undone(node)) is not None:
            node.replace_all_uses_with(same)
    arguments = _handed_in(graph, constants)
    for node in graph.nodes:
        if node.target in SOONER:
            node.target = SOONER[node.target]
    module.recompile()
    return arguments


def _handed_in(graph: fx.Graph, constants: Mapping[fx.Node, Tensor]) -> list[Tensor]:
    """Make arguments of the constants, of equal ones one, and take out what nobody asks for any more."""
    arguments: dict[tuple[object, ...], tuple[fx.Node, Tensor]] = {}
    first = next(iter(graph.nodes))
    for node, tensor in constants.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if key not in arguments:
            with graph.inserting_before(first):
                arguments[key] = (graph.placeholder(f"given_{len(arguments)}"), tensor)
        node.replace_all_uses_with(arguments[key][0])
    for node in reversed(list(graph.nodes)):
        if not node.users and (node.op == "get_attr" or _is_view(node)):
            graph.erase_node(node)
    return [tensor for _, tensor in arguments.values()]


def _is_view(node: fx.Node) -> bool:
    """Whether it gives one tensor that shares its first argument's memory."""
    return node.op == "call_function" and private.is_view(node.target)


def _undone(node: fx.Node) -> fx.Node | None:
    """What a view is the same as: the argument of an alias; of a transpose of a transpose, what was transposed."""
    inner = node.args[0]
    assert isinstance(inner, fx.Node)
    if node.target in (aten.detach.default, aten.alias.default):
        return inner
    if node.target is aten.t.default and inner.target is aten.t.default:
        original = inner.args[0]
        assert isinstance(original, fx.Node)
        return original
    return None
