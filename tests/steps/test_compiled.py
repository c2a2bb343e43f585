"""The compiled step: the eager one's losses within rounding, the same bits each time; nothing lost where it cannot be."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancli import catalogue
from gancli.errors import UsageError
from gancli.machine import cpu_tuning, torch_private
from gancli.machine import device as machine
from gancli.machine.device import Machine
from gancli.steps.optimizer import AdamMethod, piece_size, split
from gancli.variant import Adam
from tests.conftest import SMALL, Gan, slow_ones
from tests.machine.test_ranks import losses, presets_of
from tests.steps.test_capture import LARGE, NEEDS_CUDA, losses_and_weights, own_of, session_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch 2.11's own, of itself
PRESETS = [(name, preset) for name in catalogue.names() for preset in presets_of(name)]


def marks(variant: str, preset: str, precision: str, device: str) -> list[pytest.MarkDecorator]:
    """Compiling takes half a minute to three minutes on a CPU: CI does it for one network (R1, so double backward,
    included) in fp32."""
    short = (variant, preset) == ("vanilla", "default") and (precision == "fp32" or device != "cpu")
    return [pytest.mark.slow if short else pytest.mark.whole, *([] if device == "cpu" else [NEEDS_CUDA])]


CASES = [
    (*case, precision, device) for case in PRESETS for precision in ("fp32", "bf16") for device in ("cpu", "cuda:0")
]


@pytest.mark.parametrize(
    ("variant", "preset", "precision", "device"), [pytest.param(*case, marks=marks(*case)) for case in CASES]
)
def test_the_first_steps_are_the_eager_ones_within_rounding(
    variant: str, preset: str, precision: str, device: str,
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of all variants, double backward included, and of bf16, also where plain steps use oneDNN; and compiling a step again
    gives the same bits."""
    monkeypatch.setattr(cpu_tuning, "MIN_ONEDNN_FLOP", 0)
    if precision == "bf16" and (preset != "default" or (device == "cpu" and variant in LARGE)):
        pytest.skip("one of them is enough")
    found = []
    for name, compiled in (("eager", False), ("compiled", True), ("again", True)):
        session = session_of(variant, device, tmp_path / name, data_root, precision, **own_of(variant, preset))
        session.machine = dataclasses.replace(session.machine, onednn=True)
        strides = (1,) if compiled else ()
        found.append(losses_and_weights(session, strides, 6, compiled=compiled))
    (rows, weights, _), (compiled_rows, compiled_weights, _), (again_rows, again_weights, _) = found
    exact = precision == "fp32" and device == "cpu"
    tolerance = 2e-3 if exact else 0.05
    assert torch.tensor(compiled_rows[:6]) == pytest.approx(torch.tensor(rows[:6]), rel=tolerance, abs=tolerance)
    assert compiled_weights.keys() == weights.keys()
    assert compiled_rows == again_rows
    assert all(torch.equal(compiled_weights[key], again_weights[key]) for key in weights)


def gradients_of(shapes: list[tuple[int, ...]], step: int) -> list[Tensor]:
    return [torch.randn(shape, generator=torch.Generator().manual_seed(step)) for shape in shapes]


@pytest.mark.parametrize("schedule", [lambda _: 1.0, lambda updates: 1 / (1 + updates)], ids=["constant", "falling"])
def test_adam_as_arithmetic_is_adam(schedule: Callable[[int], float]) -> None:
    """Against torch.optim in float64, over ten steps; with a step whose gradients overflow, nothing changes in it."""
    shapes: list[tuple[int, ...]] = [(7, 5), (5,), (3, 2, 3, 3)]
    mine, exact = gradients_of(shapes, 0), [t.double().requires_grad_() for t in gradients_of(shapes, 0)]
    method = AdamMethod(mine, Adam(0.01, 0.5, schedule=schedule))
    theirs = torch.optim.Adam(exact, 0.01, (0.5, 0.999), eps=1e-8)
    for step in range(10):
        gradients = gradients_of(shapes, step + 1)
        for weight, gradient in zip(exact, gradients, strict=True):
            weight.grad = gradient.double()
        theirs.param_groups[0]["lr"] = 0.01 * schedule(step)
        theirs.step()
        method.prepare(step)
        method.update([0, 1, 2], gradients, None if step % 2 else torch.zeros(1), fused=False)
    for weight, true in zip(mine, exact, strict=True):
        assert torch.allclose(weight.double(), true.detach(), rtol=0, atol=2e-6)
    before = [t.clone() for t in (*mine, *method.exp_avg, *method.exp_avg_sq, method.step)]
    method.update([0, 1, 2], [torch.full(shape, float("inf")) for shape in shapes], torch.ones(1), fused=False)
    assert all(map(torch.equal, (*mine, *method.exp_avg, *method.exp_avg_sq, method.step), before))


def test_an_update_in_pieces_has_the_same_bits() -> None:
    """As on CUDA, where the pieces keep more of the device busy; channels last, and tensors that cannot be cut, too."""
    shapes: list[tuple[int, ...]] = [(240, 784), (240,), (64, 32, 4, 4), (0,)]
    found = []
    for piece in (machine_chunk(), 4096):
        weights = gradients_of(shapes, 0)
        weights[2] = weights[2].to(memory_format=torch.channels_last)
        method = AdamMethod(weights, Adam(0.01))
        method.piece = piece
        for step in range(3):
            gradients = gradients_of(shapes, step + 1)
            if step:  # laid out as its weight is, and otherwise
                gradients[2] = gradients[2].to(memory_format=torch.channels_last)
            method.update([0, 1, 2, 3], gradients, None, fused=True)
        found.append([*weights, *method.exp_avg, *method.exp_avg_sq])
    assert all(map(torch.equal, *found))
    pieces = split([found[0][:3], found[1][:3]], 4096)
    assert [len(each) for each in pieces] == [-(-240 * 784 // 4096) + 1 + 8] * 2


def machine_chunk() -> int:
    return piece_size([1] * 100)


def test_pieces_fill_one_launch() -> None:
    for sizes in ([784 * 128, 128, 128 * 128, 128, 128, 1], [10**7, 5], [10] * 40, [100_000] * 12):
        piece = piece_size(sizes)
        assert piece <= 65_536
        assert piece == 65_536 or sum(-(-size // piece) for size in sizes) <= 36


def test_what_is_compiled_is_chosen_by_the_length_of_the_phase() -> None:
    cuda, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert machine.choose_compile("auto", cuda, convolutional=False, steps=300_000)
    assert machine.choose_compile("auto", cuda, convolutional=True, steps=100_000)
    assert not machine.choose_compile("auto", cuda, convolutional=True, steps=7_000)
    assert not machine.choose_compile("auto", cpu, convolutional=True, steps=10**9)
    assert machine.choose_compile("yes", cpu, convolutional=False, steps=1)
    assert machine.choose_compile("max", cuda, convolutional=False, steps=1)
    assert not machine.choose_compile("no", cuda, convolutional=False, steps=10**9)
    with pytest.raises(UsageError, match="--compile: requires CUDA or a CPU"):
        machine.choose_compile("yes", torch.device("mps"), convolutional=False, steps=1)


def test_fully_connected_networks_are_in_fp32_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert machine.choose_precision("auto", torch.device("cuda", 0), convolutional=False) == "fp32"
    assert machine.choose_precision("auto", torch.device("cuda", 0), convolutional=True) == "bf16"


def test_kernels_are_timed_in_long_runs_only() -> None:
    assert machine.choose_timing("no", 100_000)
    assert not machine.choose_timing("no", 1_000)
    assert not machine.choose_timing("auto", 100_000)
    assert machine.choose_timing("max", 1)
    cpu = Machine(torch.device("cpu"), "fp32", torch.get_num_threads())
    for deterministic, timed in ((True, True), (False, True), (False, False)):
        cpu.configure(deterministic, timed)
        assert torch.backends.cudnn.benchmark is (timed and not deterministic)
        assert torch.backends.cudnn.deterministic is not torch.backends.cudnn.benchmark


@pytest.mark.slow
def test_a_compiled_run_goes_on_to_the_same_bytes(gan: Gan, tmp_path: Path) -> None:
    """Stopped and resumed, as in one go; `--compile` stands in the run's file. Nothing of it in the log but one word."""
    small = (*SMALL, "--lr-decay", "0")
    train = ("train", *small, "--steps", "40", "--save-every", "10", "--compile", "yes")
    whole = gan(*train, "--out", str(tmp_path / "whole"))
    assert whole.code == 0, whole.err
    assert "--compile: not available here" not in whole.err
    assert (
        gan("train", *small, "--steps", "20", "--save-every", "10", "--compile", "--out", str(tmp_path / "parts")).code
        == 0
    )
    assert gan("train", "--resume", str(tmp_path / "parts"), "--steps", "40").code == 0
    whole_model, parts_model = ((tmp_path / name / "ckpt.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole_model == parts_model
    whole_losses, parts_losses = (losses(str(tmp_path / name)) for name in ("whole", "parts"))
    assert len(whole_losses) >= 4
    assert whole_losses == parts_losses


def trained(out: Path, data_root: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`gan train` in a process of its own, to its end, in an environment that says nothing of a compiler's cache."""
    command = [sys.executable, "-m", "gancli", "train", *SMALL, *more, "--out", str(out), "--data-root", str(data_root)]
    rest = {n: v for n, v in os.environ.items() if n != "TORCHINDUCTOR_CACHE_DIR"}
    done = subprocess.run(command, env=rest | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_without_a_compiler_the_run_goes_on(tmp_path: Path, data_root: Path) -> None:
    """Told once, in one line; the model is that of a run that was not to be compiled."""
    nowhere = {"CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    made = {}
    for name, asked in (("without", "--compile"), ("eager", "--no-compile")):
        done = trained(tmp_path / name, data_root, "--steps", "20", asked, **nowhere)
        assert done.stderr.count("--compile: not available here") == (name == "without")
        assert "Traceback" not in done.stderr
        made[name] = (tmp_path / name / "ckpt.safetensors").read_bytes()
    assert made["without"] == made["eager"]


@pytest.mark.whole
def test_the_second_start_compiles_nothing(tmp_path: Path) -> None:
    """What was compiled lies under the data root, and is taken from there."""
    root = tmp_path / "root"
    seen, models = [], []
    for name in ("first", "second"):
        trained(tmp_path / name, root, "--steps", "5", "--compile")
        kept = (root / "cache" / "compiled").rglob("*")
        seen.append({path for path in kept if path.suffix in (".cpp", ".so", ".o")})
        models.append((tmp_path / name / "ckpt.safetensors").read_bytes())
    assert seen[0]
    assert seen[0] == seen[1]
    assert models[0] == models[1]


@pytest.mark.parametrize("variant", slow_ones(["vanilla", "srgan"], LARGE.__contains__))
def test_a_step_that_cannot_be_compiled_leaves_no_trace(
    variant: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("eager", "failed"):
        session = session_of(variant, "cpu", tmp_path / name, data_root)
        if name == "failed":
            monkeypatch.setattr(torch_private, "standalone_compile", broken)
            (_, phase, _, _) = next(session.phases.remaining(session.step))
            session.run = session.run.__class__(**{**session.run.__dict__, "compile": "yes"})
            session.plan = session.plan.__class__(**{**session.plan.__dict__, "run": session.run})
            runner = session.enter(phase, None)
            assert [event.message for event in session.compile(runner)] == [
                "--compile: not available here (no compiler is here); training continues uncompiled"
            ]
            assert not list(session.compile(runner))
        found.append(losses_and_weights(session, (), 5))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(found[0][1][key], found[1][1][key]) for key in found[0][1])


def broken(*_: object) -> Callable[..., None]:
    raise RuntimeError("no compiler is here")
