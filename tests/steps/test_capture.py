"""Captured steps: the same losses and weights as steps done one by one, bit for bit, whatever the strides."""

import dataclasses
import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gancli import catalogue
from gancli.batches.batch import Prefetcher
from gancli.config.resolve import Layer, known_fields, preset_layers, resolve
from gancli.engine import plan
from gancli.engine.session import Session
from gancli.engine.train import open_data
from gancli.errors import UsageError
from gancli.events import ignore
from gancli.machine import cpu_tuning
from gancli.machine import device as machine
from gancli.steps import trace
from gancli.steps.capture import Capture, Captured, Work, capture_on_cuda, no_capture
from gancli.steps.compiled import state_restored
from gancli.steps.runner import StepExecution, StepRunner
from gancli.store import run_directory
from gancli.variant import constant
from tests.conftest import slow_ones
from tests.machine.test_ranks import presets_of

OWN: dict[str, dict[str, object]] = {
    "vanilla": {"width": 16, "inner_width": 16},
    "cgan": {"width": 16, "inner_width": 16},
    "dcgan": {"width": 4},
    "lapgan": {"width": 4, "coarse_width": 16, "coarse_d_width": 16},
    "srgan": {"width": 4, "blocks": 1, "d_width": 4},
}
LARGE = ("lapgan", "srgan")  # variants whose steps take a second or more
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
CUDA = pytest.param("cuda:0", marks=NEEDS_CUDA)


def own_of(variant: str, preset: str) -> dict[str, Any]:
    """A preset's values for a tiny network."""
    config_class = catalogue.variant_info(variant).config_class
    own = {n: v for n, v in config_class.presets[preset].items() if n in known_fields(config_class)}
    own = {n: v for n, v in own.items() if n not in ("batch_size", "epochs", "steps", "ema")}
    return own | OWN[variant] | ({"pretrain_steps": 60, "content": "mse"} if variant == "srgan" else {})


def stand_in(session: Session, runner: StepRunner) -> Capture:
    """A capture for a machine without CUDA: goes through the motions and leaves no trace; a replay does the work."""

    def capture(work: Work) -> Captured:
        with state_restored([*runner.training_step.tensors(), *session.average.tensors()], session.machine.device):
            work()
        return Captured(work, done=False)

    return capture


def session_of(
    variant: str, device: str, out: Path, data_root: Path, precision: str = "fp32", **more: object
) -> Session:
    """A session of a tiny run of 120 steps. SRGAN spends all of them in its first phase, unless told."""
    config_class = catalogue.variant_info(variant).config_class
    size = 16 if variant in ("srgan", "lapgan") else 8
    values = {
        "device": device, "steps": 120, "image_size": size, "batch_size": 16, "data_root": str(data_root),
        "precision": precision, "threads": 1, "ema": 0.5, **OWN.get(variant, {}), **more,
    }  # fmt: skip
    resolved = resolve(
        variant, config_class, [*preset_layers(variant, config_class, "default"), Layer("the test", values)]
    )
    source = open_data(resolved.run, resolved.own, catalogue.load(variant), ignore)
    planned = plan.resolve_plan(resolved.run, resolved.own, source, catalogue.load(variant))
    planned.machine.configure(deterministic=True)
    return Session(planned, source, catalogue.load(variant), run_directory.make_writable(out))


def losses_and_weights(
    session: Session, strides: tuple[int, ...], steps: int = 50, capture: Capture | None = None, compiled: bool = False
) -> tuple[list[dict[str, float]], dict[str, Tensor], list[int]]:
    """50 steps in each phase, every loss of them; then the weights, moments and average; and how many steps at a time."""
    rows, at_a_time = [], []
    tensors: dict[str, Tensor] = {}
    for phase, start, _ in session.phases.spans:
        session.step = start
        entered = session.enter(phase, None)
        on_cuda = session.machine.device.type == "cuda"
        own = capture or (capture_on_cuda if on_cuda else no_capture if compiled else stand_in(session, entered))
        ways = StepExecution(strides, own, compiled)
        runner = StepRunner(entered.training_step, session.batches, session.average, session.losses, ways)
        assert not runner.compile(start)
        while session.step < start + steps:
            before = session.step
            session.advance(runner, start + steps - before)
            at_a_time.append(session.step - before)
        rows += session.losses._table().tolist()
        session.losses.pop_means()
        for name, optimizer in runner.training_step.optimizers.items():
            tensors |= {f"{phase.name}.{name}.{key}": t.clone() for key, t in optimizer.tensors().items()}
    for name, network in session.variant.networks.items():
        tensors |= {f"{name}.{key}": t.clone() for key, t in network.state_dict().items()}
    return rows, tensors | {f"average.{k}": t for k, t in session.average.module.state_dict().items()}, at_a_time


TOGETHER = [
    pytest.param("cpu", "fp32", (10, 1), id="cpu"),
    *(
        pytest.param("cuda:0", precision, strides, marks=CUDA.marks, id=f"cuda-{precision}-{name}")
        for precision in ("fp32", "bf16", "fp16")
        for name, strides in (("not", ()), ("singly", (1,)), ("by-ten", (10, 1)))
    ),
]


@pytest.mark.parametrize(("device", "precision", "strides"), TOGETHER)
@pytest.mark.parametrize("variant", slow_ones(catalogue.names(), LARGE.__contains__))
def test_strides_change_nothing(
    variant: str, device: str, precision: str, strides: tuple[int, ...], tmp_path: Path, data_root: Path
) -> None:
    """Captured not at all (steps repeat), one at a time, ten at a time: the bits of steps done one by one."""
    phases = {"pretrain_steps": 60} if variant == "srgan" else {}
    found = []
    for name, captured in (("one", ()), ("again", strides)):
        session = session_of(variant, device, tmp_path / name, data_root, precision, **phases)
        found.append(losses_and_weights(session, captured))
    (rows, weights, alone), (replayed_rows, replayed_weights, at_a_time) = found
    assert set(alone) == {1}
    rules = [rule for phase, _, _ in session.phases.spans for rule in phase.optimizers.values()]
    if 10 in strides and all(rule.schedule is constant for rule in rules):  # else one at a time
        assert 10 in at_a_time
    assert [old == new for old, new in zip(rows, replayed_rows, strict=True)] == [True] * len(rows)
    assert weights.keys() == replayed_weights.keys()
    assert [key for key in weights if not torch.equal(weights[key], replayed_weights[key])] == []


def traced() -> Iterator[Any]:
    """All variants and presets; the large ones as in the paper by hand only."""
    for name in catalogue.names():
        for preset in presets_of(name):
            mark = pytest.mark.whole if preset == "paper" else pytest.mark.slow
            yield pytest.param(name, preset, marks=mark if name in LARGE else ())


@pytest.mark.parametrize(("variant", "preset"), list(traced()))
def test_a_traced_step_is_the_step(
    variant: str, preset: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every preset, with products by oneDNN (all, not the large ones only)."""
    monkeypatch.setattr(cpu_tuning, "MIN_ONEDNN_FLOP", 0)
    found = []
    for name, strides in (("eager", ()), ("traced", (1,))):
        session = session_of(variant, "cpu", tmp_path / name, data_root, **own_of(variant, preset))
        session.machine = dataclasses.replace(session.machine, onednn=True)
        found.append(losses_and_weights(session, strides, 20, trace.capture_by_trace))
    (rows, weights, _), (traced_rows, traced_weights, _) = found
    assert rows == traced_rows
    assert weights.keys() == traced_weights.keys()
    assert all(torch.equal(weights[key], traced_weights[key]) for key in weights)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("variant", slow_ones(["vanilla", "srgan"], LARGE.__contains__))
def test_data_that_stay_on_the_host_give_the_same_steps(
    variant: str, device: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strides = (10, 1)
    resident = losses_and_weights(session_of(variant, device, tmp_path / "a", data_root), strides, 30)
    monkeypatch.setattr("gancli.batches.batch.fits_in_memory", lambda *_: False)
    session = session_of(variant, device, tmp_path / "b", data_root)
    assert not session.batches.on_device
    hosted = losses_and_weights(session, strides, 30)
    assert resident[0] == hosted[0]
    assert all(torch.equal(resident[1][key], hosted[1][key]) for key in resident[1])


def test_what_is_gathered_ahead_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def take(step: int) -> tuple[Tensor, ...]:
        asked.append(step)
        return (torch.tensor([step]),)

    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    prefetcher = Prefetcher(take, torch.device("cuda"))
    prefetcher._device = torch.device("cpu")
    assert [int(prefetcher.get(step)[0]) for step in (3, 4, 5, 9, 10)] == [3, 4, 5, 9, 10]
    assert asked[:4] == [3, 4, 5, 6]


def test_a_stride_never_passes_an_interval_an_epoch_or_the_end(tmp_path: Path, data_root: Path) -> None:
    session = session_of("vanilla", "cpu", tmp_path, data_root, ema=0.0, steps=10**6)
    ((phase, _, _),) = session.phases.spans
    entered = session.enter(phase, None)
    runner = StepRunner(
        entered.training_step,
        session.batches,
        session.average,
        session.losses,
        StepExecution((10, 1), stand_in(session, entered)),
    )
    seen = set()
    for _ in range(200):
        session.advance(runner, session.steps_until(10**6, (7, 100)))
        seen.add(session.step)
    every_seventh = itertools.takewhile(lambda step: step <= session.step, itertools.count(7, 7))
    assert seen >= set(every_seventh)
    assert seen >= set(range(session.stream.steps_per_epoch, session.step, session.stream.steps_per_epoch))


def test_captures_are_refused_where_there_are_none() -> None:
    with pytest.raises(UsageError, match="--graph: requires CUDA or a CPU"):
        machine.choose_graph(True, torch.device("mps"))
    assert not machine.choose_graph(None, torch.device("mps"))
    for device in (torch.device("cuda", 0), torch.device("cpu")):
        assert machine.choose_graph(None, device)
        assert not machine.choose_graph(False, device)


def test_a_short_run_is_not_traced() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 0)
    assert machine.choose_strides(cpu, convolutional=False, steps=100) == ()
    assert machine.choose_strides(cpu, convolutional=False, steps=1000) == (1,)
    assert machine.choose_strides(cuda, convolutional=False, steps=100) == (10, 1)
    assert machine.choose_strides(cuda, convolutional=True, steps=1000) == (1,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("variant", catalogue.names())
def test_no_step_waits_for_the_device(variant: str, tmp_path: Path, data_root: Path) -> None:
    session = session_of(variant, "cuda:0", tmp_path, data_root, "bf16")
    torch.use_deterministic_algorithms(False)
    (_, phase, _, _) = next(session.phases.remaining(session.step))
    runner = session.enter(phase, None)
    for _ in range(8):
        session.advance(runner, 100)
    with waiting_forbidden():
        for _ in range(5):
            session.advance(runner, session.batches.rows_left(session.step))


@contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Whatever waits for the device raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own word that this is a prototype
            torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("strides", [(), (1,)], ids=["plain", "replayed"])
@pytest.mark.parametrize("variant", catalogue.names())
def test_a_trial_of_other_threads_leaves_no_trace(
    variant: str, strides: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps change no weight, no statistics, no optimizer and no random number."""
    for name, value in (("TRIAL_S", 0.0), ("TRIAL_STEPS", 2)):
        monkeypatch.setattr(f"gancli.steps.runner.{name}", value)
    found = []
    for tried in (False, True):
        session = session_of(variant, "cpu", tmp_path / f"{tried}", tmp_path)
        ((phase, _, _), *_) = session.phases.spans
        runner = StepRunner(
            session.enter(phase, None).training_step,
            session.batches,
            session.average,
            session.losses,
            StepExecution(strides),
        )
        for step in range(9):
            if tried and step in (2, 6):
                assert runner.steps_per_second_with(step, 2) > 0
                assert torch.get_num_threads() == 1
            session.advance(runner, 1)
        weights = {
            f"{name}.{key}": t for name, net in session.variant.networks.items() for key, t in net.state_dict().items()
        }
        moments = {
            f"{n}.{k}": t for n, each in runner.training_step.optimizers.items() for k, t in each.tensors().items()
        }
        found.append((session.losses.pop_means(), weights | moments | dict(session.average.module.state_dict())))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(tensor, found[1][1][name]) for name, tensor in found[0][1].items())
