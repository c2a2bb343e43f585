"""The table that `gan runs` prints."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gancli.cli import console
from gancli.errors import printable
from gancli.format import duration, number
from gancli.store.overview import Overview

NONE = "–"
MOST_LOSSES = 2  # a run of many networks must not take the place of all other columns
COLOURS = {"running": "green", "diverged": "red", "damaged": "red", "stopped": "yellow"}


class Column(NamedTuple):
    """`rank`: the column with the highest is left out first; 0 and 1 stay."""

    heading: str
    rank: int
    cell: Callable[[Overview], str]
    right: bool = False


def _steps(run: Overview) -> str:
    return f"{run.step:,}/{run.steps:,}" if run.steps is not None else f"{run.step:,}"


def _owner(run: Overview) -> str:
    return f"{run.pid} on {printable(run.host or '?')}" if run.pid is not None else ""


def _losses(run: Overview) -> str:
    shown = {name: value for name, value in run.losses.items() if "_loss" in name} or run.losses
    texts = [f"{printable(name).replace('_loss', '')} {number(value)}" for name, value in shown.items()]
    return " ".join([*texts[:MOST_LOSSES], *(["…"] if len(texts) > MOST_LOSSES else [])])


COLUMNS = (
    Column("variant", 6, lambda run: printable(run.variant or NONE)),
    Column("data", 5, lambda run: printable(run.dataset or NONE)),
    Column("step", 0, _steps, right=True),
    Column("state", 1, lambda run: run.state),
    Column("by", 7, _owner),
    Column("left", 2, lambda run: "" if run.left_s is None else duration(run.left_s), right=True),
    Column("losses", 4, _losses),
    Column("best", 3, lambda run: f"{printable(run.best.name)} {number(run.best.value)}" if run.best else ""),
)


def table(runs: Sequence[Overview], folder: Path, out: Console) -> Table:
    """A row for each run. Columns that are empty in every row are left out, as are the least important ones until a row
    fits into a line of `out`."""
    columns = [column for column in COLUMNS if any(column.cell(run) for run in runs)]
    while not console.fits(found := _table(runs, folder, columns), out) and len(columns) > 2:
        columns.remove(max(columns, key=lambda column: column.rank))
    return found


def _table(runs: Sequence[Overview], folder: Path, columns: Sequence[Column]) -> Table:
    found = Table(box=None, header_style="bold", pad_edge=False)
    found.add_column("run", no_wrap=True)
    for column in columns:
        found.add_column(column.heading, justify="right" if column.right else "left", no_wrap=True)
    for run in runs:
        styles = [COLOURS.get(run.state, "") if column.heading == "state" else "" for column in columns]
        cells = [Text(column.cell(run), style) for column, style in zip(columns, styles, strict=True)]
        found.add_row(Text(name_in(run.path, folder)), *cells)
    return found


def name_in(path: Path, folder: Path) -> str:
    """The name of a run in a table of those under `folder`."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    return printable(path.absolute().name if inside == Path() else str(inside))
