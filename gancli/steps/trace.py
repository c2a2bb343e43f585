"""A step traced on the CPU as a list of operations (forward, backward, update), which is replayed without the Python code of
the networks and the bookkeeping of autograd."""

import operator
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx

from gancli.catalogue import contract
from gancli.machine import torch_private
from gancli.steps.capture import Captured, Work

aten = torch.ops.aten
READS = (
    torch_private.READ_VALUE,
    aten.is_nonzero.default,
    aten.equal.default,
)  # a value, which a replay would not
# The same operations as functions that Python code calls, which start a microsecond sooner.
PYTHON_FUNCTIONS: Mapping[Any, Callable[..., object]] = MappingProxyType({
    torch_private.FUSED_ADAM: torch_private.fused_adam_,
    aten.add.Tensor: torch.add,
    aten.add_.Tensor: Tensor.add_,
    aten.addmm.default: torch.addmm,
    aten.cat.default: torch.cat,
    aten.div.Scalar: torch.div,
    aten.empty.memory_format: torch.empty,
    aten.expand.default: Tensor.expand,
    aten.leaky_relu.default: torch_private.leaky_relu,
    aten.mean.default: torch.mean,
    aten.mm.default: torch.mm,
    aten.mul.Tensor: torch.mul,
    aten.neg.default: torch.neg,
    aten.ones_like.default: torch.ones_like,
    aten.sigmoid.default: torch.sigmoid,
    aten.softplus.default: torch_private.softplus,
    aten.sub.Tensor: torch.sub,
    aten.sum.dim_IntList: torch.sum,
    aten.t.default: torch.t,
    aten.tanh.default: torch.tanh,
    aten.uniform_.default: Tensor.uniform_,
    aten.view.default: Tensor.view,
})  # fmt: skip


def capture_by_trace(work: Work) -> Captured:
    """Do `work` and record its operations, which the replay does again.

    As in a CUDA graph, everything that changes from step to step must be in tensors that exist before. Each replay draws new
    random numbers from the default generator.
    """
    module, arguments = record_operations(work)
    _simplify(module)
    run: Callable[..., object] = type(module).forward

    @torch.no_grad()
    def replay() -> None:
        run(module, *arguments)

    return Captured(replay, done=True)


def record_operations(work: Work) -> tuple[fx.GraphModule, list[Tensor]]:
    """Do `work`, and return its operations as a graph, and the graph's arguments: each tensor used that existed before, and
    each view of one, once."""
    recorder = Recorder()
    with recorder:
        work()
    return recorder.module(), recorder.arguments


class Recorder(torch_private.DispatchMode):  # type: ignore[no-untyped-call]
    """A context that records all operations, also those of backward passes.

    `torch.fx.experimental.proxy_tensor.make_fx` returns the same graph, but imports Dynamo and Inductor (1 to 1.6 s).
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arguments: list[Tensor] = []
        self._graph = fx.Graph()
        # Arguments are inserted before the first operation, operations before the end.
        self._first = self._end = self._graph.output(None)
        self._nodes = torch_private.WeakTensorKeyDictionary()  # tensor → the node that computes it
        self._placeholders: dict[tuple[object, ...], fx.Node] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in READS:
            raise contract.reads_value(sys._getframe(1))
        if torch_private.is_view(func) and self._existed(args[0]):  # a view that later replays can reuse
            return func(*args, **kwargs)
        nodes = fx.node.map_aggregate((args, kwargs), self._node)
        found = func(*args, **kwargs)
        with self._graph.inserting_before(self._end):
            node = self._graph.call_function(func, *nodes)
            self._first = node if self._first is self._end else self._first
            if isinstance(found, Tensor):
                if not any(found is each for each in args):  # else an in-place operation
                    self._nodes[found] = node
            elif isinstance(found, tuple | list):
                for index, each in enumerate(found):
                    if isinstance(each, Tensor):
                        self._nodes[each] = self._graph.call_function(operator.getitem, (node, index))
        return found

    def module(self) -> fx.GraphModule:
        """Return the graph without operations that have no effect."""
        self._graph.eliminate_dead_code()
        return fx.GraphModule({}, self._graph)

    def _existed(self, tensor: Tensor) -> bool:
        return tensor not in self._nodes

    def _node(self, value: Any) -> Any:
        """Return the node of an operation's argument if it is a tensor, else the argument."""
        if not isinstance(value, Tensor):
            return value
        if not self._existed(value):
            return self._nodes[value]
        key = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        if key not in self._placeholders:
            with self._graph.inserting_before(self._first):
                self._placeholders[key] = self._graph.placeholder(f"argument_{len(self.arguments)}")
            self.arguments.append(value.detach())
        return self._placeholders[key]


def _simplify(module: fx.GraphModule) -> None:
    """Remove views that change nothing, and call `PYTHON_FUNCTIONS` where there are any, in place."""
    graph = module.graph
    for node in graph.nodes:
        if _is_view(node) and (same := _same_as(node)) is not None:
            node.replace_all_uses_with(same)
    graph.eliminate_dead_code()  # first: it knows only torch.ops to have side effects
    for node in graph.nodes:
        node.target = PYTHON_FUNCTIONS.get(node.target, node.target)
    module.recompile()


def _is_view(node: fx.Node) -> bool:
    """Return whether the result shares the memory of the first argument."""
    return node.op == "call_function" and torch_private.is_view(node.target)


def _same_as(node: fx.Node) -> fx.Node | None:
    """Return the node that a view is equal to: the argument of an alias, or that of a transpose of a transpose."""
    inner = node.args[0]
    assert isinstance(inner, fx.Node)
    if node.target in (aten.detach.default, aten.alias.default):
        return inner
    if node.target is aten.t.default and inner.target is aten.t.default:
        original = inner.args[0]
        assert isinstance(original, fx.Node)
        return original
    return None
