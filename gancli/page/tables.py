"""What the tables of a page hold: metrics, options, the values of a chart."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gancli.page.charts import Chart
from gancli.page.run_data import RunData, Texts
from gancli.store.evaluations import Evaluation, describe, main, main_first, selected

MAX_MEASUREMENTS, MAX_FIGURES = 12, 60
NUM_ROWS = 16  # of the values of a chart
ABSENT = "–"


@dataclass(frozen=True)
class Table:
    """The first cell of a row is its heading. `title`: for people who cannot see the table."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: float) -> str:
    """`0.0125`, `12.5`, `1,200`, `3e-08`: four digits, as `page.js` writes them."""
    if not math.isfinite(value):
        return "not a number"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def measure(value: float | None, error: float | None) -> str:
    """`12.3 ± 0.4`: the error, if there is one, with two digits."""
    if value is None:
        return ABSENT
    return number(value) + (f" ± {number(float(f'{error:.2g}'))}" if error is not None else "")


def values(chart: Chart) -> Table:
    """What a chart shows at some evenly spread steps, with the first and the last; where a curve has no value at a step,
    the one before it."""
    steps = sorted({step for each in chart.series for step in each.curve.steps})
    chosen = dict.fromkeys(steps[i * (len(steps) - 1) // (NUM_ROWS - 1)] for i in range(NUM_ROWS))
    found = [dict(each.curve.points()) for each in chart.series]
    rows = []
    for step in chosen:
        near = [max((s for s in each if s <= step), default=None) for each in found]
        texts = [ABSENT if s is None else number(each[s]) for s, each in zip(near, found, strict=True)]
        rows.append([f"{step:,}", *texts])
    return Table(f"{chart.title}: values", ["step", *(each.label for each in chart.series)], rows)


def metrics(run: RunData) -> list[tuple[str, Table]]:
    """A line about each measurement that is shown, with its table."""
    found = []
    for each in selected(run.rows.evaluations, run.dataset or None, MAX_MEASUREMENTS):
        about = describe(each)
        rows = [[name, _model(each, name), _real(each, name)] for name in list(each["figures"])[:MAX_FIGURES]]
        reference = each.get("beside", "real images")
        found.append((about, Table(f"Metrics: {about}", ["metric", "model", reference], rows)))
    return found


def main_metrics(run: RunData) -> list[tuple[str, str, str]]:
    """The two metrics that tell most of a run: name, value, and that of the reference (`real images 15.4`, or `""`)."""
    each = main(run.rows.evaluations, run.dataset or None)
    if each is None:
        return []
    names = list(dict.fromkeys([*main_first(each["figures"]), *each["figures"]]))[:2]
    real = each.get("real", {})
    reference = each.get("beside", "real images")
    return [(name, _model(each, name), f"{reference} {number(real[name])}" if name in real else "") for name in names]


def _model(each: Evaluation, name: str) -> str:
    return measure(each["figures"][name], each.get("errors", {}).get(name))


def _real(each: Evaluation, name: str) -> str:
    return measure(each.get("real", {}).get(name), each.get("real_errors", {}).get(name))


def options(run: RunData) -> Texts:
    """Every option as given; those left to `gan` with the value that it chose."""
    chosen = {
        name: f"{value} (was {run.options[name]})" if name in run.options else f"{value} (auto)"
        for name, value in run.chosen.items()
    }
    return run.options | chosen


def compared(title: str, runs: Sequence[RunData], of: Callable[[RunData], Texts]) -> tuple[Table, Mapping[str, str]]:
    """The same of several runs: a table of what differs, and what is identical."""
    texts = [of(run) for run in runs]
    names = list(dict.fromkeys(name for each in texts for name in each))
    differing = [name for name in names if len({each.get(name) for each in texts}) > 1]
    rows = [[name, *(each.get(name, ABSENT) for each in texts)] for name in differing]
    table = Table(f"{title}: differences", [title.lower(), *(run.name for run in runs)], rows)
    return table, {name: texts[0][name] for name in names if name not in differing}


def all_options(run: RunData) -> Texts:
    """The options of a run, with the values that `gan` chose."""
    return run.options | run.chosen


def data_and_machine(run: RunData) -> Texts:
    return run.training | run.machine
