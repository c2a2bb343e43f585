"""The table that `gan evaluate` prints."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gancli.cli.console import narrowest
from gancli.errors import printable
from gancli.metrics.figure import Figure, Measure

ARROWS = {True: "↑", False: "↓", None: "="}


def table(headings: Sequence[str], columns: Sequence[Sequence[Figure]], beside: str) -> Table:
    """One row per figure, one column per checkpoint, and what stands `beside` them. The arrow tells which way is better;
    `=`: the nearer to the column beside, the better."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("figure", no_wrap=True)
    shown.add_column("")
    for heading in headings:
        shown.add_column(escape(printable(heading)), justify="right", overflow="fold")
    shown.add_column(beside, justify="right", style="dim")
    shown.add_column("pictures", justify="right", style="dim")
    names = list(dict.fromkeys(figure.name for figures in columns for figure in figures))
    for name in names:
        row = [{figure.name: figure for figure in figures}.get(name) for figures in columns]
        some = next(figure for figure in row if figure is not None)
        label = f"{name} [dim]{escape(some.unit)}[/dim]" if some.unit else name
        cells = [number(figure.model) if figure else "–" for figure in row]
        real = number(some.real) if some.real else "–"
        shown.add_row(label, ARROWS[some.higher_is_better], *cells, real, f"{some.count:,}")
    return shown


def tables(headings: Sequence[str], columns: Sequence[Sequence[Figure]], beside: str, shown: Console) -> list[Table]:
    """The same as one table, or where `shown` is too narrow for that, as several: some of the checkpoints in each."""
    found: list[Table] = []
    start = 0
    while start < len(headings):
        stop = len(headings)
        while (part := table(headings[start:stop], columns[start:stop], beside)) and narrowest(part) > shown.width:
            if stop == start + 1:
                break
            stop -= 1
        found.append(part)
        start = stop
    return found


def number(measure: Measure) -> str:
    """`9.72`, `98.75 ±0.11`: as many digits as tell something. `inf`: a PSNR of pictures that are the same."""
    value = measure.value
    if not math.isfinite(value):
        return str(value)
    digits = 0 if value == int(value) else 1 if abs(value) >= 1000 else 2 if abs(value) >= 10 else 3
    error = f" ±{measure.error:.{max(digits, 2)}f}" if measure.error is not None else ""
    return f"{value:.{digits}f}{error}"
