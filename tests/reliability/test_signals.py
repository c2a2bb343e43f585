"""A signal at any moment of a run: its state is saved, exit code 75, and the resumed run ends in the same bytes."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.metrics import classifier, compare, distances
from gancli.sampling import preview
from gancli.steps.runner import Runner
from gancli.store import checkpoint
from tests.conftest import SMALL, Gan, sha256

ARGS = ("train", *SMALL, "--steps", 20, "--save-every", 10, "--sample-every", 10, "--progress", "none")
MOMENTS: dict[str, tuple[Any, str, int]] = {
    "the first step": (Runner, "advance", 1),
    "a step": (Runner, "advance", 7),
    "sampling": (preview, "drawn", 1),
    "saving a state": (checkpoint, "save", 1),
    "saving a model": (checkpoint, "save", 2),
}


def signalled(number: signal.Signals, at: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, in whose `at`-th run this process gets a signal."""
    calls = 0

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), number)
        return call(*args, **kwargs)

    return interrupted


@pytest.mark.parametrize(
    ("moment", "number"),
    [*((moment, signal.SIGTERM) for moment in MOMENTS), ("a step", signal.SIGUSR2), ("saving a state", signal.SIGINT)],
)
def test_a_run_stopped_at_any_moment_goes_on_to_the_same_bytes(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, number: signal.Signals
) -> None:
    owner, name, at = MOMENTS[moment]
    assert gan(*ARGS, "--out", "whole").code == 0
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, signalled(number, at, getattr(owner, name)))
        stopped = gan(*ARGS, "--out", "parts")
    assert stopped.code == 75, stopped.err
    resumed = gan(*ARGS, "--out", "parts", "--resume", "auto")
    assert resumed.code == 0, resumed.err
    for file in ("ckpt.safetensors", "state/step-00000020.safetensors"):
        assert sha256(tmp_path / "whole" / file) == sha256(tmp_path / "parts" / file)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_connection_that_is_lost_stops_a_run_as_any_signal_unless_it_was_started_to_outlive_it(
    gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Runner, "advance", signalled(signal.SIGHUP, 7, Runner.advance))
        stopped = gan(*ARGS, "--out", "run")
    assert stopped.code == 75, stopped.err
    assert Path("run/state/step-00000007.safetensors").exists()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with monkeypatch.context() as patched:
            patched.setattr(Runner, "advance", signalled(signal.SIGHUP, 2, Runner.advance))
            assert gan(*ARGS, "--out", "run", "--resume", "auto").code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_is_ignored_where_the_shell_put_the_run_into_the_background(
    gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(Runner, "advance", signalled(signal.SIGINT, 2, Runner.advance))
        assert gan(*ARGS, "--out", "run").code == 0
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no terminals of this kind")
def test_a_terminal_that_vanishes_costs_no_step(tmp_path: Path) -> None:
    import pty

    args = (*ARGS[:-3], 10, "--progress", "live", "--out", tmp_path / "run", "--steps", 10**6)
    words = [str(word) for word in args]
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "gancli", *words])
    seen = b""
    while b"images/s" not in seen:
        seen += os.read(terminal, 65536)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 75
    assert list((tmp_path / "run" / "state").iterdir())


def test_a_signal_while_pictures_are_decoded_leaves_nothing_behind(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gancli.data import decode, folder

    assert gan("train", *SMALL, "--steps", 1, "--out", "run", "--progress", "none").code == 0
    assert gan("sample", "run", "-n", 40, "-o", tmp_path / "pictures").code == 0
    args = ("train", "-d", tmp_path / "pictures", *SMALL, "--steps", 2, "--data-root", tmp_path / "root")
    with monkeypatch.context() as patched:
        patched.setattr(folder, "decode_first", signalled(signal.SIGTERM, 5, decode.decode_first))
        stopped = gan(*args, "--out", "new", "--progress", "none")
    assert stopped.code == 75, stopped.err
    assert "before the first step" in stopped.err
    assert not Path("new").exists()
    assert not list((tmp_path / "root" / "cache").iterdir())
    assert gan(*args, "--out", "new", "--resume", "auto").code == 0


def test_a_signal_while_the_run_is_measured_is_heeded(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    monkeypatch.setattr(compare, "NUM_DRAWN", 300)
    with monkeypatch.context() as patched:
        patched.setattr(
            distances, "frechet", signalled(signal.SIGTERM, 2, distances.frechet)
        )  # the first is of real ones
        stopped = gan(*ARGS, "--eval-every", 10, "--out", "parts")
    assert stopped.code == 75, stopped.err
    resumed = gan(*ARGS, "--eval-every", 10, "--out", "parts", "--resume", "auto")
    assert resumed.code == 0, resumed.err
    assert (tmp_path / "parts" / "state" / "step-00000020.safetensors").exists()
    assert (tmp_path / "parts" / "best.safetensors").exists()
