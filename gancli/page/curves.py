"""The rows of a `metrics.jsonl` as curves, and curves with fewer points that look the same."""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.report.jsonl import each_row, is_evaluation, is_number
from gancli.store.evaluations import Evaluation
from gancli.store.evaluations import found as measurements

MOST_TERMS = 64  # of one run; a row of anybody's may hold any number
MOST_STEP = 2**53  # beyond, JavaScript's numbers have gaps
NO_TERMS = ("step", "epoch", "phase", "elapsed_s", "memory_bytes", "time")
SPEED = "images_per_s"
Point = tuple[int, float]


@dataclass
class Curve:
    """Values over steps, in the order of the steps; NaN where a value is not finite."""

    steps: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    @classmethod
    def of(cls, points: Sequence[Point]) -> "Curve":
        return cls(array("q", (step for step, _ in points)), array("d", (value for _, value in points)))

    def add(self, step: int, value: float) -> None:
        self.steps.append(step)
        self.values.append(value if math.isfinite(value) else math.nan)

    def __len__(self) -> int:
        return len(self.steps)

    def points(self) -> Iterator[Point]:
        return zip(self.steps, self.values, strict=True)

    def sort(self) -> None:
        """Put the points into the order of their steps, which is theirs already in a file that nobody touched."""
        if any(self.steps[i] > self.steps[i + 1] for i in range(len(self) - 1)):
            ordered = sorted(self.points(), key=lambda point: point[0])
            self.steps, self.values = array("q", (s for s, _ in ordered)), array("d", (v for _, v in ordered))


@dataclass
class Rows:
    """What a metrics file holds: a curve per term, where phases begin, the measurements (newest first), the last row.

    `gaps`: rows with a value that is not finite. `left_out`: terms over the limit.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    phases: dict[str, int] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    last: Mapping[str, Any] = field(default_factory=dict)
    first_time: str = ""
    count: int = 0
    gaps: int = 0
    left_out: set[str] = field(default_factory=set)
    peak_bytes: int = 0


def read(path: Path) -> Rows:
    """The rows of a metrics file, of which lines that are none are passed over. Raises `OSError`."""
    return gathered(each_row(path))


def gathered(rows: Iterable[Mapping[str, Any]]) -> Rows:
    found, measured = Rows(), []
    for row in rows:
        if not 0 <= row["step"] <= MOST_STEP:
            continue
        if is_evaluation(row):
            measured.append(row)
        else:
            _take(found, row)
    for curve in found.curves.values():
        curve.sort()
    found.evaluations = measurements(measured)
    return found


def _take(found: Rows, row: Mapping[str, Any]) -> None:
    """One row of losses. A null stands for NaN and infinity, which JSON has no word for."""
    finite, curves, step = True, found.curves, row["step"]
    for name, value in row.items():
        if name in NO_TERMS or isinstance(value, str | bool | list | dict):
            continue
        if (curve := curves.get(name)) is None:
            if len(curves) >= MOST_TERMS:
                found.left_out.add(name)
                continue
            curve = curves[name] = Curve()
        sound = math.isfinite(value) if type(value) is float else is_number(value)
        finite = finite and sound
        curve.steps.append(step)
        curve.values.append(value if sound else math.nan)
    found.count += 1
    found.gaps += not finite
    found.last = row
    found.first_time = found.first_time or _text(row.get("time"))
    if isinstance(phase := row.get("phase"), str) and len(found.phases) < MOST_TERMS:
        found.phases.setdefault(phase, row["step"])
    if type(held := row.get("memory_bytes")) is int:
        found.peak_bytes = max(found.peak_bytes, held)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def thinned(curve: Curve, most: int) -> list[Point]:
    """At most about `most` points that look as the curve does: of each part of it the lowest and the highest, and what was
    not finite; the first and the last are kept."""
    if len(curve) <= most:
        return list(curve.points())
    num_parts = max(1, (most - 2) // 2)
    found = [(curve.steps[0], curve.values[0])]
    for part in range(num_parts):
        start, stop = (1 + (len(curve) - 2) * edge // num_parts for edge in (part, part + 1))
        found += _extremes(curve, start, stop)
    found.append((curve.steps[-1], curve.values[-1]))
    return found


def _extremes(curve: Curve, start: int, stop: int) -> list[Point]:
    values = curve.values[start:stop]
    sound = [value for value in values if value == value]
    if not sound:
        return [(curve.steps[start], math.nan)] if len(values) else []
    kept = {start + values.index(min(sound)), start + values.index(max(sound))}
    if len(sound) < len(values):
        kept.add(start + next(i for i, value in enumerate(values) if value != value))
    return [(curve.steps[i], curve.values[i]) for i in sorted(kept)]


def measured(found: Iterable[Evaluation]) -> dict[str, Curve]:
    """The figures that were measured while training, as curves: of those with `--eval-every`."""
    curves: dict[str, Curve] = {}
    for each in [each for each in found if "best" in each][::-1]:
        for name, value in each["figures"].items():
            if name in curves or len(curves) < MOST_TERMS:
                curves.setdefault(name, Curve()).add(each["step"], value)
    for curve in curves.values():
        curve.sort()
    return curves
