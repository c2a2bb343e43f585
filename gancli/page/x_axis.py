"""The x axes of curves: steps, the images trained on by then, or the time that training took."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gancli.errors import UsageError, did_you_mean
from gancli.report.rows import is_number

STEPS, IMAGES, TIME = OVER = ("steps", "images", "time")
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


class TrainingTime:
    """Seconds that a run took up to its steps: the sum over its processes, without the pauses between them.

    `starts`: when these began, by the run's log; without, a process counts as new where `elapsed_s` falls.
    """

    def __init__(self, starts: Sequence[float] = ()) -> None:
        self._starts = starts
        self._before, self._elapsed, self._process = 0.0, 0.0, 0  # `_before`: seconds of earlier processes
        self.steps, self.seconds = array("q"), array("d")

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of losses, in the order of the file. Rows that go back in steps or time are left out."""
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
        """The seconds up to the last row, None if no row has a time."""
        return self.seconds[-1] if self.seconds else None

    def at(self, step: int) -> float:
        """Return the seconds up to a step: interpolated between rows, after the last row its time."""
        after = bisect_left(self.steps, step)
        if after == len(self.steps):
            return self.seconds[-1]
        start, before = (self.steps[after - 1], self.seconds[after - 1]) if after else (0, 0.0)
        share = (step - start) / (self.steps[after] - start) if self.steps[after] > start else 1
        return before + (self.seconds[after] - before) * share


def timestamp(time: object) -> float | None:
    """Return the seconds since 1970 of the `time` of a row or of the log, None if it is not a time."""
    try:
        return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else None
    except (ValueError, OverflowError):
        return None


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit for a length of time: its seconds and its name."""
    return next(((float(size), name) for size, name in UNITS if seconds >= 2 * size), (1.0, "s"))


def check_axis(over: str) -> str:
    """Return `over`. Raises `UsageError` if it is not one of `OVER`."""
    if over not in OVER:
        raise UsageError(f"--over {over}: must be one of {', '.join(OVER)}{did_you_mean(over, OVER)}")
    return over
