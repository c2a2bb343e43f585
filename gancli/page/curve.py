"""A curve, and one with fewer points that looks the same."""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

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
