"""The shell logic of examples/slurm, with a `scontrol` that only writes down what it is asked."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_train import wait_for
from tests.conftest import SMALL, Gan, sha256

SCRIPTS = Path(__file__).parents[1] / "examples" / "slurm"
SAVES = "trap 'sleep 0.5; echo saved; exit 75' USR1; echo up; while :; do sleep 0.05; done"

Resumable = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """What `scontrol` was asked, a line per call; not there if it was not called."""
    return tmp_path / "asked"


@pytest.fixture
def resumable(tmp_path: Path, asked: Path) -> Resumable:
    """Starts resumable.sh as the shell of job 17."""
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    scontrol.chmod(0o755)
    job = {"PATH": f"{scontrol.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}

    def start(*command: object, **env: str) -> "subprocess.Popen[bytes]":
        line = [str(SCRIPTS / "resumable.sh"), *map(str, command)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | job | env)

    return start


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("name", ["one-gpu.sh", "seeds.sh"])
def test_a_job_runs_gan_in_a_container_where_one_is_named(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "slurm"
    shutil.copytree(SCRIPTS, folder)
    job = {"GAN": "echo run --nv gan.sif", "SLURM_ARRAY_TASK_ID": "3"}
    done = subprocess.run(
        [folder / name, "runs/a", "faces"], cwd=folder, capture_output=True, text=True, env=os.environ | job
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("run --nv gan.sif train --variant ")


@pytest.mark.parametrize("name", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_every_script_is_runnable_and_parses(name: str) -> None:
    assert os.access(SCRIPTS / name, os.X_OK)
    assert subprocess.run(["bash", "-n", SCRIPTS / name]).returncode == 0
    bare = subprocess.run([SCRIPTS / name], capture_output=True, text=True)
    assert bare.returncode != 0
    assert "usage" in bare.stderr


@pytest.mark.parametrize(
    ("script", "job", "code", "queued"),
    [
        ("exit 0", "17", 0, False),
        ("exit 1", "17", 1, False),
        ("exit 4", "17", 4, False),
        ("exit 75", "17", 75, True),  # stopped by its own time limit
        ("exit 75", "", 75, False),  # outside Slurm
        ("kill -SEGV $$", "17", 128 + signal.SIGSEGV, False),
        ("kill -USR1 $$", "17", 128 + signal.SIGUSR1, True),  # before it could save
    ],
)
def test_only_a_command_that_was_stopped_is_queued_again(
    resumable: Resumable, asked: Path, script: str, job: str, code: int, queued: bool
) -> None:
    assert ended(resumable("bash", "-c", script, SLURM_JOB_ID=job))[0] == code
    assert asked.exists() == queued
    assert not queued or asked.read_text() == "requeue 17\n"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_reaches_the_command_whose_saving_is_waited_for(
    resumable: Resumable, asked: Path, number: signal.Signals
) -> None:
    process = resumable("bash", "-c", SAVES)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    time.sleep(0.2)
    process.send_signal(number)  # Slurm may send more than one
    code, out, err = ended(process)
    assert (code, out) == (75, "saved\n")
    assert "queueing job 17 again" in err
    assert asked.read_text() == "requeue 17\n"


def test_a_signal_at_any_moment_of_the_start_is_handed_on(resumable: Resumable) -> None:
    """Also before the command runs: then it is killed by it, as Python would be, and the job is queued again."""
    for delay in (0.0, 0.002, 0.004, 0.008, 0.016, 0.03):
        process = resumable("bash", "-c", SAVES)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        code, _, err = ended(process)
        assert code in (-signal.SIGTERM, 75, 138), err  # before bash has read its first line, it dies of it
        assert ("queueing job 17 again" in err) == (code > 0)


@pytest.mark.slow
def test_a_training_preempted_and_queued_again_ends_in_the_same_weights(
    tmp_path: Path, resumable: Resumable, asked: Path, gan: Gan
) -> None:
    args = (*SMALL, "--lr-decay", 0, "--seed", 3, "--save-every", 5, "--resume", "auto")
    out = tmp_path / "run"
    process = resumable(sys.executable, "-m", "gancli", "train", "--out", out, *args, "--steps", 100_000)
    wait_for(out / "ckpt.safetensors", process)
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    assert code == 75, err
    assert asked.read_text() == "requeue 17\n"
    step = int(sorted((out / "state").iterdir())[-1].stem.removeprefix("step-"))
    again = resumable(sys.executable, "-m", "gancli", "train", "--out", out, *args, "--steps", step + 20)
    assert ended(again)[0] == 0
    assert gan("train", "--out", "whole", *args, "--steps", step + 20).code == 0
    assert sha256(out / "ckpt.safetensors") == sha256(Path("whole/ckpt.safetensors"))
