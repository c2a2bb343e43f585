"""Which curves belong to which chart, with their style and their positions: for the page and for figures."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gancli.page.run_data import SPEED, RunData
from gancli.page.x_axis import OVER
from gancli.report.history import Curve, is_d_output, label, network
from gancli.text import printable

NUM_COLOURS, NUM_DASHES = 8, 4
MAX_POINTS = 50_000  # of a page: about 1.5 MB
MIN_POINTS_OF_CURVE, MAX_POINTS_OF_CURVE = 20, 4_000
MAX_SERIES = 1_000  # of a page
SPEED_TITLE = "Images per second"


@dataclass(frozen=True)
class Series:
    """A curve of a chart. `positions`: of its points on each axis that all runs have. `level`: the score of real images, to
    compare with; `run`: the index of its run."""

    label: str
    curve: Curve
    colour: int
    dash: int = 0
    level: float | None = None
    run: int = 0
    positions: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """A chart. `unit`: all values are between 0 and 1; `marks`: names of phases, with where they begin on each axis (None:
    the runs differ)."""

    title: str
    series: Sequence[Series]
    unit: bool = False
    marks: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


def charts(runs: Sequence[RunData], max_points: int = MAX_POINTS) -> list[Chart]:
    """Return the charts of runs with at most about `max_points` points: of one run one chart per kind of term, of several
    runs one per term."""
    found = list(_of_one(runs[0]) if len(runs) == 1 else _of_several(runs))[: max(1, MAX_SERIES // len(runs))]
    share = max_points // max(1, sum(len(chart.series) for chart in found))
    share = min(MAX_POINTS_OF_CURVE, max(MIN_POINTS_OF_CURVE, share))
    prepared = (_prepared(chart, runs, share) for chart in found)
    return [chart for chart in prepared if any(_finite(each.curve) for each in chart.series)]


def _prepared(chart: Chart, runs: Sequence[RunData], max_points: int) -> Chart:
    """Return a chart with thinned curves, their positions, and the phases that begin."""
    axes = offered(runs)
    series = []
    for each in chart.series:
        curve, run = each.curve.thinned(max_points), runs[each.run]
        positions = {over: [round(run.position(step, over), 2) for step in curve.steps] for over in axes}
        series.append(replace(each, label=printable(each.label), curve=curve, positions=positions))
    marks = {
        printable(name): {over: _common_position(runs, step, over) for over in axes}
        for name, step in _phases(runs).items()
    }
    unit = chart.unit and all(0 <= value <= 1 for each in series for value in _finite(each.curve))
    return replace(chart, series=series, unit=unit, marks=marks)


def offered(runs: Sequence[RunData]) -> list[str]:
    """Return the x axes that all these runs have the data for."""
    return [over for over in OVER if all(run.offers(over) for run in runs)]


def _common_position(runs: Sequence[RunData], step: int, over: str) -> float | None:
    """Return the position of a step of all runs, None if it differs."""
    positions = {run.position(step, over) for run in runs}
    return positions.pop() if len(positions) == 1 else None


def _finite(curve: Curve) -> list[float]:
    return [value for value in curve.values if math.isfinite(value)]


def _of_one(run: RunData) -> Iterator[Chart]:
    curves = run.curves
    losses = [name for name in curves if "loss" in name]
    outputs = [name for name in curves if is_d_output(name)]
    if losses:
        yield Chart("Losses", _loss_series(curves, losses))
    if outputs:
        series = [
            Series(label(name), curves[name], int(name.endswith("_fake")), _number(name) % NUM_DASHES)
            for name in outputs
        ]
        yield Chart("D's output for real and generated images (1 = real)", series, unit=True)
    for name in curves:
        if name not in {*losses, *outputs, SPEED}:
            yield Chart(label(name), [Series(label(name), curves[name], 2)])
    for name, curve in run.metric_curves().items():
        yield Chart(_metric_title(name), [Series(name, curve, 3, level=run.real_score(name))])
    if SPEED in curves:
        yield Chart(SPEED_TITLE, [Series("images/s", curves[SPEED], 4)])


def _loss_series(curves: Mapping[str, Curve], names: Sequence[str]) -> list[Series]:
    """Return D's losses in one colour and G's in another, those of a network with different dashes."""
    counts: dict[str, int] = {}
    series = []
    for name in names:
        owner = network(name)
        count = counts[owner] = counts.get(owner, -1) + 1
        series.append(Series(label(name), curves[name], {"d": 0, "g": 1}.get(owner, 2), count % NUM_DASHES))
    return series


def _number(name: str) -> int:
    """Return the number of a network in the name of its term, 0 if it has none."""
    digits = re.search(r"\d+", name)
    return int(digits[0][:6]) if digits else 0


def _metric_title(name: str) -> str:
    return f"{name}, measured during training"


def _of_several(runs: Sequence[RunData]) -> Iterator[Chart]:
    curves = [run.curves for run in runs]
    for name in _names(curves):
        if name != SPEED:
            yield Chart(label(name), _per_run(runs, curves, name), unit=is_d_output(name))
    metrics = [run.metric_curves() for run in runs]
    for name in _names(metrics):
        series = _per_run(runs, metrics, name)
        levels = {runs[each.run].real_score(name) for each in series}
        if len(levels) == 1:  # measured with the same data
            series[0] = replace(series[0], level=levels.pop())
        yield Chart(_metric_title(name), series)
    if speeds := _per_run(runs, curves, SPEED):
        yield Chart(SPEED_TITLE, speeds)


def _names(curves: Sequence[Mapping[str, Curve]]) -> list[str]:
    return list(dict.fromkeys(name for each in curves for name in each))


def run_style(index: int) -> tuple[int, int]:
    """Return the colour and dash of one of several runs."""
    return index % NUM_COLOURS, (index // NUM_COLOURS) % NUM_DASHES


def _per_run(runs: Sequence[RunData], curves: Sequence[Mapping[str, Curve]], name: str) -> list[Series]:
    """Return the curve of each run that has one of this name, in the run's own style."""
    return [
        Series(run.name, each[name], *run_style(index), run=index)
        for index, (run, each) in enumerate(zip(runs, curves, strict=True))
        if name in each
    ]


def _phases(runs: Sequence[RunData]) -> dict[str, int]:
    """Return the steps at which phases after the first begin, if the runs agree on them."""
    phases = [dict(list(run.phases.items())[1:20]) for run in runs]
    return phases[0] if all(each == phases[0] for each in phases) else {}
