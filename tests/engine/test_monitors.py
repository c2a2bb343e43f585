"""Warnings while a run trains, each once; and runs that are too large for the machine, or take hours."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gancli.config import RunConfig
from gancli.engine import memory
from gancli.engine.clock import Clock
from gancli.engine.monitors import PERFECT_INTERVALS, TimeEstimate, TrainingChecks
from gancli.steps.runner import StepRunner
from gancli.text import Note
from tests.conftest import SMALL, Gan


def test_a_discriminator_that_is_never_wrong_is_told_once() -> None:
    """Not one that is wrong now and then."""
    health, found = TrainingChecks(), {}
    for step in range(3 * PERFECT_INTERVALS):
        sometimes = 1.2 if step % PERFECT_INTERVALS == 0 else 0.001
        for message in health.check_losses(step * 100, {"d_loss_0": 0.01, "d_loss_1": sometimes, "g_loss_0": 9.0}):
            found[step] = message
    assert list(found) == [PERFECT_INTERVALS - 1]
    assert found[PERFECT_INTERVALS - 1].startswith("d_loss_0 has been below 0.05")


@pytest.mark.parametrize("num_classes", [1, 4])
def test_samples_that_are_all_alike_are_told_once(num_classes: int) -> None:
    health = TrainingChecks()
    classes = torch.randint(0, 256, (num_classes, 1, 8, 8), dtype=torch.uint8)
    alike = classes.repeat(16 // num_classes, 1, 1, 1)
    assert not list(health.check_samples(200, torch.randint(0, 256, (16, 1, 8, 8), dtype=torch.uint8), num_classes))
    assert not list(health.check_samples(199, alike, num_classes))
    (message,) = health.check_samples(300, alike, num_classes)
    assert "collapsed" in message
    assert not list(health.check_samples(400, alike, num_classes))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_out_of_memory_names_a_batch_that_should_fit(
    gan: Gan, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(StepRunner, "advance", refuse)
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
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=900_000))
    outcome = gan("train", *SMALL, "--steps", 5, "--out", "tight", "--progress", "plain", "--keep", 9)
    assert outcome.code == 0
    assert "9 kept states and a new one" in outcome.err


STEPS = 18_740


def lines(
    seconds_per_step: float, run: RunConfig, side: int | None, done: int = 200, first: float = 0.0
) -> list[tuple[float, str]]:
    """When (in seconds) the first steps of a run brought which line. `first`: how much longer the third one takes."""
    now = 0.0
    clock = Clock(lambda: now)
    now += 500.0  # decoding pictures, building networks: no pace
    clock.restart()
    foresight, found = TimeEstimate(run, side), []
    for step in range(1, done + 1):
        now += seconds_per_step + (first if step == 3 else 0.0)
        clock.count(1)
        found += [(now - 500.0, line) for line in foresight(clock, STEPS, STEPS - step)]
    return found


@pytest.mark.parametrize(("pace", "when"), [(2.5, 45.0), (40.0, 160.0), (0.4, 45.0)])
def test_hours_are_told_once(pace: float, when: float) -> None:
    ((told_at, line),) = lines(pace, RunConfig(dataset="photos"), 64)
    assert told_at == pytest.approx(when, abs=2 * pace)
    assert isinstance(line, Note)
    hours = round(pace * STEPS / 3600)
    assert f"18740 steps take about {hours} h" in line
    assert "--max-time 1h" in line
    assert "; --eval-every 1874 (also with --resume) keeps the best model so far; " in line
    assert line.endswith("(--image-size 32)")


def test_the_note_suggests_only_what_the_run_lacks() -> None:
    ((_, line),) = lines(2.5, RunConfig(eval_every=1000), 64)
    assert "--eval-every" not in line
    for side in (32, 28, None):
        ((_, line),) = lines(2.5, RunConfig(), side)
        assert "--image-size" not in line


@pytest.mark.usefixtures("toys")
def test_the_note_offers_the_preset_that_limits_the_time() -> None:
    """Where the variant has one, and the run does not use it already."""
    ((_, line),) = lines(2.5, RunConfig(variant="dcgan"), 64)
    assert "; a new run with --preset quick takes about 10m; " in line
    for run in (RunConfig(variant="dcgan", preset="quick"), RunConfig(variant="two_phases")):
        ((_, line),) = lines(2.5, run, 64)
        assert "--preset" not in line


def test_short_and_bounded_runs_get_no_note_even_where_capturing_a_step_takes_long() -> None:
    for capture_s in (0.0, 40.0):
        assert not lines(0.1, RunConfig(), 64, done=2_000, first=capture_s)
    assert not lines(2.5, RunConfig(max_time="10m"), 64)
    assert not lines(2.5, RunConfig(within="5h"), 64)
