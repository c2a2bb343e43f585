"""Warnings while a run trains, each once; and a run too large for the machine, told before or when it happens."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gancli.engine import memory
from gancli.engine.monitors import PERFECT_INTERVALS, Health
from gancli.steps.runner import Runner
from tests.conftest import SMALL, Gan


def test_a_discriminator_that_is_never_wrong_is_told_once() -> None:
    looks = Health()
    told = [
        list(looks.losses(100 * step, {"d_loss_0": 0.01, "g_loss_0": 9.0})) for step in range(3 * PERFECT_INTERVALS)
    ]
    assert [bool(each) for each in told].index(True) == PERFECT_INTERVALS - 1
    ((message,),) = [each for each in told if each]
    assert message.startswith("d_loss_0 has been below 0.05")


def test_a_discriminator_that_is_wrong_now_and_then_is_left_alone() -> None:
    looks = Health()
    for step in range(100):
        assert not list(looks.losses(100 * step, {"d_loss": 1.2 if step % PERFECT_INTERVALS == 0 else 0.001}))


@pytest.mark.parametrize("num_classes", [1, 4])
def test_samples_that_are_all_alike_are_told_once(num_classes: int) -> None:
    looks = Health()
    classes = torch.randint(0, 256, (num_classes, 1, 8, 8), dtype=torch.uint8)
    alike = classes.repeat(16 // num_classes, 1, 1, 1)
    assert not list(looks.samples(200, torch.randint(0, 256, (16, 1, 8, 8), dtype=torch.uint8), num_classes))
    assert not list(looks.samples(199, alike, num_classes))
    (message,) = looks.samples(300, alike, num_classes)
    assert "collapsed" in message
    assert not list(looks.samples(400, alike, num_classes))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_out_of_memory_names_a_batch_that_should_fit(
    gan: Gan, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(Runner, "advance", refuse)
    monkeypatch.setattr(memory, "available_bytes", lambda _: 50_000_000)
    outcome = gan("train", *SMALL, "--batch-size", 4096, "--steps", 5, "--out", "run", "--progress", "none")
    assert outcome.code == 1
    assert outcome.err.startswith("gan: --batch-size 4096: out of memory on cpu; --batch-size ")
    fitting = int(outcome.err.split("--batch-size ")[2].split()[0])
    assert 16 <= fitting < 4096


def test_a_run_that_expects_more_memory_than_there_is_says_so_first(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: 100_000)
    outcome = gan("train", *SMALL, "--steps", 5, "--out", "run", "--progress", "plain")
    assert outcome.code == 0
    assert "--batch-size 16: needs about" in outcome.err


def test_a_disk_without_room_for_one_state_is_refused_before_the_first_step(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    outcome = gan("train", *SMALL, "--steps", 5, "--out", "run", "--progress", "none")
    assert outcome.code == 1
    assert "a saved state takes about" in outcome.err
    assert not (tmp_path / "run" / "ckpt.safetensors").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=400_000))
    outcome = gan("train", *SMALL, "--steps", 5, "--out", "tight", "--progress", "plain", "--keep", 9)
    assert outcome.code == 0
    assert "9 kept states with a new one" in outcome.err
