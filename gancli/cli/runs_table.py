"""The table of runs: as many of its columns as fit, the most telling ones last to go."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from gancli.errors import printable
from gancli.report import words
from gancli.store.overview import Overview

NONE = "–"
GAP = 2  # blanks between columns
SHORTEST_NAME, LONG_NAME = 16, 32  # what a name is cut to at most; to see all of one, less telling columns go
NAME_GOES = 3
MOST_LOSSES = 2
COLOURS = {"running": "green", "diverged": "red", "damaged": "red", "stopped": "yellow"}


class Column(NamedTuple):
    """`goes`: the higher, the sooner it is left out where there is no room; 0: never."""

    heading: str
    cell: Callable[[Overview], str]
    goes: int
    right: bool = False


def _steps(run: Overview) -> str:
    return f"{run.step:,}/{run.steps:,}" if run.steps is not None else f"{run.step:,}"


def _state(run: Overview) -> str:
    return run.state


def _where(run: Overview) -> str:
    return f"{run.pid} on {printable(run.host or '?')}" if run.pid is not None else ""


def _left(run: Overview) -> str:
    return "" if run.left_s is None else words.duration(run.left_s)


def _losses(run: Overview) -> str:
    """The first of them: those of one run with many networks must not take the room of all other columns."""
    shown = {name: value for name, value in run.losses.items() if "_loss" in name} or run.losses
    texts = [f"{printable(name).replace('_loss', '')} {value:.3g}" for name, value in shown.items()]
    return " ".join([*texts[:MOST_LOSSES], *(["…"] if len(texts) > MOST_LOSSES else [])])


def _best(run: Overview) -> str:
    return f"{printable(run.best.name)} {run.best.value:.4g}" if run.best else ""


COLUMNS = (
    Column("variant", lambda run: printable(run.variant or NONE), 5),
    Column("data", lambda run: printable(run.dataset or NONE), 4),
    Column("step", _steps, 0, right=True),
    Column("state", _state, 0),
    Column("by", _where, 6),
    Column("left", _left, 1, right=True),
    Column("losses", _losses, 3),
    Column("best", _best, 2),
)


def table(runs: Sequence[Overview], folder: Path, width: int) -> list[Text]:
    """A heading and a line for each run, none wider than `width`. Columns in which nobody has anything are left out, then
    those that there is no room for; what is left of a name is its end."""
    names = [name_in(run.path, folder) for run in runs]
    chosen = [column for column in COLUMNS if any(column.cell(run) for run in runs)]
    longest = max(map(cell_len, ["run", *names]))
    while True:
        cells = [[column.heading, *map(column.cell, runs)] for column in chosen]
        widths = [max(map(cell_len, column)) for column in cells]
        room = width - sum(widths) - GAP * len(widths)
        going = max(chosen, key=lambda column: column.goes)
        if room >= min(longest, LONG_NAME if going.goes > NAME_GOES else SHORTEST_NAME) or not going.goes:
            break
        chosen.remove(going)
    first = max(min(longest, room), 4)
    rows = [["run", *names], *cells]
    lines = []
    for number in range(len(runs) + 1):
        line = Text(style="bold" if number == 0 else "")
        line.append(_fitted(rows[0][number], first))
        for column, texts, wide in zip(chosen, cells, widths, strict=True):
            blank = " " * (wide - cell_len(texts[number]))
            line.append(" " * GAP + (blank if column.right else ""))
            line.append(texts[number], COLOURS.get(texts[number], "") if column.cell is _state else "")
            line.append("" if column.right else blank)
        line.rstrip()
        lines.append(line)
    return lines


def name_in(path: Path, folder: Path) -> str:
    """What a run is called in a table of those under `folder`."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    return printable(path.absolute().name if inside == Path() else str(inside))


def _fitted(name: str, width: int) -> str:
    """A name in so many columns: its end where it is longer, as beginnings are alike."""
    if cell_len(name) <= width:
        return set_cell_size(name, width)
    end = name
    while cell_len(end) > width - 1:
        end = end[1:]
    return set_cell_size("…" + end, width)
