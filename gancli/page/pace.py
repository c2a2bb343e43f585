"""What curves may be drawn over: the steps, the pictures that were trained on by then, or the time that it took."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from gancli.errors import GancliError, UsageError, did_you_mean
from gancli.page.curve import Curve, thinned
from gancli.report.jsonl import is_number

STEPS, IMAGES, TIME = OVER = ("steps", "images", "time")
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
MOST_POINTS = 500  # of a clock: between them it is taken to go evenly


@dataclass
class Clock:
    """Seconds that a run took up to its steps, added up over the processes that it had, without the pauses between them.

    `starts`: when those began, as the run's log says; without, one that ran longer than the one before is taken for it.
    """

    starts: Sequence[float] = ()
    curve: Curve = field(default_factory=Curve)
    _before: float = 0.0  # of earlier processes
    _elapsed: float = 0.0
    _process: int = 0

    def read(self, row: Mapping[str, Any]) -> None:
        """Take a row of losses, in the order of the file."""
        elapsed: Any = row.get("elapsed_s")
        if not is_number(elapsed) or elapsed < 0:
            return
        time = seconds(row.get("time"))
        process = self._process if time is None else bisect_right(self.starts, time)
        if elapsed < self._elapsed or process != self._process:
            self._before += self._elapsed
        self._elapsed, self._process = float(elapsed), process
        self.curve.add(row["step"], self._before + self._elapsed)


def seconds(time: object) -> float | None:
    """A row's or a log's time since 1970; None for what is none."""
    try:
        return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Pace:
    """Of a run: pictures in a step (0: not known), and the steps and seconds of its clock."""

    batch_size: int = 0
    steps: Sequence[int] = ()
    seconds: Sequence[float] = ()

    @classmethod
    def of(cls, batch_size: int, clock: Curve) -> "Pace":
        steps: list[int] = [0]
        seconds = [0.0]
        for step, value in thinned(clock, MOST_POINTS):
            if step > steps[-1] and value >= seconds[-1]:  # what goes back is not of one run
                steps.append(step)
                seconds.append(value)
        return cls(batch_size, steps, seconds) if len(steps) > 1 else cls(batch_size)

    def knows(self, over: str) -> bool:
        return {STEPS: True, IMAGES: self.batch_size > 0, TIME: len(self.steps) > 0}[over]

    def at(self, step: int, over: str) -> float:
        """Where a step lies."""
        if over == STEPS:
            return step
        return step * self.batch_size if over == IMAGES else self._time(step)

    def _time(self, step: int) -> float:
        at = min(max(1, bisect_left(self.steps, step)), len(self.steps) - 1)
        (a, b), (before, after) = self.steps[at - 1 : at + 1], self.seconds[at - 1 : at + 1]
        return before + (after - before) * min(1.0, (step - a) / (b - a))  # nothing is told of later


class Paced(Protocol):
    """A run that has a pace."""

    name: str

    @property
    def pace(self) -> Pace: ...


@dataclass(frozen=True)
class Axis:
    """What the curves of some runs are drawn over."""

    over: str
    paces: Sequence[Pace]

    def at(self, run: int, step: int) -> float:
        """Where a step of one of the runs lies: a step, a number of pictures, or seconds."""
        return self.paces[run].at(step, self.over)

    def of_all(self, step: int) -> float | None:
        """Where a step of all runs lies; None where that is not one place."""
        places = {pace.at(step, self.over) for pace in self.paces}
        return places.pop() if len(places) == 1 else None

    def offered(self) -> list[str]:
        """What all runs tell."""
        return [over for over in OVER if all(pace.knows(over) for pace in self.paces)]

    def unit(self, span: float) -> tuple[float, str]:
        """What a length is told in: so many seconds, called `min`; 1 and `""` where it needs no word."""
        if self.over != TIME:
            return 1.0, ""
        return next(((float(size), name) for size, name in UNITS if span >= 2 * size), (1.0, "s"))


def axis(over: str, runs: Sequence[Paced]) -> Axis:
    """The axis that was asked for. Raises `GancliError` where a run does not tell enough for it."""
    paces = [run.pace for run in runs]
    for run, pace in zip(runs, paces, strict=True):
        if not pace.knows(over):
            missing = "how many pictures a step takes" if over == IMAGES else "how long its steps took"
            raise GancliError(f"--over {over}: {run.name} does not tell {missing}; --over {STEPS} needs nothing")
    return Axis(over, paces)


def check(over: str) -> str:
    """Raises `UsageError` for a word that is none of `OVER`."""
    if over not in OVER:
        raise UsageError(f"--over {over}: must be one of {', '.join(OVER)}{did_you_mean(over, OVER)}")
    return over
