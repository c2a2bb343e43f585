"""Which curves stand in which chart, and how they are told apart."""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gancli.page import curves
from gancli.page.curve import Curve, Point, thinned
from gancli.page.run import Run
from gancli.report import words

NUM_COLOURS, NUM_DASHES = 8, 4
POINTS_IN_ALL = 60_000  # of a page: about 1 MB
FEWEST, MOST = 20, 4_000  # points of a curve
MOST_SERIES = 1_000  # of a page: each has a button, a column and a curve of its own
BELIEVED = re.compile(r"d\d*_(real|fake)")
SPEED_TITLE = "Images per second"


@dataclass(frozen=True)
class Series:
    """A curve of a chart. `side`: "D", "G" or "": whose loss it is; `level`: a fixed value beside it, of real pictures;
    `run`: the number of the run that it is of."""

    label: str
    points: Sequence[Point]
    colour: int
    dash: int
    side: str = ""
    level: float | None = None
    run: int = 0


@dataclass(frozen=True)
class Chart:
    """A chart. `marks`: steps at which a phase begins, by its name; `unit`: values lie between 0 and 1."""

    title: str
    series: Sequence[Series]
    marks: Mapping[str, int]
    unit: bool = False

    @property
    def has_points(self) -> bool:
        return any(value == value for each in self.series for _, value in each.points)


def side(name: str) -> str:
    """Whose term it is: `d_loss`, `d_loss_2` and `d_real` are D's, `g_loss` G's, `mse` neither's."""
    found = re.match(r"([dg])\d*(_|$)", name)
    return found[1].upper() if found else ""


def charts(runs: Sequence[Run], points: int = POINTS_IN_ALL, speed: bool = True) -> list[Chart]:
    """The charts of a page: of one run by what its terms are about, of several one per term. At most about so many
    points in all; `speed`: with the one of images per second."""
    made = list(_of_one(runs[0]) if len(runs) == 1 else _of_several(runs))
    made = [each for each in made if speed or each[0] != SPEED_TITLE]
    made = made[: max(1, MOST_SERIES // len(runs))]  # beside so many runs there is no room for every term
    share = points // max(1, sum(len(chart) for _, chart, _ in made))
    most = min(MOST, max(FEWEST, share))
    marks = _marks(runs)
    drawn = [
        Chart(title, [Series(s.label, thinned(s.curve, most), s.colour, s.dash, s.side, s.level, s.run) for s in chart],
              marks, unit)
        for title, chart, unit in made
    ]  # fmt: skip
    return [chart for chart in drawn if chart.has_points]


@dataclass(frozen=True)
class _Plan:
    label: str
    curve: Curve
    colour: int
    dash: int
    side: str = ""
    level: float | None = None
    run: int = 0


_Made = tuple[str, list[_Plan], bool]


def _of_one(run: Run) -> Iterator[_Made]:
    found = run.rows.curves
    losses = [name for name in found if "loss" in name]
    believed = [name for name in found if BELIEVED.fullmatch(name)]
    rest = [name for name in found if name not in {*losses, *believed, curves.SPEED}]
    if losses:
        yield "Losses", _by_side(found, losses), False
    if believed:
        plans = [_Plan(words.label(n), found[n], 0 if n.endswith("_real") else 1, _number(n), "D") for n in believed]
        yield "What D takes real and drawn pictures for (1: real)", plans, True
    for name in rest:
        yield words.label(name), [_Plan(words.label(name), found[name], 2, 0, side(name))], False
    for name, curve in curves.measured(run.rows.evaluations).items():
        plan = _Plan(name, curve, 3, 0, level=_level(run, name))
        yield f"{name}, measured while training", [plan], False
    if curves.SPEED in found:
        yield SPEED_TITLE, [_Plan("images/s", found[curves.SPEED], 4, 0)], False


def _by_side(found: Mapping[str, Curve], names: Sequence[str]) -> list[_Plan]:
    """D's losses in one colour and G's in another, levels told apart by their dashes."""
    seen: dict[str, int] = {}
    plans = []
    for name in names:
        whose = side(name)
        number = seen[whose] = seen.get(whose, -1) + 1
        plans.append(_Plan(words.label(name), found[name], {"D": 0, "G": 1}.get(whose, 2), number % NUM_DASHES, whose))
    return plans


def _number(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits[0][:6]) % NUM_DASHES if digits else 0


def _of_several(runs: Sequence[Run]) -> Iterator[_Made]:
    found = [run.rows.curves for run in runs]
    for name in dict.fromkeys(name for each in found for name in each if name != curves.SPEED):
        yield words.label(name), _per_run(runs, found, name, side(name)), bool(BELIEVED.fullmatch(name))
    measured = [curves.measured(run.rows.evaluations) for run in runs]
    for name in dict.fromkeys(name for each in measured for name in each):
        plans = _per_run(runs, measured, name, "")
        levels = {_level(run, name) for run, each in zip(runs, measured, strict=True) if name in each}
        if len(levels) == 1:  # measured with the same data: real pictures stand there once
            plans[0] = dataclasses.replace(plans[0], level=levels.pop())
        yield f"{name}, measured while training", plans, False
    if plans := _per_run(runs, found, curves.SPEED, ""):
        yield SPEED_TITLE, plans, False


def _per_run(runs: Sequence[Run], found: Sequence[Mapping[str, Curve]], name: str, whose: str) -> list[_Plan]:
    """The curve of each run that has one of this name, in the run's own colour."""
    return [
        _Plan(run.name, each[name], index % NUM_COLOURS, (index // NUM_COLOURS) % NUM_DASHES, whose, run=index)
        for index, (run, each) in enumerate(zip(runs, found, strict=True))
        if name in each
    ]


def _level(run: Run, name: str) -> float | None:
    """What real pictures score in the newest measurement while training."""
    return next((e.get("real", {}).get(name) for e in run.rows.evaluations if "best" in e), None)


def _marks(runs: Sequence[Run]) -> dict[str, int]:
    """Where phases after the first begin, if the runs agree on that."""
    phases = [dict(list(run.rows.phases.items())[1:20]) for run in runs]
    return phases[0] if all(each == phases[0] for each in phases) else {}


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two values, at most about so many."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high and math.isfinite(high - low)):
        return [low]
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 1e-300 else 1e-300
    gap = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= rough * 0.999)
    first = math.ceil(low / gap - 1e-9)
    count = int(min(50, math.floor(high / gap + 1e-9) - first + 1))
    return [(first + i) * gap for i in range(count)]


def number(value: float) -> str:
    """`0.0125`, `12.5`, `1,200`, `3e-08`: four digits, as the page's script writes them."""
    if not math.isfinite(value):
        return "not a number"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
