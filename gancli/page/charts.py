"""Which curves stand in which chart, and how they are told apart."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gancli.page import curves
from gancli.page.curves import Curve
from gancli.page.run_data import RunData
from gancli.report import words

NUM_COLOURS, NUM_DASHES = 8, 4
MAX_POINTS = 60_000  # of a page: about 1.5 MB
MIN_POINTS_OF_CURVE, MAX_POINTS_OF_CURVE = 20, 4_000
MAX_SERIES = 1_000  # of a page
D_OUTPUT = re.compile(r"d\d*_(real|fake)")
SPEED_TITLE = "Images per second"


@dataclass(frozen=True)
class Series:
    """A curve of a chart. `level`: a fixed value to compare it with, of real images; `run`: the index of its run."""

    label: str
    curve: Curve
    colour: int
    dash: int = 0
    level: float | None = None
    run: int = 0


@dataclass(frozen=True)
class Chart:
    """A chart. `unit`: values lie between 0 and 1; `marks`: the steps at which phases begin, by name."""

    title: str
    series: Sequence[Series]
    unit: bool = False
    marks: Mapping[str, int] = field(default_factory=dict)


def charts(runs: Sequence[RunData], max_points: int = MAX_POINTS, speed: bool = True) -> list[Chart]:
    """The charts of a page with at most about `max_points` points: of one run one chart per kind of term, of several one
    per term. `speed`: with images per second."""
    made = list(_of_one(runs[0]) if len(runs) == 1 else _of_several(runs))
    made = [chart for chart in made if speed or chart.title != SPEED_TITLE]
    made = made[: max(1, MAX_SERIES // len(runs))]
    share = max_points // max(1, sum(len(chart.series) for chart in made))
    most = min(MAX_POINTS_OF_CURVE, max(MIN_POINTS_OF_CURVE, share))
    marks = _marks(runs)
    return [
        replace(chart, series=[replace(each, curve=each.curve.thinned(most)) for each in chart.series], marks=marks)
        for chart in made
        if any(value == value for each in chart.series for value in each.curve.values)
    ]


def network(term: str) -> str:
    """The network that a term belongs to: `d` of `d_loss`, `d_loss_2` and `d_real`, `g` of `g_loss`, `""` of `mse`."""
    found = re.match(r"([dg])\d*(_|$)", term)
    return found[1] if found else ""


def _of_one(run: RunData) -> Iterator[Chart]:
    found = run.rows.curves
    losses = [name for name in found if "loss" in name]
    outputs = [name for name in found if D_OUTPUT.fullmatch(name)]
    if losses:
        yield Chart("Losses", _loss_series(found, losses))
    if outputs:
        series = [
            Series(words.label(name), found[name], int(name.endswith("_fake")), _level_dash(name)) for name in outputs
        ]
        yield Chart("D's output for real and generated images (1 = real)", series, unit=True)
    for name in found:
        if name not in {*losses, *outputs, curves.SPEED}:
            yield Chart(words.label(name), [Series(words.label(name), found[name], 2)])
    for name, curve in curves.measured(run.rows.evaluations).items():
        yield Chart(_measured_title(name), [Series(name, curve, 3, level=_real_score(run, name))])
    if curves.SPEED in found:
        yield Chart(SPEED_TITLE, [Series("images/s", found[curves.SPEED], 4)])


def _loss_series(found: Mapping[str, Curve], names: Sequence[str]) -> list[Series]:
    """D's losses in one colour and G's in another, each network's told apart by dashes."""
    counts: dict[str, int] = {}
    series = []
    for name in names:
        owner = network(name)
        count = counts[owner] = counts.get(owner, -1) + 1
        series.append(Series(words.label(name), found[name], {"d": 0, "g": 1}.get(owner, 2), count % NUM_DASHES))
    return series


def _level_dash(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits[0][:6]) % NUM_DASHES if digits else 0


def _measured_title(name: str) -> str:
    return f"{name}, measured during training"


def _of_several(runs: Sequence[RunData]) -> Iterator[Chart]:
    found = [run.rows.curves for run in runs]
    for name in dict.fromkeys(name for each in found for name in each if name != curves.SPEED):
        yield Chart(words.label(name), _per_run(runs, found, name), unit=bool(D_OUTPUT.fullmatch(name)))
    measured = [curves.measured(run.rows.evaluations) for run in runs]
    for name in dict.fromkeys(name for each in measured for name in each):
        series = _per_run(runs, measured, name)
        levels = {_real_score(run, name) for run, each in zip(runs, measured, strict=True) if name in each}
        if len(levels) == 1:  # measured with the same data
            series[0] = replace(series[0], level=levels.pop())
        yield Chart(_measured_title(name), series)
    if speeds := _per_run(runs, found, curves.SPEED):
        yield Chart(SPEED_TITLE, speeds)


def run_style(index: int) -> tuple[int, int]:
    """The colour and dash of one of several runs."""
    return index % NUM_COLOURS, (index // NUM_COLOURS) % NUM_DASHES


def _per_run(runs: Sequence[RunData], found: Sequence[Mapping[str, Curve]], name: str) -> list[Series]:
    """The curve of each run that has one of this name, in the run's own colour."""
    return [
        Series(run.name, each[name], *run_style(index), run=index)
        for index, (run, each) in enumerate(zip(runs, found, strict=True))
        if name in each
    ]


def _real_score(run: RunData, name: str) -> float | None:
    """The score of real images in the newest measurement during training."""
    return next((e.get("real", {}).get(name) for e in run.rows.evaluations if "best" in e), None)


def _marks(runs: Sequence[RunData]) -> dict[str, int]:
    """Where phases after the first begin, if the runs agree on that."""
    phases = [dict(list(run.rows.phases.items())[1:20]) for run in runs]
    return phases[0] if all(each == phases[0] for each in phases) else {}
