"""What curves are drawn over: steps, the images trained on by then, or the time that training took."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gancli.errors import GancliError, UsageError, did_you_mean
from gancli.report.jsonl import is_number

STEPS, IMAGES, TIME = OVER = ("steps", "images", "time")
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


class TrainingTime:
    """Seconds that a run took up to its steps, added up over its processes, without the pauses between them.

    `starts`: when those began, as the run's log says; without, a process is taken to be new where `elapsed_s` falls.
    """

    def __init__(self, starts: Sequence[float] = ()) -> None:
        self._starts = starts
        self._before, self._elapsed, self._process = 0.0, 0.0, 0  # `_before`: seconds of earlier processes
        self.steps, self.seconds = array("q"), array("d")

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row of losses, in the order of the file. Rows that go back in steps or time are left out."""
        elapsed: Any = row.get("elapsed_s")
        if not is_number(elapsed) or elapsed < 0:
            return
        time = timestamp(row.get("time"))
        process = self._process if time is None else bisect_right(self._starts, time)
        if elapsed < self._elapsed or process != self._process:
            self._before += self._elapsed
        self._elapsed, self._process = float(elapsed), process
        seconds = self._before + self._elapsed
        if not self.steps or (row["step"] > self.steps[-1] and seconds >= self.seconds[-1]):
            self.steps.append(row["step"])
            self.seconds.append(seconds)

    @property
    def total(self) -> float | None:
        return self.seconds[-1] if self.seconds else None


def timestamp(time: object) -> float | None:
    """Seconds since 1970 of a row's or a log's `time`; None if it is none."""
    try:
        return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class XAxis:
    """Where the steps of one run lie. `batch_size`: 0 if unknown."""

    batch_size: int
    time: TrainingTime

    def offers(self, over: str) -> bool:
        return {STEPS: True, IMAGES: self.batch_size > 0, TIME: self.time.total is not None}[over]

    def position(self, step: int, over: str) -> float:
        """A step, a number of images, or seconds."""
        if over == STEPS:
            return step
        return step * self.batch_size if over == IMAGES else self._seconds(step)

    def _seconds(self, step: int) -> float:
        """By interpolation between rows; of later steps the time of the last row."""
        steps, seconds = self.time.steps, self.time.seconds
        at = bisect_left(steps, step)
        if at == len(steps):
            return seconds[-1]
        (a, before) = (steps[at - 1], seconds[at - 1]) if at else (0, 0.0)
        return before + (seconds[at] - before) * (step - a) / (steps[at] - a) if steps[at] > a else seconds[at]


class HasXAxis(Protocol):
    name: str

    @property
    def x_axis(self) -> XAxis: ...


def offered(runs: Sequence[HasXAxis]) -> list[str]:
    """What the curves of all these runs can be drawn over."""
    return [over for over in OVER if all(run.x_axis.offers(over) for run in runs)]


def common_position(runs: Sequence[HasXAxis], step: int, over: str) -> float | None:
    """Where a step of all runs lies; None if it differs."""
    positions = {run.x_axis.position(step, over) for run in runs}
    return positions.pop() if len(positions) == 1 else None


def require(over: str, runs: Sequence[HasXAxis]) -> None:
    """Raises `GancliError` if a run has too little data for this axis."""
    for run in runs:
        if not run.x_axis.offers(over):
            missing = "batch size" if over == IMAGES else "training time"
            raise GancliError(
                f"--over {over}: the {missing} of {run.name} is not recorded; --over {STEPS} needs nothing"
            )


def time_unit(seconds: float) -> tuple[float, str]:
    """The unit to show a length of time in: its seconds and its name."""
    return next(((float(size), name) for size, name in UNITS if seconds >= 2 * size), (1.0, "s"))


def check(over: str) -> str:
    """Raises `UsageError` for a word that is none of `OVER`."""
    if over not in OVER:
        raise UsageError(f"--over {over}: must be one of {', '.join(OVER)}{did_you_mean(over, OVER)}")
    return over
