"""A chart as SVG, for readers without JavaScript, for print, and until the page's script draws it anew."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from gancli.page.charts import Chart, Series, number, ticks
from gancli.page.curve import Curve, thinned
from gancli.page.markup import Markup, tag
from gancli.page.pace import Axis

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 14, 26  # margins
FROM_ZERO = 0.1  # a curve that begins within this share of its length is drawn from step 0
FEW = 20  # points that are also marked one by one, as in charts.js
MOST_POINTS = 600  # of a curve: more cannot be seen in so few pixels


class Scale:
    """Where steps and values lie in a chart."""

    def __init__(self, chart: Chart, axis: Axis) -> None:
        self.axis = axis
        points = [
            (axis.at(each.run, s), value) for each in chart.series for s, value in each.points if math.isfinite(value)
        ]
        values = [value for _, value in points] + [s.level for s in chart.series if s.level is not None]
        first, self.last = min(at for at, _ in points), max(at for at, _ in points)
        self.first = 0 if first <= self.last * FROM_ZERO else first
        self.low, self.high = (0.0, 1.0) if chart.unit and _within(values) else _widened(min(values), max(values))

    def x(self, at: float) -> float:
        share = (at - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return HEIGHT - BOTTOM - min(1.0, max(0.0, share)) * (HEIGHT - TOP - BOTTOM)


def _within(values: Sequence[float]) -> bool:
    return min(values) >= 0 and max(values) <= 1


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range with some room above and below, also of a single value."""
    room = (high - low) * 0.04 if math.isfinite(high - low) else 0.0
    if not low < high:
        room = abs(low) * 0.1 or 1.0
    widened = low - room, high + room
    return widened if all(map(math.isfinite, widened)) else (low, max(high, low + 1.0))


def drawn(chart: Chart, label: str, axis: Axis) -> Markup:
    """The chart; `label` names it to those who do not see it."""
    scale = Scale(chart, axis)
    parts = [*_grid(scale), *_marks(chart, scale)]
    for each in chart.series:
        parts += _curve(each, scale)
    return tag("svg", *parts, cls="plot", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def _grid(scale: Scale) -> Iterator[Markup]:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    for value in ticks(scale.low, scale.high, 6):
        y = f"{scale.y(value):.1f}"
        yield tag("line", cls="grid", x1=LEFT, x2=right, y1=y, y2=y)
        yield tag("text", number(value), x=LEFT - 5, y=f"{scale.y(value) + 3.5:.1f}", text_anchor="end")
    size, unit = scale.axis.unit(scale.last - scale.first)
    for value in ticks(scale.first / size, scale.last / size, 4):
        if unit or value == int(value):
            told = f"{number(value)} {unit}" if unit else f"{int(value):,}"
            x = scale.x(value * size)
            hangs_over = x > WIDTH - 28
            place = f"{WIDTH - 2 if hangs_over else x:.1f}"
            yield tag("text", told, x=place, y=floor + 15, text_anchor="end" if hangs_over else "middle")
    yield tag("line", cls="axis", x1=LEFT, x2=right, y1=floor, y2=floor)


def _marks(chart: Chart, scale: Scale) -> Iterator[Markup]:
    for name, step in chart.marks.items():
        at = scale.axis.of_all(step)
        if at is not None and scale.first < at <= scale.last:
            x = f"{scale.x(at):.1f}"
            yield tag("line", cls="mark", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM)
            yield tag("text", name, cls="phase", x=f"{scale.x(at) + 4:.1f}", y=TOP - 4)


def _curve(series: Series, scale: Scale) -> Iterator[Markup]:
    look = f"curve c{series.colour} d{series.dash}"
    if series.level is not None:
        y = f"{scale.y(series.level):.1f}"
        yield tag("line", cls=f"level c{series.colour}", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)
    points = [(scale.axis.at(series.run, step), value) for step, value in thinned(Curve.of(series.points), MOST_POINTS)]
    lines = [list(part) for sound, part in groupby(points, lambda point: point[1] == point[1]) if sound]
    path = "".join(_strokes(line, scale) for line in lines if len(line) > 1)
    if path:
        yield tag("path", cls=look, d=path)
    marked = [point for line in lines if len(line) == 1 or len(points) <= FEW for point in line]
    for at, value in marked:
        yield tag("circle", cls=f"dot c{series.colour}", cx=f"{scale.x(at):.1f}", cy=f"{scale.y(value):.1f}", r=3)


def _strokes(line: Sequence[tuple[float, float]], scale: Scale) -> str:
    return "M" + "L".join(f"{scale.x(at):.1f} {scale.y(value):.1f}" for at, value in line)
