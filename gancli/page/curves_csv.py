"""The curves of runs as a CSV file: `gan report RUN... -o curves.csv`."""

from collections.abc import Iterator, Sequence

from gancli.page.run_data import RunData
from gancli.report import csv_text
from gancli.text import printable

COLUMNS = ("run", "step", "term", "value")


def encode(runs: Sequence[RunData]) -> bytes:
    """Return a row for each value of each run, in the order of runs, steps and terms, in UTF-8: losses and speed, and the
    metrics that were measured during training. A value that is not finite is empty."""
    return csv_text.text(COLUMNS, (row for run in runs for row in _rows(run))).encode()


def _rows(run: RunData) -> Iterator[tuple[str, int, str, float]]:
    curves = {**run.curves, **run.metric_curves()}
    points = [(step, term, value) for term, curve in curves.items() for step, value in curve.points()]
    for step, term, value in sorted(points, key=lambda point: point[0]):
        yield printable(run.name), step, printable(term), value
