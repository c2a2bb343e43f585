"""`--processes`: one command trains in several processes, with the exit code, the signals and the output of the first."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from gancli.errors import UsageError
from gancli.machine import launch
from tests.conftest import SMALL, Gan, sha256
from tests.engine.test_resume import train_args
from tests.machine.together import together

ARGS = (*train_args("vanilla"), "--precision", "fp32")


@contextmanager
def started(*args: object) -> "Iterator[subprocess.Popen[str]]":
    """`gan` in a process group of its own, which is ended whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gancli", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=120)


def others_of(process: "subprocess.Popen[str]") -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def wait_for_losses(run: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not ((run / "metrics.jsonl").exists() and '"step"' in (run / "metrics.jsonl").read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_two_processes_train_what_torchrun_trains_and_one_reports() -> None:
    args = (*ARGS, "--steps", 12, "--log-every", 4)
    code, _, err = together(*args, "--progress", "none", "--out", "torchrun")
    assert code == 0, err
    with started(*args, "--progress", "plain", "--out", "run", "--processes", 2) as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out == "run/ckpt.safetensors\n"
    assert "× 2 processes" in err
    assert err.count("step 4/12") == 1
    assert sha256(Path("run/ckpt.safetensors")) == sha256(Path("torchrun/ckpt.safetensors"))
    assert "processes" not in Path("run/config.toml").read_text()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_state_once_and_a_run_resumes(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C in a terminal: the whole process group gets it, and the state is saved all the same."""
    args = (*ARGS, "--log-every", 5, "--progress", "plain", "--out", "run", "--resume", "auto", "--processes", 2)
    with started(*args, "--steps", 10_000_000) as process:
        wait_for_losses(tmp_path / "run", process)
        others = others_of(process)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    assert err.count("to resume") == 1
    assert len(others) == 1
    assert not Path(f"/proc/{others[0]}").exists()
    (state,) = (tmp_path / "run" / "state").glob("step-*.safetensors")
    step = int(state.stem.removeprefix("step-"))
    with started(*args, "--steps", step + 5) as process:
        _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_process_that_is_killed_ends_the_run_with_its_name(tmp_path: Path) -> None:
    with started(*ARGS, "--steps", 10_000_000, "--progress", "none", "--out", "run", "--processes", 2) as process:
        wait_for_losses(tmp_path / "run", process)
        os.kill(others_of(process)[0], signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (1, "", "gan: process 2 of 2 was killed by SIGKILL\n")


@pytest.mark.slow
def test_an_error_of_the_options_is_told_once() -> None:
    with started(*ARGS, "--batch-size", 15, "--steps", 4, "--out", "run", "--processes", 2) as process:
        out, err = process.communicate(timeout=240)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("gan: --batch-size 15: cannot be divided evenly among 2 processes")
    assert err.count("\n") == 1
    assert not Path("run").exists()


@pytest.mark.slow
def test_a_sweep_trains_each_of_its_runs_in_several_processes() -> None:
    args = (*ARGS, "--steps", 4, "--progress", "none", "--no-report")
    with started(*args, "--seed", "0,1", "--out", "sweep", "--processes", 2) as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out.splitlines() == ["sweep/000-seed=0/ckpt.safetensors", "sweep/001-seed=1/ckpt.safetensors"]
    code, _, err = together(*args, "--seed", 1, "--out", "one")
    assert code == 0, err
    assert sha256(Path("sweep/001-seed=1/ckpt.safetensors")) == sha256(Path("one/ckpt.safetensors"))


def test_one_process_is_a_plain_run(gan: Gan) -> None:
    line = ("train", *SMALL, "--steps", 5, "--progress", "none", "--out")
    for out, more in (("plain", ()), ("one", ("--processes", 1)), ("auto", ("--processes", "auto", "--device", "cpu"))):
        outcome = gan(*line, out, *more)
        assert outcome.code == 0, outcome.err
    assert len({sha256(Path(out, "ckpt.safetensors")) for out in ("plain", "one", "auto")}) == 1


def test_it_is_refused_in_a_process_of_a_launcher(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    for count in ("2", "auto"):
        outcome = gan("train", *SMALL, "--steps", 5, "--processes", count, "--out", "run")
        assert outcome.code == 2
        assert outcome.err.startswith(f"gan: --processes {count}: a launcher such as torchrun has started this process")
    assert not Path("run").exists()


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5", "2000", ""])
def test_numbers_that_cannot_be_are_refused(gan: Gan, count: str) -> None:
    outcome = gan("train", *SMALL, "--processes", count)
    assert outcome.code == 2
    assert outcome.err.endswith("must be auto, or a number from 1 to 1024\n")


def test_auto_is_one_per_gpu_and_more_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert launch.resolve_count("auto", None) == 4
    assert launch.resolve_count("3", "auto") == 3
    assert launch.resolve_count("8", "cpu") == 8
    assert launch.resolve_count("auto", "cpu") == 1
    with pytest.raises(UsageError, match="--processes 8: this machine has 4 GPUs; give --processes 4 or auto"):
        launch.resolve_count("8", "cuda")
