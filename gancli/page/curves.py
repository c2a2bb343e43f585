"""The rows of a `metrics.jsonl` as curves."""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gancli.page.x_axis import TrainingTime
from gancli.report.jsonl import is_evaluation, is_number
from gancli.store.evaluations import Evaluation
from gancli.store.evaluations import found as measurements

MAX_TERMS = 64  # of one run; a row of anybody's may hold any number
MAX_STEP = 2**53  # beyond, JavaScript's numbers have gaps
NO_TERMS = ("step", "epoch", "phase", "elapsed_s", "memory_bytes", "time")
SPEED = "images_per_s"


@dataclass
class Curve:
    """Values over steps, in the order of the steps; NaN where a value is not finite."""

    steps: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, step: int, value: float) -> None:
        self.steps.append(step)
        self.values.append(value if math.isfinite(value) else math.nan)

    def __len__(self) -> int:
        return len(self.steps)

    def points(self) -> Iterator[tuple[int, float]]:
        return zip(self.steps, self.values, strict=True)

    def finite(self) -> list[float]:
        """The values without NaN."""
        return [value for value in self.values if value == value]

    def sort(self) -> None:
        """Put the points into the order of their steps, in which a run writes them."""
        if any(self.steps[i] > self.steps[i + 1] for i in range(len(self) - 1)):
            ordered = self._at(sorted(range(len(self)), key=lambda i: self.steps[i]))
            self.steps, self.values = ordered.steps, ordered.values

    def thinned(self, most: int) -> "Curve":
        """A curve of about `most` points that looks the same: the lowest, the highest and a NaN of each part, with the first
        and the last point."""
        if len(self) <= most:
            return self
        num_parts = max(1, (most - 2) // 2)
        edges = [1 + (len(self) - 2) * part // num_parts for part in range(num_parts + 1)]
        kept = [0, *(i for start, stop in pairwise(edges) for i in self._extremes(start, stop))]
        return self._at([*kept, len(self) - 1])

    def _extremes(self, start: int, stop: int) -> list[int]:
        values = self.values[start:stop]
        sound = [value for value in values if value == value]
        if not sound:
            return [start] if values else []
        kept = {start + values.index(min(sound)), start + values.index(max(sound))}
        if len(sound) < len(values):
            kept.add(start + next(i for i, value in enumerate(values) if value != value))
        return sorted(kept)

    def _at(self, indices: Sequence[int]) -> "Curve":
        return Curve(array("q", (self.steps[i] for i in indices)), array("d", (self.values[i] for i in indices)))


@dataclass
class Rows:
    """What a metrics file holds: a curve per term, the training time, where phases begin, the measurements (newest first),
    the last row.

    `gaps`: rows with a value that is not finite. `left_out`: terms over the limit.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    time: TrainingTime = field(default_factory=TrainingTime)
    phases: dict[str, int] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    last: Mapping[str, Any] = field(default_factory=dict)
    first_time: str = ""
    count: int = 0
    gaps: int = 0
    left_out: set[str] = field(default_factory=set)
    peak_bytes: int = 0


def gather(rows: Iterable[Mapping[str, Any]], starts: Sequence[float] = ()) -> Rows:
    """What rows hold. `starts`: when processes of the run began."""
    found, measured = Rows(time=TrainingTime(starts)), []
    for row in rows:
        if not 0 <= row["step"] <= MAX_STEP:
            continue
        if is_evaluation(row):
            measured.append(row)
        else:
            _add(found, row)
    for curve in found.curves.values():
        curve.sort()
    found.evaluations = measurements(measured)
    return found


def _add(found: Rows, row: Mapping[str, Any]) -> None:
    """Add one row of losses. JSON's null stands for NaN and infinity."""
    finite, curves, step = True, found.curves, row["step"]
    for name, value in row.items():
        if name in NO_TERMS or isinstance(value, str | bool | list | dict):
            continue
        if (curve := curves.get(name)) is None:
            if len(curves) >= MAX_TERMS:
                found.left_out.add(name)
                continue
            curve = curves[name] = Curve()
        sound = math.isfinite(value) if type(value) is float else is_number(value)
        finite = finite and sound
        curve.steps.append(step)
        curve.values.append(value if sound else math.nan)
    found.time.add(row)
    found.count += 1
    found.gaps += not finite
    found.last = row
    time, phase, held = (row.get(name) for name in ("time", "phase", "memory_bytes"))
    if isinstance(time, str):
        found.first_time = found.first_time or time
    if isinstance(phase, str) and len(found.phases) < MAX_TERMS:
        found.phases.setdefault(phase, step)
    if type(held) is int:
        found.peak_bytes = max(found.peak_bytes, held)


def measured(evaluations: Iterable[Evaluation]) -> dict[str, Curve]:
    """The metrics measured during training (`--eval-every`) as curves."""
    curves: dict[str, Curve] = {}
    for each in [each for each in evaluations if "best" in each][::-1]:
        for name, value in each["figures"].items():
            if name in curves or len(curves) < MAX_TERMS:
                curves.setdefault(name, Curve()).add(each["step"], value)
    for curve in curves.values():
        curve.sort()
    return curves
