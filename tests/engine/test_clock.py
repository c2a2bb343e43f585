"""Time: how fast a run goes, what is left, when a state is saved. No test sleeps: the clock is turned by hand."""

import json
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli import events
from gancli.engine import session
from gancli.engine.clock import Clock
from gancli.events import Progress
from gancli.store.run_directory import RunDirectory
from gancli.store.state import Writer
from tests.conftest import SMALL, Gan, sha256
from tests.engine.test_resume import ENDS, stop_after, tiny_events, train_args


class Slow(Clock):
    """A clock by which every step takes 100 s, and nothing else any time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__(lambda: self.seconds)

    def count(self, steps: int) -> None:
        self.seconds += 100.0 * steps
        super().count(steps)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps take long; a state is written before the next one is due."""
    monkeypatch.setattr(session, "Clock", Slow)
    monkeypatch.setattr(Writer, "busy", False)


def test_the_time_left_is_no_longer_than_max_time_allows() -> None:
    clock = Slow()
    clock.stops_at = 500.0
    clock.count(1)
    assert clock.seconds_for(2) == pytest.approx(200.0)
    assert clock.seconds_for(100) == pytest.approx(400.0)
    clock.count(5)
    assert clock.seconds_for(100) == 0.0


def test_the_first_save_is_due_so_long_after_the_first_step_began() -> None:
    clock = Slow()
    clock.seconds += 10_000.0
    clock.restart()
    clock.count(5)
    assert not clock.save_due(600.0)
    clock.count(1)
    assert clock.save_due(600.0)
    assert not clock.save_due(None)
    clock.saved()
    assert not clock.save_due(600.0)


@given(st.integers(1, 10**6), st.floats(1e-3, 1e4), st.lists(st.floats(0, 1e5), min_size=2, max_size=20).map(sorted))
def test_a_time_left_runs_down_during_a_step_and_grows_from_its_foreseen_end_on(
    steps_left: int, per_step: float, moments: list[float]
) -> None:
    progress = Progress(0, steps_left, left_s=steps_left * per_step)
    for before, after in pairwise(moments):
        one, two = (progress.after(moment).left_s for moment in (before, after))
        assert one >= 0 or math.isclose(one, 0, abs_tol=1e-6 * progress.left_s)
        if after <= per_step:
            assert one - two == pytest.approx(after - before, abs=1e-6 * progress.left_s)
        if before >= per_step:
            assert two - one >= (after - before) * (1 - 1e-6) - 1e-6 * progress.left_s


@pytest.mark.usefixtures("slow")
def test_a_long_run_saves_within_ten_minutes_unasked(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(monkeypatch, 14)
    args = ("train", *SMALL, "--steps", 200_000, "--log-every", 100, "--keep", 9, "--out", "run")
    assert gan(*args).code == 75
    assert saved(tmp_path / "run") == [6, 12, 14]


def saved(run: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("step-")) for path in RunDirectory(run).states())


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(("every", "steps"), [("5m", [3, 6, 9, 10]), ("4,5m", [3, 4, 7, 8, 10])])
def test_save_every_is_a_time_a_number_of_steps_or_what_comes_first_of_both(
    gan: Gan, tmp_path: Path, every: str, steps: list[int]
) -> None:
    outcome = gan("train", *SMALL, "--steps", 10, "--save-every", every, "--keep", 9, "--out", "run")
    assert outcome.code == 0, outcome.err
    assert saved(tmp_path / "run") == steps


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("variant", ["vanilla", pytest.param("srgan", marks=pytest.mark.slow)])
def test_states_saved_by_the_clock_change_nothing_and_any_of_them_goes_on_to_the_same_bytes(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    """Nor do the words of progress, with means amid an interval, that come by the same clock."""
    args = (*train_args(variant), "--steps", 20)
    assert gan(*args, "--save-every", 20, "--out", "whole").code == 0
    with monkeypatch.context() as patched:
        patched.setattr(session, "Clock", Slow)
        patched.setattr(Writer, "busy", False)
        assert gan(*args, "--save-every", "5m", "--keep", 9, "--out", "timed", "--progress", "plain").code == 0
    assert saved(tmp_path / "timed") == [3, 6, 9, 12, 15, 18, 20]
    assert gan("train", "--resume", "timed/state/step-00000012.safetensors", "--out", "on").code == 0
    for end in ENDS:
        assert sha256(Path("whole", end)) == sha256(Path("timed", end)) == sha256(Path("on", end)), end
    assert losses("timed") == losses("whole")


def losses(run: str) -> list[dict[str, float]]:
    rows = map(json.loads, Path(run, "metrics.jsonl").read_text().splitlines())
    measured = ("time", "images_per_s", "elapsed_s", "memory_bytes")
    return [{name: value for name, value in row.items() if name not in measured} for row in rows]


@pytest.mark.usefixtures("slow")
def test_words_of_progress_tell_the_means_so_far_and_what_is_being_done(tmp_path: Path) -> None:
    seen = tiny_events(tmp_path / "run")
    words = [event for event in seen if isinstance(event, Progress)]
    assert [word.num_means for word in words if word.terms] == [1, 2, 3, 4] * 2
    rows = [event for event in seen if isinstance(event, events.LossRow)]
    assert [row.step for row in rows] == [5, 10]
    doing = list(dict.fromkeys(word.doing for word in words))
    assert doing == [
        "building the networks",
        "preparing the variant",
        "doing the first step",
        "training",
        "generating samples",
        "saving",
        "writing the state and the model",
    ]
    halfway = next(word for word in words if word.step == 7 and word.terms)
    assert halfway.left_s == pytest.approx(300.0)
    assert halfway.images_per_s == pytest.approx(16 / 100)


def test_the_default_is_a_tenth_and_ten_minutes_and_a_dry_run_says_so(gan: Gan) -> None:
    shown = gan("train", "--steps", 200_000, "--dry-run")
    assert re.search(r"--save-every +20000,10m", shown.out)
    assert "auto" in next(line for line in shown.out.splitlines() if "--save-every" in line)
    assert re.search(r"--save-every +1h", gan("train", "--save-every", "1h", "--dry-run").out)


def test_a_resume_may_save_more_often(gan: Gan, tmp_path: Path) -> None:
    assert gan("train", *SMALL, "--steps", 5, "--save-every", "1h", "--out", "run").code == 0
    outcome = gan("train", "--resume", "run", "--steps", 10, "--save-every", 2, "--keep", 9)
    assert outcome.code == 0, outcome.err
    assert saved(tmp_path / "run") == [5, 6, 8, 10]
    Path("old.toml").write_text("save_every = 3\n")
    assert gan("train", *SMALL, "--steps", 7, "--keep", 9, "--config", "old.toml", "--out", "other").code == 0
    assert saved(tmp_path / "other") == [3, 6, 7]
