"""`--within` and `--preset quick`: the length of a new run by the pace of the machine, then fixed and recorded."""

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gancli import catalogue
from gancli.engine import pace
from gancli.engine.session import Session
from gancli.errors import StoppedError
from gancli.steps.runner import StepRunner
from gancli.store.facts import command_from_config, from_header
from gancli.store.header import read_header
from gancli.store.run_directory import RunDirectory
from tests.conftest import SMALL, TINY, Gan, sha256
from tests.machine.test_ranks import done, torchrun
from tests.pictures import plain

LONG = ("--steps", 10**6)


@pytest.fixture(autouse=True)
def _short_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "TIMED_S", 0.02)


@pytest.fixture
def paces(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds per step by phase, which may be changed, instead of timings."""
    given = dict[str, float]()

    def seconds_per_step(_trial: Session, runner: StepRunner, _end: int, _stop: object) -> float:
        return given[runner.training_step.phase.name]

    monkeypatch.setattr(pace, "_seconds_per_step", seconds_per_step)
    return given


def refuse_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise AssertionError("steps were timed again")

    monkeypatch.setattr(pace, "steps_within", refuse)


def config(run: str) -> dict[str, Any]:
    return tomllib.loads(Path(run, "config.toml").read_text("utf-8"))


def test_a_run_is_that_of_the_number_of_steps_that_it_chose_and_resumes_and_repeats_without_timing(
    gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In weights, optimizers, random state and losses: timing some steps leaves no trace."""
    small = ("train", *SMALL, "--lr-decay", 1)
    first = gan(*small, *LONG, "--within", "0.3s", "--out", "quick", "--progress", "json")
    assert first.code == 0
    steps = config("quick")["steps"]
    assert 10 <= steps < 10**5
    assert steps == float(f"{steps:.2g}")
    assert f"--within 0.3s: {steps} of 1000000 steps" in first.out
    rows = [json.loads(line) for line in first.out.splitlines()]
    assert {row["steps"] for row in rows if row["event"] in ("run_started", "loss_row", "run_finished")} == {steps}
    refuse_timings(monkeypatch)
    assert gan(*small, "--steps", steps, "--out", "plain").code == 0
    assert gan("train", "--config", "quick/config.toml", "--out", "again").code == 0
    newest, earlier = RunDirectory(Path("quick")).states()[:2]
    assert gan("train", "--resume", earlier, "--out", "resumed").code == 0
    for name in (newest.relative_to("quick"), Path("ckpt.safetensors")):
        assert len({sha256(Path(run) / name) for run in ("quick", "plain", "again", "resumed")}) == 1
    path = Path("quick/ckpt.safetensors")
    assert from_header(path, read_header(path)).steps == steps


def test_the_preset_is_recorded_with_its_steps_and_the_same_command_again_finds_it_finished(
    gan: Gan, paces: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    paces["train"] = 600 / 43.21
    command = ("train", *SMALL, "--preset", "quick", "--out", "run", "--resume", "auto", "--progress", "plain")
    first = gan(*command)
    assert "note: --within 10m: 43 of 32000 steps, by the pace of this machine" in first.err
    recorded = config("run")
    assert (recorded["preset"], recorded["steps"]) == ("quick", 43)
    assert not {"epochs", "within"} & set(recorded)
    assert "--preset quick" in (repeat := command_from_config(recorded))
    assert "--steps 43" in repeat
    refuse_timings(monkeypatch)
    again = gan(*command)
    assert (again.code, "already finished, at step 43" in again.err) == (0, True)
    kept = gan(*command, "--steps", 50, "--within", "1h")
    assert "--within 1h: shortens new runs; this one keeps its length" in kept.err
    assert "already finished, at step 43" in kept.err
    assert gan(*command, "--steps", 50).code == 0
    assert config("run")["steps"] == 50


@pytest.mark.parametrize("length", [("--steps", 900), ("--epochs", 90)])
def test_a_run_that_was_shortened_below_a_given_length_stays_so_when_its_command_is_repeated(
    gan: Gan, paces: dict[str, float], monkeypatch: pytest.MonkeyPatch, length: tuple[str, int]
) -> None:
    paces["train"] = 60 / 5.2
    command = ("train", *SMALL, *length, "--within", "1m", "--out", "run", "--resume", "auto")
    assert gan(*command).code == 0
    assert config("run")["steps"] == 5
    refuse_timings(monkeypatch)
    again = gan(*command)
    assert (again.code, "already finished, at step 5" in again.err) == (0, True)


def test_a_length_that_is_given_wins_and_a_fast_machine_does_all_steps(
    gan: Gan, paces: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    paces["train"] = 1e-3
    done = gan("train", *SMALL, "--steps", 7, "--within", "1h", "--out", "all", "--progress", "plain")
    assert "--within 1h: all 7 steps should take less" in done.err
    assert config("all")["steps"] == 7
    assert gan("train", *SMALL, "--preset", "quick", "--epochs", 1, "--within", "1h", "--out", "epochs").code == 0
    assert config("epochs")["epochs"] == 1
    refuse_timings(monkeypatch)
    for length in (("--steps", 5), ("--epochs", 1)):
        assert gan("train", *SMALL, "--preset", "quick", *length, "--out", length[0]).code == 0
    assert config("--steps")["steps"] == 5
    Path("mine.toml").write_text('preset = "quick"\nsteps = 6\n', "utf-8")
    assert gan("train", *SMALL, "--config", "mine.toml", "--out", "file").code == 0


def test_the_repeated_command_of_a_quick_run_has_its_length() -> None:
    """Also where that is the preset's: on a slower machine the preset alone would give another."""
    config_class = catalogue.variant_info("srgan").config_class
    own = {name: field.default for name, field in config_class.__dataclass_fields__.items()}
    command = command_from_config({"variant": "srgan", "preset": "quick", "steps": 4000, "srgan": own})
    assert "--steps 4000" in command


def test_phases_count_by_their_own_pace(gan: Gan, paces: dict[str, float]) -> None:
    small = (*TINY, "--image-size", 16, "--width", 4, "--blocks", 1, "--d-width", 4)
    paces |= {"pretrain": 0.1, "adversarial-mse": 0.5}  # 600 steps: 500 × 0.1 s + 100 × 0.5 s
    outcome = gan("train", "-v", "srgan", *small, "--steps", 600, "--within", "3.3s", "--out", "run")
    assert outcome.code == 0
    assert config("run")["steps"] == 20
    assert config("run")["came_to"]["pretrain_steps"] == 17


def test_a_dry_run_says_that_the_number_is_chosen_at_the_start(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_timings(monkeypatch)
    shown = gan("train", "--preset", "quick", "--dry-run").out
    assert "at most 8000 steps over" in shown
    assert "the number is chosen when the run starts, by its pace, for about 10m (--within)" in shown
    fixed = gan("train", "--preset", "quick", "--steps", 9, "--dry-run").out
    assert "\n9 steps over" in fixed
    assert "chosen when" not in fixed


def test_timing_can_be_stopped(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "TIMED_S", math.inf)
    stopped = gan("train", *SMALL, *LONG, "--within", "1h", "--max-time", "2s", "--out", "run")
    assert stopped.code == StoppedError.exit_code
    assert "stopped by --max-time before the first step" in stopped.err
    assert not Path("run/ckpt.safetensors").exists()


def test_too_few_steps_on_own_images_suggest_more_time(gan: Gan, paces: dict[str, float]) -> None:
    paces["train"] = 100.0
    for number in range(20):
        plain(f"pics/{number}.png", grey=10 * number)
    warned = gan("train", *SMALL, "-d", "pics", "--preset", "quick", "--out", "run", "--progress", "plain")
    assert "--within 10m: 6 steps: training on your own images takes a few thousand steps; give a longer" in warned.err


@pytest.mark.slow
def test_two_processes_agree_on_the_number_of_steps() -> None:
    words = ("train", *SMALL, *LONG, "--within", "1s", "--progress", "none", "--out", "run")
    code, _, err = done(torchrun(*words))
    assert code == 0, err
    steps = config("run")["steps"]
    assert done(torchrun("train", *SMALL, "--steps", steps, "--progress", "none", "--out", "plain"))[0] == 0
    assert sha256(Path("run/ckpt.safetensors")) == sha256(Path("plain/ckpt.safetensors"))
