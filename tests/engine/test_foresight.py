"""A run that will take hours says so, once, as soon as its pace is known. No test sleeps: the clock is turned by hand."""

import pytest

from gancli.config import RunConfig
from gancli.engine.clock import Clock
from gancli.engine.monitors import Foresight
from gancli.text import Note

STEPS = 18_740


def lines(
    seconds_per_step: float, run: RunConfig, side: int | None, done: int = 200, first: float = 0.0
) -> list[tuple[float, str]]:
    """When (in seconds) the first steps of a run brought which line. `first`: how much longer the third one takes."""
    now = 0.0
    clock = Clock(lambda: now)
    now += 500.0  # decoding pictures, building networks: no pace
    clock.restart()
    foresight, found = Foresight(run, side), []
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


def test_a_run_that_is_measured_is_not_told_to_be() -> None:
    ((_, line),) = lines(2.5, RunConfig(eval_every=1000), 64)
    assert "--eval-every" not in line


def test_small_pictures_and_crops_cannot_be_made_smaller() -> None:
    for side in (32, 28, None):
        ((_, line),) = lines(2.5, RunConfig(), side)
        assert "--image-size" not in line


def test_capturing_a_step_is_no_pace() -> None:
    assert not lines(0.1, RunConfig(), 64, done=2_000, first=40.0)


def test_short_and_bounded_runs_say_nothing() -> None:
    assert not lines(0.1, RunConfig(), 64, done=2_000)
    assert not lines(2.5, RunConfig(max_time="10m"), 64)
