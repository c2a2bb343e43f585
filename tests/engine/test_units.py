"""Small parts of a run: averaged model, losses, history, optimizers, time limit, signals, saved states."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gancli.config import RunConfig, fields_of
from gancli.config.resolve import Layer
from gancli.engine.startup import max_seconds
from gancli.engine.stop import Stop
from gancli.errors import UsageError
from gancli.machine.device import Machine
from gancli.report.history import MAX_HISTORY, LossHistory
from gancli.steps.ema import AveragedModel
from gancli.steps.loss_accumulator import LossAccumulator
from gancli.steps.optimizer import NetworkOptimizer
from gancli.store import run_directory
from gancli.variant import Adam, Sgd

CPU = Machine(torch.device("cpu"), "fp32", 1)


@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_the_average_follows_its_definition_in_float64(ema: float) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = AveragedModel(net, ema)
    expected = {n: t.double().clone() for n, t in net.state_dict().items()}
    for step in range(1, 40):
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn_like(p))
        net(torch.randn(4, 3))
        average.update(step)
        decay = min(ema, (1 + step) / (10 + step))
        for name, live in net.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * live.double()
    for name, tensor in average.refresh().state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)
    assert average.refresh().state_dict()["1.num_batches_tracked"] == 39


def test_losses_are_averaged_over_processes_once_however_often_a_state_is_saved() -> None:
    """A third of three times a number need not be that number."""
    ledger, averaged = LossAccumulator(), []

    def average(tables: Sequence[Tensor]) -> None:
        averaged.append([len(table) for table in tables])
        for table in tables:
            table.mul_(0.5)

    ledger.add({"a": torch.tensor(2.0)})
    ledger.add({"a": torch.tensor(4.0)})
    ledger.average(average)
    ledger.average(average)
    assert ledger.means() == {"a": 1.5}
    ledger.add({"a": torch.tensor(8.0)})
    resumed = LossAccumulator()
    resumed.restore(ledger.tensors(), torch.device("cpu"))
    ledger.average(average)
    assert averaged == [[2], [1]]
    assert len(ledger) == 3
    assert ledger.pop_means() == pytest.approx({"a": 7 / 3})
    assert len(ledger) == 0
    resumed.average(average)
    assert len(averaged) == 2, "a saved ledger holds averages"


@pytest.mark.parametrize("diverged", [float("inf"), float("-inf"), float("nan"), 2.4e24, -2e9])
def test_the_ledger_names_the_first_loss_that_diverged(diverged: float) -> None:
    ledger = LossAccumulator()
    for values in ((1.0, 5e8), (1.0, diverged), (float("nan"), float("nan"))):
        ledger.add({"d_loss": torch.tensor(values[0]), "g_loss": torch.tensor(values[1])})
    bad = ledger.first_diverged()
    assert bad is not None
    assert (bad.term, bad.steps_ago) == ("g_loss", 1)


def test_a_restored_ledger_gives_the_same_means() -> None:
    ledger, again = LossAccumulator(), LossAccumulator()
    for index in range(12):
        ledger.add({name: torch.tensor(index / 3) for name in "zyxwvutsrqpo"})
    again.restore(ledger.tensors(), torch.device("cpu"))
    for both in (ledger, again):
        both.add({name: torch.tensor(0.1) for name in "zyxwvutsrqpo"})
    assert list(again.pop_means().items()) == list(ledger.pop_means().items())


def test_the_loss_history_stays_short_and_can_be_taken_up() -> None:
    whole = LossHistory({})
    for step in range(1, 1000):
        whole.add(step, {"a": float(step)})
        if step == 500:
            half = LossHistory(whole.points())
        elif step > 500:
            half.add(step, {"a": float(step)})
    assert len(whole.points()["a"]) <= MAX_HISTORY
    assert whole.points() == half.points()
    assert whole.points()["a"][-1] == (999, 999.0)


def test_a_time_limit_has_units_or_is_in_seconds() -> None:
    for text, seconds in {"90s": 90, "30m": 1800, "3h": 10800, "1h30m": 5400, "45": 45, 60: 60}.items():
        assert max_seconds([Layer("flag", {"max_time": text})]) == seconds
    (field,) = (field for field in fields_of(RunConfig) if field.name == "max_time")
    for text in ("", "h", "3 hours", "-3h", "0s", "3x"):
        with pytest.raises(UsageError, match="--max-time"):
            field.parse(text)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_sets_the_flag_and_the_handler_is_restored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stop() as stop:
        reasons = [stop.reason]
        os.kill(os.getpid(), number)
        reasons.append(stop.reason)
    assert reasons == [None, number.name]
    assert signal.getsignal(number) == before


def test_the_second_ctrl_c_leaves_at_once() -> None:
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason == "Ctrl-C"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_handler_that_is_not_python_s_is_restored_as_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, object]] = []
    monkeypatch.setattr(signal, "signal", lambda *args: calls.append(args))
    with Stop():
        calls.clear()
    assert (signal.SIGTERM, signal.SIG_DFL) in calls


def test_only_signals_of_the_system_are_handled() -> None:
    of_windows = "import signal; del signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2; signal.SIGBREAK = signal.SIGABRT"
    code = f"{of_windows}; from gancli.engine.stop import SIGNALS; print(*(s.name for s in SIGNALS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["SIGINT", "SIGTERM", "SIGABRT"]


def test_adam_is_torchs_own_to_the_last_bit_before_and_after_a_resume() -> None:
    rule = Adam(0.01, beta1=0.5, schedule=lambda n: 0.9**n)
    torch.manual_seed(0)
    ours, theirs = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), nn.Conv2d(3, 4, 3)
    theirs.load_state_dict(ours.state_dict())
    theirs.to(memory_format=torch.channels_last)
    reference = torch.optim.Adam(theirs.parameters(), rule.lr, (rule.beta1, rule.beta2), fused=True)
    optimizer = NetworkOptimizer(ours, rule, CPU)
    for n in range(6):
        x = torch.randn(2, 3, 5, 5)
        optimizer.prepare()
        optimizer.minimise(ours(x).square().mean())
        reference.param_groups[0]["lr"] = rule.lr * rule.schedule(n)
        reference.zero_grad()
        theirs(x).square().mean().backward()
        reference.step()
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
        if n == 2:
            saved = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
            assert {name for name in saved if name.startswith("step")} == {"step"}
            optimizer = NetworkOptimizer(ours, rule, CPU)
            optimizer.restore(saved)


def test_sgd_follows_its_schedules() -> None:
    weight = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        weight.weight.fill_(1.0)
    rule = Sgd(0.1, momentum=lambda n: 0.5 + 0.1 * n, schedule=lambda n: 0.5**n)
    optimizer = NetworkOptimizer(weight, rule, CPU)
    expected, velocity = 1.0, 0.0
    for n in range(4):
        optimizer.prepare()
        optimizer.minimise(weight.weight.square().sum())
        velocity = (0.0 if n == 0 else (0.5 + 0.1 * n) * velocity) + 2 * expected
        expected -= 0.1 * 0.5**n * velocity
    assert weight.weight.item() == pytest.approx(expected, rel=1e-5)


def test_the_newest_states_stay_and_one_that_cannot_be_removed_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = run_directory.make_writable(tmp_path)
    directory.make_folders()
    for step in (5, 100_000_000, 20, 3):
        directory.state(step).write_bytes(b"")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        directory.prune(2)
    assert len(directory.states()) == 4
    directory.prune(2)
    assert [p.name for p in directory.states()] == ["step-100000000.safetensors", "step-00000020.safetensors"]
