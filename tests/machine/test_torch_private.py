"""What is used of torch that it does not promise to keep: each still does what the public form does."""

import ast
import gc
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import gancli
from gancli.machine import torch_private
from gancli.steps import trace

PACKAGE = Path(gancli.__file__).parent
OWN_FILE = PACKAGE / "machine" / "torch_private.py"
PUBLIC_THOUGH_UNDERLINED = (
    "_exit",
    "_getframe",
    "_asdict",
    "_fields",
    "_make",
    "_replace",
)  # of os, sys and NamedTuple


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def three(seed: int = 0) -> list[Tensor]:
    """Tensors of three shapes, one of them a scalar."""
    return [some(*shape, seed=seed + i) for i, shape in enumerate(((4, 3), (5,), ()))]


def same(found: list[Tensor] | tuple[Tensor, ...], expected: list[Tensor]) -> bool:
    return len(found) == len(expected) and all(map(torch.equal, found, expected))


def adam(weights: list[Tensor], gradients: list[list[Tensor]], skipped: int | None = None, lr: Any = 0.01) -> None:
    """Steps by the kernel, as `AdamMethod` does them; one may be skipped, as one whose gradients overflowed."""
    step = torch.zeros(())
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    for number, each in enumerate(gradients):
        overflow = torch.full((1,), float(number == skipped))
        step += (1 - overflow).squeeze()
        torch_private.fused_adam_(
            weights, each, first, second, [], [step] * len(weights), lr=lr, beta1=0.5, beta2=0.999, weight_decay=0.0,
            eps=1e-8, amsgrad=False, maximize=False, found_inf=overflow,
        )  # fmt: skip


@pytest.mark.parametrize("lr", [0.01, torch.tensor(0.01, dtype=torch.float64)], ids=["number", "tensor"])
@pytest.mark.parametrize("fused", [True, False])
def test_fused_adam(fused: bool, lr: float | Tensor) -> None:
    """To the bit what torch.optim's own fused form does, and within rounding what its plain one does."""
    mine, theirs = three(), [nn.Parameter(w) for w in three()]
    gradients = [three(10 * step) for step in range(1, 5)]
    adam(mine, gradients, lr=lr)
    optimizer = torch.optim.Adam(theirs, 0.01, (0.5, 0.999), fused=fused)
    for each in gradients:
        for weight, gradient in zip(theirs, each, strict=True):
            weight.grad = gradient
        optimizer.step()
    tolerance = 0 if fused else 1e-6
    torch.testing.assert_close(mine, [w.detach() for w in theirs], rtol=tolerance, atol=tolerance)
    assert not same(mine, three())


def test_fused_adam_changes_nothing_where_slopes_overflowed() -> None:
    whole, skipping = three(), three()
    gradients = [three(10), [torch.full_like(w, torch.inf) for w in whole], three(20)]
    adam(whole, [gradients[0], gradients[2]])
    adam(skipping, gradients, skipped=1)
    assert same(skipping, whole)


def test_fused_adams_name_in_a_trace() -> None:
    weights, gradients = three(), three(10)

    def do() -> None:
        adam(weights, [gradients])

    assert torch_private.FUSED_ADAM in {node.target for node in trace.record_operations(do)[0].graph.nodes}


def test_amp_unscale_and_update_scale() -> None:
    """As GradScaler does both: after a good update, an overflow, and as many good ones as let the scale grow."""
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    scale, good = torch.full((1,), 8.0), torch.zeros(1, dtype=torch.int32)
    weight = nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([weight], 1.0)
    scaler.scale(torch.zeros(1))  # it makes its tensors now
    scales = []
    for index, factor in enumerate((1.0, torch.inf, 1.0, 1.0, torch.nan)):
        gradient = some(3, seed=index) * factor
        weight.grad, mine, overflow = gradient.clone(), gradient.clone(), torch.zeros(1)
        scaler.unscale_(optimizer)
        torch_private.amp_unscale_([mine], overflow, scale.double().reciprocal().float())
        assert bool(overflow) == (factor != 1)
        torch.testing.assert_close(mine, weight.grad, rtol=0, atol=0, equal_nan=True)
        scaler.step(optimizer)
        scaler.update()
        torch_private.amp_update_scale_(scale, good, overflow, 2.0, 0.5, 2)
        assert scale.item() == scaler.get_scale()
        scales.append(scale.item())
    assert scales == [8, 4, 4, 8, 4]


THIRD, TWO = torch.tensor(0.3), (three(10), three(20))
FOREACH: list[tuple[Any, tuple[Any, ...], Callable[[Tensor, Tensor, Tensor], Tensor]]] = [
    (torch_private.foreach_mul_, (0.5,), lambda a, *_: a * 0.5),
    (torch_private.foreach_mul_, (THIRD,), lambda a, *_: a * THIRD),
    (torch_private.foreach_add_, (TWO[0],), lambda a, b, _: a + b),
    (torch_private.foreach_sub_, (TWO[0],), lambda a, b, _: a - b),
    (torch_private.foreach_lerp_, (TWO[0], [THIRD] * 3), lambda a, b, _: a.lerp(b, THIRD)),
    (torch_private.foreach_div_, (THIRD,), lambda a, *_: a / THIRD),
    (torch_private.foreach_div_, (TWO[0],), lambda a, b, _: a / b),
    (torch_private.foreach_addcmul_, (*TWO, 0.3), lambda a, b, c: a.addcmul(b, c, value=0.3)),
    (torch_private.foreach_copy_, (TWO[0],), lambda *each: each[1]),
]


@pytest.mark.parametrize(("operation", "arguments", "expected"), FOREACH)
def test_operations_on_lists_of_tensors_in_place(
    operation: Any, arguments: tuple[Any, ...], expected: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> None:
    tensors = three()
    operation(tensors, *arguments)
    assert same(tensors, [expected(*each) for each in zip(three(), *TWO, strict=True)])


def test_operations_on_lists_of_tensors() -> None:
    squares = [t.square() for t in three()]
    assert same(torch_private.foreach_mul(three(), 0.5), [t * 0.5 for t in three()])
    assert same(torch_private.foreach_sub(three(), TWO[0]), [a - b for a, b in zip(three(), TWO[0], strict=True)])
    assert same(torch_private.foreach_sqrt(squares), [t.sqrt() for t in squares])


def test_leaky_relu() -> None:
    x = some(100)
    assert torch.equal(torch_private.leaky_relu(x, 0.2), F.leaky_relu(x, 0.2))


def test_softplus() -> None:
    x = 30 * some(100)
    assert torch.equal(torch_private.softplus(x), F.softplus(x))
    assert torch.equal(torch_private.softplus(x, 2, 5), F.softplus(x, 2, 5))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="a torch without oneDNN")  # type: ignore[no-untyped-call]
@pytest.mark.parametrize("bias", [some(7, seed=2), None], ids=["bias", "none"])
def test_onednn_linear(bias: Tensor | None) -> None:
    x, weight = some(33, 50), some(7, 50, seed=1)
    torch.testing.assert_close(torch_private.onednn_linear(x, weight, bias, "none", [], ""), F.linear(x, weight, bias))


def test_a_torch_without_onednn_is_no_obstacle() -> None:
    code = "import types, torch; torch.ops.mkldnn = types.SimpleNamespace(); import gancli.engine.train"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_is_view() -> None:
    aten = torch.ops.aten
    for operation, expected in (
        *((aten.view.default, True), (aten.t.default, True), (aten.detach.default, True), (aten.expand.default, True)),
        *((aten.add.Tensor, False), (aten.add_.Tensor, False), (aten.split.Tensor, False), (torch.t, False)),
    ):
        assert torch_private.is_view(operation) == expected, operation


def test_dispatch_mode() -> None:
    """It sees the operations of a backward pass."""
    seen = []

    class Seeing(torch_private.DispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    weight = some(3, 2).requires_grad_()
    y = (some(4, 3) @ weight).sum()
    with Seeing():  # type: ignore[no-untyped-call]
        (gradient,) = torch.autograd.grad(y, weight)
    assert torch.ops.aten.mm.default in seen
    torch.testing.assert_close(gradient, some(4, 3).T @ torch.ones(4, 2))


def test_weak_tensor_key_dictionary() -> None:
    """Tensors are told apart by identity, equal ones too, and not kept alive."""
    one, same = torch.ones(2), torch.ones(2)
    names = torch_private.WeakTensorKeyDictionary()
    names[one] = "one"
    assert one in names
    assert same not in names
    del one
    gc.collect()
    assert not len(names)


def test_fake_tensor_mode() -> None:
    """Shapes as on the meta device; a tensor that no memory could hold; what a backward pass keeps can be counted."""
    with torch_private.FakeTensorMode():
        fake = nn.Conv2d(3, 8, 3)(torch.zeros(2, 3, 9, 9, device="cpu"))
        huge = torch.zeros(10**9, 10**6)
    with torch.device("meta"):
        meta = nn.Conv2d(3, 8, 3)(torch.zeros(2, 3, 9, 9))
    assert (fake.shape, fake.dtype, fake.device.type) == (meta.shape, meta.dtype, "cpu")
    assert huge.untyped_storage().nbytes() == 4 * 10**15


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch 2.11's own, of itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler is here")
def test_standalone_compile() -> None:
    """What it changes in place is changed, and the graph's own result is given."""

    def step(a: Tensor, b: Tensor) -> tuple[Tensor]:
        a.add_(b)
        return (a.sin() * 2,)

    given = (some(4, 3), some(4, 3, seed=1))
    a, b = (t.clone() for t in given)
    result = torch.empty(4, 3)

    def do() -> None:
        result.copy_(step(a, b)[0])

    module, arguments = trace.record_operations(do)
    a.copy_(given[0])
    with torch.no_grad():
        torch_private.standalone_compile(module, arguments, tuned=False)(*arguments)
    assert torch.equal(a, given[0] + given[1])
    assert torch.allclose(result, (given[0] + given[1]).sin() * 2)


def test_item_dispatches_the_operation_that_reads_a_value() -> None:
    found = []

    class Names(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found.append(func)
            return func(*args, **(kwargs or {}))

    with Names():  # type: ignore[no-untyped-call]
        assert torch.tensor(3.0).item() == 3.0
    assert torch_private.READ_VALUE in found


def test_every_name_is_held_to_its_public_form_here() -> None:
    tree = ast.parse(OWN_FILE.read_text("utf-8"))
    there = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
             if isinstance(target, ast.Name)}  # fmt: skip
    there |= {
        node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    there |= {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    there -= {"Any", "Callable", "Sequence", "Tensor", "TorchDispatchMode"}
    there |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    here = {
        node.attr
        for node in ast.walk(ast.parse(Path(__file__).read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch_private"
    }
    assert there == here


def underlined(tree: ast.Module) -> Iterator[str]:
    """Names with a leading underscore that a file takes of another's things, and what it imports of torch that is named so
    or experimental."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            its_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not its_own and node.attr not in PUBLIC_THOUGH_UNDERLINED:
                yield ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for name in (f"{module}.{alias.name}".strip(".") for alias in node.names):
                parts = name.split(".")
                if parts[0] == "torch" and any(part.startswith("_") or part == "experimental" for part in parts):
                    yield name


def test_no_other_file_names_a_private_part_of_torch() -> None:
    assert set(underlined(ast.parse(OWN_FILE.read_text("utf-8")))) > {"torch._fused_adam_", "torch._C"}
    for path in sorted({*PACKAGE.rglob("*.py")} - {OWN_FILE}):
        tree = ast.parse(path.read_text("utf-8"))
        of_torch = [
            node
            for node in ast.walk(tree)
            if (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "torch")
            or (isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "torch" for alias in node.names))
        ]
        if of_torch:
            assert not list(underlined(tree)), f"{path}: belongs into {OWN_FILE}"
