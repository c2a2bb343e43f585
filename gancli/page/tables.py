"""The tables of a page: metrics, options, and the values of a chart."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gancli import format as formats
from gancli.format import count, number
from gancli.page.charts import Chart
from gancli.page.run_data import RunData, Texts
from gancli.page.samples import spread
from gancli.report.history import Curve
from gancli.store.evaluations import Evaluation, describe, main_evaluation, main_first, select_shown

MAX_MEASUREMENTS, MAX_METRICS = 12, 60
NUM_ROWS = 16  # of the values of a chart
ABSENT = "–"


@dataclass(frozen=True)
class Table:
    """The first cell of a row is its heading. `title`: for people who cannot see the table."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def measure(value: float | None, error: float | None) -> str:
    """Return `12.30 ±0.41`, without an error `12.30`, without a value a dash."""
    return ABSENT if value is None else formats.measure(value, error)


def values(chart: Chart) -> Table:
    """Return the values of a chart at some evenly spread steps, with the first and the last."""
    steps = sorted({step for each in chart.series for step in each.curve.steps})
    rows = [[f"{step:,}", *(_value_at(each.curve, step) for each in chart.series)] for step in spread(steps, NUM_ROWS)]
    return Table(f"{chart.title}: values", ["step", *(each.label for each in chart.series)], rows)


def _value_at(curve: Curve, step: int) -> str:
    """Return the value at a step, or else the one before it."""
    if not (at := bisect_right(curve.steps, step)):
        return ABSENT
    value = curve.values[at - 1]
    return count(value) if abs(value) >= 1e5 else number(value)  # images per second


def metrics(run: RunData) -> list[tuple[str, Table]]:
    """Return a description of each measurement that is shown, with its table."""
    found = []
    for each in select_shown(run.evaluations, run.dataset or None, MAX_MEASUREMENTS):
        title = describe(each)
        rows = [[name, _model(each, name), _reference(each, name)] for name in list(each["figures"])[:MAX_METRICS]]
        headings = ["metric", "model", each.get("beside", "real images")]
        found.append((title, Table(f"Metrics: {title}", headings, rows)))
    return found


def main_metrics(run: RunData) -> list[tuple[str, str, str]]:
    """Return the two most telling metrics: name, value, and the reference (`real images 15.40`, or `""`)."""
    each = main_evaluation(run.evaluations, run.dataset or None)
    if each is None:
        return []
    names = list(dict.fromkeys([*main_first(each["figures"]), *each["figures"]]))[:2]
    real = each.get("real", {})
    reference = each.get("beside", "real images")
    return [(name, _model(each, name), f"{reference} {number(real[name])}" if name in real else "") for name in names]


def _model(each: Evaluation, name: str) -> str:
    return measure(each["figures"][name], each.get("errors", {}).get(name))


def _reference(each: Evaluation, name: str) -> str:
    return measure(each.get("real", {}).get(name), each.get("real_errors", {}).get(name))


def options(run: RunData) -> Texts:
    """Return every option as given, or with the value that `gan` chose."""
    chosen = {
        name: f"{value} (was {run.options[name]})" if name in run.options else f"{value} (auto)"
        for name, value in run.chosen.items()
    }
    return run.options | chosen


def compared(title: str, runs: Sequence[RunData], of: Callable[[RunData], Texts]) -> tuple[Table, Mapping[str, str]]:
    """Return a table of the texts that differ between runs, and the identical ones."""
    texts = [of(run) for run in runs]
    names = list(dict.fromkeys(name for each in texts for name in each))
    differing = [name for name in names if len({each.get(name) for each in texts}) > 1]
    rows = [[name, *(each.get(name, ABSENT) for each in texts)] for name in differing]
    table = Table(f"{title}: differences", [title.lower(), *(run.name for run in runs)], rows)
    return table, {name: texts[0][name] for name in names if name not in differing}


def effective_options(run: RunData) -> Texts:
    """Return every option with its value in the run, given or chosen."""
    return run.options | run.chosen


def data_and_machine(run: RunData) -> Texts:
    return run.training | run.machine
