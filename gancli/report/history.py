"""The losses of a run in few points, and a curve in one line of text."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

MAX_HISTORY = 128
BARS = "▁▂▃▄▅▆▇█"
Points = tuple[tuple[int, float], ...]


class LossHistory:
    """Loss curves of at most `MAX_HISTORY` points each, for states and the live table: when there are more, every second
    point goes. The points depend only on what was added, so a resumed run has the same ones."""

    def __init__(self, points: Mapping[str, Points]) -> None:
        self._points = {name: list(series) for name, series in points.items()}

    def add(self, step: int, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            series = self._points.setdefault(name, [])
            series.append((step, value))
            if len(series) > MAX_HISTORY:
                del series[::2]

    def points(self) -> dict[str, Points]:
        return {name: tuple(series) for name, series in self._points.items()}

    def values(self, name: str) -> list[float]:
        """One curve without its steps; an empty list where there is none of that name."""
        return [value for _, value in self._points.get(name, ())]


def sparkline(values: Sequence[float], width: int) -> str:
    """`values` in at most `width` characters, from their lowest to their highest; each is the mean of equally many values,
    and blank where none of these is finite."""
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
    """The bar for `value` between `low` and `high`, which are halved so that their distance is finite; the middle one where
    they are equal."""
    if not math.isfinite(value):
        return " "
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    return BARS[round(min(1.0, max(0.0, share)) * (len(BARS) - 1))]
