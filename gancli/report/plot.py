"""Curves made of characters: a plot of losses over steps, and one-line sparks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

from gancli.report import words

Points = Sequence[tuple[int, float]]

BARS = "▁▂▃▄▅▆▇█"
COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
MIN_WIDTH, MIN_HEIGHT = 24, 4
# The bit of each dot of a braille character (Unicode 2800-28FF): by column, top to bottom.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# How each curve is broken up, so that they can be told apart without colour: (drawn, period) in dots.
DASHES = ((1, 1), (1, 2), (6, 8), (2, 6), (3, 4), (1, 4))


def sparkline(values: Sequence[float], width: int) -> str:
    """The course of `values` in at most `width` characters; gaps where they are not finite."""
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
    if not math.isfinite(value):
        return " "
    return BARS[round(_share(value, low, high) * (len(BARS) - 1))]


def _share(value: float, low: float, high: float) -> float:
    """Where `value` lies between `low` (0) and `high` (1); the middle where these are equal. Safe for any finite floats."""
    if not low < high:
        return 0.5
    span = high / 2 - low / 2
    return min(1.0, max(0.0, (value / 2 - low / 2) / span)) if span > 0 else 0.5


@dataclass(frozen=True)
class _Axes:
    """The part of a plot that curves are drawn in, in characters, and the values at its edges."""

    columns: int
    rows: int
    first_step: int
    last_step: int
    low: float
    high: float

    def dot(self, step: int, value: float) -> tuple[int, int]:
        """Column and row of a point, in dots from the top left."""
        across = _share(step, self.first_step, self.last_step) if self.first_step < self.last_step else 0.0
        down = 1 - _share(value, self.low, self.high)
        return round(across * (2 * self.columns - 1)), round(down * (4 * self.rows - 1))


def plot(series: Mapping[str, Points], *, width: int, height: int) -> str:
    """Several curves of (step, value) over the same axes, as lines of at most `width` characters, `height` lines in all.

    Told apart by how they are broken up; a legend says how, and their last values. Values that are not finite leave gaps.
    """
    return plot_text(series, width=width, height=height).plain


def plot_text(series: Mapping[str, Points], *, width: int, height: int) -> Text:
    """As `plot`, with a colour for each curve; what the console can't show of it is left out."""
    width, height = max(width, MIN_WIDTH), max(height, MIN_HEIGHT)
    sound = {name: [(s, v) for s, v in points if math.isfinite(v)] for name, points in series.items()}
    everything = [point for points in sound.values() for point in points]
    if not everything:
        return Text("nothing to plot yet"[:width])
    steps, values = [s for s, _ in everything], [v for _, v in everything]
    low, high = min(values), max(values)
    labels = [words.term("", each) for each in (high, low / 2 + high / 2, low)]
    margin = max(map(len, labels))
    legend = _legend(sound, width)
    rows = max(2, height - 1 - len(legend))
    axes = _Axes(max(8, width - margin - 2), rows, min(steps), max(steps), low, high)
    cells, colours = _draw(sound, axes)
    marks = {0: labels[0], rows - 1: labels[2]}
    if rows >= 5 and low < high:
        marks[(rows - 1) // 2] = labels[1]
    lines = [_row(marks.get(y, "").rjust(margin), cells[y], colours[y]) for y in range(rows)]
    return Text("\n", no_wrap=True).join([*lines, _step_axis(axes, margin), *legend])


def _draw(series: Mapping[str, Points], axes: _Axes) -> tuple[list[list[int]], list[list[str]]]:
    """The dots (as bits) and the colour of each character, by row and column."""
    cells = [[0] * axes.columns for _ in range(axes.rows)]
    colours = [[""] * axes.columns for _ in range(axes.rows)]
    for index, points in enumerate(series.values()):
        drawn, period = DASHES[index % len(DASHES)]
        colour = COLOURS[index % len(COLOURS)]
        for x, y in _curve([axes.dot(step, value) for step, value in points]):
            if x % period < drawn or len(points) == 1:
                cells[y // 4][x // 2] |= DOTS[x % 2][y % 4]
                colours[y // 4][x // 2] = colour
    return cells, colours


def _curve(dots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The dots between dots: a straight line from each to the next."""
    curve = list(dots[:1])
    for (x0, y0), (x1, y1) in pairwise(dots):
        length = max(abs(x1 - x0), abs(y1 - y0), 1)
        curve += [(x0 + (x1 - x0) * i // length, y0 + (y1 - y0) * i // length) for i in range(1, length + 1)]
    return curve


def _row(label: str, cells: Sequence[int], colours: Sequence[str]) -> Text:
    line = Text(f"{label} ┤" if label.strip() else f"{label} │", style="dim")
    drawn = Text(style="not dim")
    for bits, colour in zip(cells, colours, strict=True):
        drawn.append(chr(0x2800 + bits) if bits else " ", colour)
    drawn.rstrip()
    return line.append_text(drawn)


def _step_axis(axes: _Axes, margin: int) -> Text:
    left, right = f"step {axes.first_step:,}", f"{axes.last_step:,}"
    gap = axes.columns - len(left) - len(right)
    if axes.first_step == axes.last_step or gap < 1:
        gap, right = 0, ""
    line = Text(" " * (margin + 1) + "└" + left + " " * gap + right, style="dim")
    line.truncate(margin + 2 + axes.columns, overflow="ellipsis")  # a step of many digits in a narrow plot
    return line


def _legend(series: Mapping[str, Points], width: int) -> list[Text]:
    """One entry per curve that has points: its sample, name and last value; in as many lines as they need."""
    lines = [Text()]
    for index, (name, points) in enumerate(series.items()):
        if not points:
            continue
        drawn, period = DASHES[index % len(DASHES)]
        sample = "".join(
            chr(0x2800 + sum(DOTS[side][1] for side in (0, 1) if (2 * i + side) % period < drawn)) for i in range(4)
        )
        entry = Text.assemble(
            (sample, COLOURS[index % len(COLOURS)]), f" {words.label(name)} ", words.term(name, points[-1][1])
        )
        entry.truncate(width, overflow="ellipsis")
        if lines[-1] and lines[-1].cell_len + 3 + entry.cell_len > width:
            lines.append(Text())
        lines[-1].append_text(Text("   ") + entry if lines[-1] else entry)
    return lines
