"""A run that is stopped or killed at any moment keeps its state, and the resumed run ends in the same bytes."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.data import decode, folder
from gancli.metrics import classifier, compare, distances
from gancli.sampling import generate
from gancli.steps.runner import StepRunner
from gancli.store import checkpoint, state
from gancli.store.run_directory import RunDirectory
from tests.conftest import SMALL, Finished, Gan, sha256
from tests.reliability import kill
from tests.reliability.faults import KILL_POINTS

ARGS = ("train", *SMALL, "--steps", 20, "--save-every", 10, "--sample-every", 10, "--progress", "none")
MOMENTS: dict[str, tuple[Any, str, int]] = {
    "the first step": (StepRunner, "advance", 1),
    "a step": (StepRunner, "advance", 7),
    "sampling": (generate, "preview_samples", 1),
    "saving a state": (checkpoint, "save", 1),
    "saving a model": (checkpoint, "save", 2),
    "an evaluation": (distances, "frechet", 2),  # the first is of real images
}


def signalled(number: signal.Signals, at: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, during whose `at`-th run this process gets a signal."""
    calls = 0

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), number)
        return call(*args, **kwargs)

    return interrupted


OTHERS = (("a step", "SIGUSR2"), ("a step", "SIGHUP"), ("saving a state", "SIGINT"))


@pytest.mark.parametrize(
    ("moment", "name"),
    [*((moment, "SIGTERM") for moment in MOMENTS), *(each for each in OTHERS if hasattr(signal, each[1]))],
)
def test_a_run_stopped_at_any_moment_resumes_to_the_same_bytes(
    gan: Gan, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, name: str
) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    monkeypatch.setattr(compare, "NUM_DRAWN", 300)
    owner, function, at = MOMENTS[moment]
    args = (*ARGS, "--eval-every", 10) if moment == "an evaluation" else ARGS
    whole = finished(*args)
    with monkeypatch.context() as patched:
        patched.setattr(owner, function, signalled(signal.Signals[name], at, getattr(owner, function)))
        stopped = gan(*args, "--out", "parts")
    assert stopped.code == 75, stopped.err
    resumed = gan(*args, "--out", "parts", "--resume", "auto")
    assert resumed.code == 0, resumed.err
    for file in ("ckpt.safetensors", "state/step-00000020.safetensors"):
        assert sha256(whole / file) == sha256(tmp_path / "parts" / file)
    assert (tmp_path / "parts" / "best.safetensors").exists() == (moment == "an evaluation")


@pytest.mark.parametrize("name", [name for name in ("SIGHUP", "SIGINT") if hasattr(signal, name)])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(
    gan: Gan, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As `nohup` and a shell that starts a command in the background leave them."""
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_IGN)
    try:
        monkeypatch.setattr(StepRunner, "advance", signalled(number, 2, StepRunner.advance))
        assert gan(*ARGS, "--out", "run").code == 0
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.slow
def test_a_terminal_that_vanishes_costs_no_step(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="this system has no terminals of this kind")
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


def test_a_signal_while_images_are_decoded_leaves_nothing_behind(
    gan: Gan, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gan("sample", trained, "-n", 40, "-o", tmp_path / "pictures").code == 0
    args = ("train", "-d", tmp_path / "pictures", *SMALL, "--steps", 2, "--data-root", tmp_path / "root")
    with monkeypatch.context() as patched:
        patched.setattr(folder, "decode_image", signalled(signal.SIGTERM, 5, decode.decode_image))
        stopped = gan(*args, "--out", "new", "--progress", "none")
    assert stopped.code == 75, stopped.err
    assert "before the first step" in stopped.err
    assert not Path("new").exists()
    assert not list((tmp_path / "root" / "cache").iterdir())
    assert gan(*args, "--out", "new", "--resume", "auto").code == 0


@pytest.mark.slow
def test_a_run_killed_at_each_point_of_writing_keeps_a_sound_state_and_ends_in_the_same_bytes(
    finished: Finished, tmp_path: Path
) -> None:
    """Fewer kills than by hand: `python -m tests.reliability.kill`."""
    run = (
        "train",
        *SMALL,
        "--steps",
        60,
        "--save-every",
        5,
        "--sample-every",
        5,
        "--resume",
        "auto",
        "--progress",
        "none",
    )
    parts = tmp_path / "parts"
    for point in KILL_POINTS:
        kill.kill((*run, "--out", parts), f"killed:{point}:6", out=parts)
        _, skipped = state.load_newest(RunDirectory(parts))
        assert not skipped, point
    kill.finish((*run, "--out", parts))
    kill.check_same(finished(*run), parts)
