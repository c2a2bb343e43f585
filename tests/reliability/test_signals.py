"""A signal at any moment of a run: its state is saved, exit code 75, and the resumed run ends in the same bytes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.engine import checkpoint
from gancli.engine.runner import Runner
from gancli.metrics import distances
from gancli.sampling import preview
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


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
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


def test_a_signal_while_pictures_are_decoded_leaves_nothing_behind(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gancli.data import decode, folder

    assert gan("train", *SMALL, "--steps", 1, "--out", "run", "--progress", "none").code == 0
    assert gan("sample", "run", "-n", 40, "-o", tmp_path / "pictures").code == 0
    args = ("train", "-d", tmp_path / "pictures", *SMALL, "--steps", 2, "--data-root", tmp_path / "root")
    with monkeypatch.context() as patched:
        patched.setattr(folder, "decode", signalled(signal.SIGTERM, 5, decode.decode))
        stopped = gan(*args, "--out", "new", "--progress", "none")
    assert stopped.code == 75, stopped.err
    assert "before the first step" in stopped.err
    assert not Path("new").exists()
    assert not list((tmp_path / "root" / "cache").iterdir())
    assert gan(*args, "--out", "new", "--resume", "auto").code == 0


def test_a_signal_while_the_run_is_measured_is_heeded(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(
            distances, "frechet", signalled(signal.SIGTERM, 2, distances.frechet)
        )  # the first is of real ones
        stopped = gan(*ARGS, "--eval-every", 10, "--out", "parts")
    assert stopped.code == 75, stopped.err
    resumed = gan(*ARGS, "--eval-every", 10, "--out", "parts", "--resume", "auto")
    assert resumed.code == 0, resumed.err
    assert gan(*ARGS, "--out", "whole").code == 0
    state = "state/step-00000020.safetensors"
    assert (tmp_path / "parts" / state).exists()
    assert (tmp_path / "parts" / "best.safetensors").exists()
