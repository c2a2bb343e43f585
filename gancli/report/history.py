"""The losses of a run: their names for people, their curves, and a curve in one line of text."""

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from gancli.text import printable

MAX_HISTORY = 128
BARS = "▁▂▃▄▅▆▇█"
Points = tuple[tuple[int, float], ...]


def is_d_output(term: str) -> bool:
    """Return whether a term is a mean output of D, a probability: `d_real`, `d0_fake`."""
    return re.fullmatch(r"d\d*_(real|fake)", term) is not None


def network(term: str) -> str:
    """Return the network of a term: `d` of `d_loss`, `d_loss_2` and `d_real`, `g` of `g1_loss`, `""` of `mse`."""
    found = re.match(r"([dg])\d*(_|$)", term)
    return found[1] if found else ""


def label(term: str) -> str:
    """Return a term's name for people: `D(real)` for `d_real`, `G1 loss` for `g1_loss`; others unchanged but printable."""
    name, _, kind = term.partition("_")
    if is_d_output(term):
        return f"{name.upper()}({kind})"
    return f"{name.upper()} loss" if re.fullmatch(r"[dg]\d*_loss", term) else printable(term)


@dataclass
class Curve:
    """Values over steps."""

    steps: list[int] = field(default_factory=list)
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, step: int, value: float) -> None:
        self.steps.append(step)
        self.values.append(value)

    def __len__(self) -> int:
        return len(self.steps)

    def points(self) -> Iterator[tuple[int, float]]:
        return zip(self.steps, self.values, strict=True)

    def sort(self) -> None:
        """Sort the points by step; a run writes them in this order."""
        if any(a > b for a, b in pairwise(self.steps)):
            ordered = self.at(sorted(range(len(self)), key=self.steps.__getitem__))
            self.steps, self.values = ordered.steps, ordered.values

    def at(self, indices: Iterable[int]) -> "Curve":
        """Return the points with these indices."""
        chosen = list(indices)
        return Curve([self.steps[i] for i in chosen], array("d", (self.values[i] for i in chosen)))

    def thinned(self, max_points: int) -> "Curve":
        """Return a curve of about `max_points` points that looks the same: the minimum, the maximum and a NaN of each of
        equally long parts, and the first and last point. For a whole curve: extremes of extremes would grow."""
        if len(self) <= max_points:
            return self
        num_parts = max(1, (max_points - 2) // 2)
        edges = [1 + (len(self) - 2) * part // num_parts for part in range(num_parts + 1)]
        extremes = (i for start, stop in pairwise(edges) for i in self._extremes(start, stop))
        return self.at([0, *extremes, len(self) - 1])

    def _extremes(self, start: int, stop: int) -> list[int]:
        indices = range(start, stop)
        finite = [i for i in indices if not math.isnan(self.values[i])]
        nan = next((i for i in indices if math.isnan(self.values[i])), None)
        found = (
            {min(finite, key=self.values.__getitem__), max(finite, key=self.values.__getitem__)} if finite else set()
        )
        return sorted(found if nan is None else {*found, nan})


class LossHistory:
    """A curve for each term. `max_points`: of a curve, None for all. A curve that exceeds it loses every second point, so
    the points depend only on what was added, and a resumed run has the same ones."""

    def __init__(self, points: Mapping[str, Points], max_points: int | None = MAX_HISTORY) -> None:
        self._max_points = max_points
        self.curves = {
            name: Curve([step for step, _ in series], array("d", (value for _, value in series)))
            for name, series in points.items()
        }

    def add(self, step: int, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            if (curve := self.curves.get(name)) is None:
                curve = self.curves[name] = Curve()
            curve.add(step, value)
            if self._max_points is not None and len(curve) > self._max_points:
                self.curves[name] = curve.at(range(1, len(curve), 2))

    def points(self) -> dict[str, Points]:
        return {name: tuple(curve.points()) for name, curve in self.curves.items()}

    def values(self, name: str) -> Sequence[float]:
        """Return the values of a term without their steps, of an unknown term none."""
        return self.curves[name].values if name in self.curves else ()


def sparkline(values: Sequence[float], width: int) -> str:
    """Return `values` in at most `width` characters, scaled from their minimum to their maximum. A character is the mean of
    equally many values, and blank where none of them is finite."""
    if width < 1 or not values:
        return ""
    columns = min(width, len(values))
    edges = [len(values) * column // columns for column in range(columns + 1)]
    means = [_mean(values[start:stop]) for start, stop in pairwise(edges)]
    finite = [mean for mean in means if math.isfinite(mean)]
    if not finite:
        return " " * columns
    low, high = min(finite), max(finite)
    return "".join(_bar(mean, low, high) for mean in means)


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(value / len(finite) for value in finite) if finite else math.nan


def _bar(value: float, low: float, high: float) -> str:
    """Return the bar for `value` between `low` and `high`, the middle one if these are equal."""
    if not math.isfinite(value):
        return " "
    span = high / 2 - low / 2  # high - low may be infinite
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    return BARS[round(min(1.0, max(0.0, share)) * (len(BARS) - 1))]
