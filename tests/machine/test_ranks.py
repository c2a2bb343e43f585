"""Several processes under torchrun: the model of one, whatever their number; one of them writes; they leave together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from PIL import Image
from torch import Tensor

from gancli import catalogue
from tests.conftest import Gan, slow_ones
from tests.engine.test_resume import train_args


def torchrun(*args: object) -> "subprocess.Popen[str]":
    """`gan` in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "gancli"]
    return subprocess.Popen(
        [*command, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def done(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=90)
    finally:
        process.kill()
    return process.returncode, out, err


def losses(run: str) -> list[dict[str, float]]:
    rows = map(json.loads, Path(run, "metrics.jsonl").read_text().splitlines())
    return [{name: row[name] for name in row if name == "step" or "loss" in name} for row in rows]


def pixels(path: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.int16)


def weights(run: str) -> dict[str, Tensor]:
    return safetensors.torch.load_file(Path(run, "ckpt.safetensors"))


def check_same(run: str, expected: str, steps: range) -> None:
    """The losses of these steps, the pictures and the weights, within rounding."""
    for row, other in zip(losses(run), losses(expected)[steps.start - 1 :], strict=True):
        assert row == pytest.approx(other, rel=2e-4, abs=2e-5)
    difference = np.abs(pixels(f"{run}/samples/step-00000016.png") - pixels(f"{expected}/samples/step-00000016.png"))
    assert difference.max() <= 3
    for name, tensor in weights(expected).items():
        if tensor.dim() > 1:  # a bias before batch norm has no slope but rounding, and Adam makes steps of that
            assert (tensor - weights(run)[name]).abs().max() < 2e-4, name


@pytest.mark.parametrize("variant", slow_ones(catalogue.names(), "vanilla".__ne__))
def test_two_processes_train_the_model_of_one_and_one_goes_on_from_theirs(gan: Gan, variant: str) -> None:
    # fp32: half precision rounds differently for half of a batch, by far more than the tolerances here
    small = (*train_args(variant), "--precision", "fp32")
    args = (*small, "--log-every", 1, "--progress", "none", "--save-every", 12, "--steps", 16)
    assert gan(*args, "--out", "one").code == 0
    code, out, err = done(torchrun(*args, "--out", "two"))
    assert code == 0, err
    assert out == "two/ckpt.safetensors\n"
    check_same("two", "one", range(1, 17))
    assert gan("train", "--resume", "two/state/step-00000012.safetensors", "--out", "back").code == 0
    check_same("back", "one", range(13, 17))


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_out_is_refused_once(tmp_path: Path) -> None:
    code, out, err = done(torchrun(*train_args("vanilla"), "--batch-size", 15, "--steps", 4, "--out", "run"))
    assert code
    assert not out
    assert err.count("gan: --batch-size 15: ") == 1
    assert "try 14" in err
    assert not (tmp_path / "run").exists()


def test_a_signal_stops_all_processes_with_the_state_saved(gan: Gan, tmp_path: Path) -> None:
    args = (*train_args("vanilla"), "--steps", 10_000_000, "--progress", "plain", "--out", "run")
    process = torchrun(*args)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and '"step"' in metrics.read_text()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code, _, _ = done(process)
    assert code  # torchrun's own
    assert time.monotonic() - asked < 20
    states = list((tmp_path / "run" / "state").glob("step-*.safetensors"))
    assert len(states) == 1
    step = int(states[0].stem.removeprefix("step-"))
    longer = gan(*train_args("vanilla"), "--steps", step + 5, "--out", "run", "--resume", "auto")
    assert longer.code == 0, longer.err
