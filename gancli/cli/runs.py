"""`gan runs`: the runs in a folder. Imports no torch."""

import contextlib
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gancli.cli import completing, console
from gancli.config import paths
from gancli.errors import GancliError, UsageError, did_you_mean
from gancli.format import duration, number
from gancli.report import csv_text
from gancli.report.jsonl import dump
from gancli.store.evaluations import Best, full_name
from gancli.store.find_runs import runs_under
from gancli.store.run_info import RunInfo
from gancli.text import counted, printable

DEFAULT_FOLDER = "runs"
REFRESH_S = 2.0
NUM_OTHER_ROWS = 2  # of --watch: the headings and the summary
UNKNOWN = "–"
MAX_LOSSES = 2  # of a run of many networks
STATES = {"running": "green", "stopped": "yellow", "diverged": "red", "damaged": "red", "finished": ""}
"""In the order of `--sort state`, with the colours."""
VALUES = ("state", "variant", "preset", "dataset", "seed", "step", "steps", "left_s", "losses", "best", "changed")
OBJECTS: dict[str, tuple[str, ...]] = {  # of a run's JSON document, with the keys that each has
    "losses": (),  # those of its variant
    "best": tuple(field.name for field in dataclasses.fields(Best)),
    "owner": ("pid", "host"),
}
KEYS: dict[str, Callable[[RunInfo], Any]] = {  # None: not known, and last in either order
    "run": lambda _: 0,  # as they are listed
    "variant": lambda run: run.variant,
    "data": lambda run: run.dataset,
    "step": lambda run: run.step,
    "state": lambda run: list(STATES).index(run.state),
    "left": lambda run: run.left_s,
    "best": lambda run: run.best,
    "changed": lambda run: run.changed,
}


def runs(
    folder: Annotated[str | None, typer.Argument(metavar="DIR", show_default=False, help=(
        "The folder to look in, at most four levels deep. [dim](default: runs)[/]"))] = None,
    sort: Annotated[str, typer.Option("--sort", metavar="KEY", autocompletion=completing.one_of(lambda: KEYS), help=(
        f"{', '.join(KEYS)}; with - before it, in reverse order. best: the best run first; runs with the same metric and "
        "dataset are together."))] = "run",
    watch: Annotated[bool, typer.Option("--watch", help="Refresh the table every two seconds, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table as CSV, with the values of --json.")] = False,
) -> None:  # fmt: skip
    """List the runs in a folder: progress, status, latest losses and best metric."""
    place = paths.expanded(DEFAULT_FOLDER if folder is None else folder, "DIR")
    if (name := sort.removeprefix("-")) not in KEYS:
        raise UsageError(f"--sort {sort}: must be one of {', '.join(KEYS)}, or - and one{did_you_mean(name, KEYS)}")
    if as_json and as_csv:
        raise UsageError("--csv: cannot be combined with --json; give one of them")
    if watch:
        _watch(place, sort, "JSON" if as_json else "CSV" if as_csv else "")
    elif folder is None and not place.exists():
        console.print_message(
            f"there is no folder {DEFAULT_FOLDER} here, where gan train puts its runs; for others: gan runs DIR"
        )
        if as_json:
            console.print_json({"folder": str(place), "runs": [], "unreadable": []}, indent=2)
        if as_csv:
            console.print_result(csv_of([]))
    else:
        show(place, as_json, sort, as_csv)


def show(place: Path, as_json: bool, sort: str = "run", as_csv: bool = False) -> None:
    """Print the runs in a folder, as a table, as JSON or as CSV."""
    unreadable: list[str] = []
    found = _listed(place, sort, unreadable)
    for problem in unreadable:
        console.print_message(f"warning: {problem}")
    if as_json:
        rows = [document(run) for run in found]
        console.print_json({"folder": str(place), "runs": rows, "unreadable": unreadable}, indent=2)
        return
    if as_csv:
        console.print_result(csv_of(found))
        return
    out = console.out()
    if found:
        out.print(table(found, place, out))
    else:
        console.print_message(f"no runs in {place}")
    for run in found:
        if run.problem:
            console.print_message(f"warning: {_name_in(run.path, place)}: {run.problem}")


def _listed(place: Path, sort: str, unreadable: list[str] | None = None) -> list[RunInfo]:
    """Return the runs in a folder, sorted. Raises `GancliError` if there is no such folder."""
    if not place.exists():
        raise GancliError(f"{place}: no such directory; gan runs DIR lists the runs in a folder")
    if not place.is_dir():
        raise GancliError(f"{place}: is not a directory; gan inspect describes a file")
    found, key, reverse = runs_under(place, unreadable), KEYS[sort.removeprefix("-")], sort.startswith("-")
    if key is KEYS["run"]:
        return found[::-1] if reverse else found
    known = [run for run in found if key(run) is not None]
    known.sort(key=_best_first(known) if key is KEYS["best"] else key, reverse=reverse)
    return [*known, *(run for run in found if key(run) is None)]


def _best_first(found: list[RunInfo]) -> Callable[[RunInfo], Any]:
    """Return a key that sorts the best run first, among comparable runs; the largest group of these comes first."""
    groups = Counter(map(_comparable, found))
    order = {group: index for index, (group, _) in enumerate(groups.most_common())}
    return lambda run: (order[_comparable(run)], run.best.rank if run.best else 0.0)


def _comparable(run: RunInfo) -> tuple[str, str | None]:
    """Return what comparable runs have in common: the metric and the dataset of their best values."""
    return (full_name(run.best.name), run.best.evaluated_on) if run.best else ("", None)


def document(run: RunInfo) -> dict[str, Any]:
    """Return a run as an object of the JSON document."""
    values = {name: getattr(run, name) for name in VALUES}
    owner = None if run.owner is None else {"pid": run.pid, "host": run.host}
    return {"path": str(run.path), **values, "problem": run.problem or None, "owner": owner}


def csv_of(found: Sequence[RunInfo]) -> str:
    """Return runs as CSV without a last line end: a column for each key of the JSON document, such as `path`, and for each
    key of an object in it, such as `losses.d_loss`. A run without a value has an empty cell."""
    documents = [json.loads(dump(document(run))) for run in found]  # what JSON has, and as JSON has it
    columns: list[str] = []
    for key in ("path", *VALUES, "problem", "owner"):
        if key in OBJECTS:
            names = [*OBJECTS[key], *(name for each in documents for name in each[key] or ())]
            columns += [f"{key}.{name}" for name in dict.fromkeys(names)]
        else:
            columns.append(key)
    rows = [csv_text.flat(each) for each in documents]
    return csv_text.text(columns, ([row.get(column) for column in columns] for row in rows)).rstrip("\n")


def _watch(place: Path, sort: str, other_form: str) -> None:
    """Refresh the table on a terminal until Ctrl-C, which is no failure. `other_form`: JSON or CSV, which it is not."""
    if other_form or not console.takes_codes(sys.stdout):
        why = f"shows a table, not {other_form}" if other_form else "needs a terminal, and stdout is not one"
        raise UsageError(f"--watch: {why}; call gan runs without it, as often as you like")
    out = console.out()
    live = Live(console=out, auto_refresh=False, redirect_stdout=False)
    with contextlib.suppress(KeyboardInterrupt), live:
        while True:
            found = _listed(place, sort)
            visible = found[: max(1, out.height - NUM_OTHER_ROWS)]
            more = f"and {len(found) - len(visible)} more; " if len(found) > len(visible) else ""
            running = sum(run.state == "running" for run in found)
            summary = f"{more}{counted(len(found), 'run')}, {running} running; Ctrl-C ends"
            live.update(Group(table(visible, place, out), Text(summary)), refresh=True)
            time.sleep(REFRESH_S)


class Column(NamedTuple):
    """`rank`: the column with the highest is left out first; 0 and 1 stay."""

    heading: str
    rank: int
    cell: Callable[[RunInfo], str]
    right: bool = False


def _steps(run: RunInfo) -> str:
    return f"{run.step:,}/{run.steps:,}" if run.steps is not None else f"{run.step:,}"


def _owner(run: RunInfo) -> str:
    return f"{run.pid} on {printable(run.host or '?')}" if run.pid is not None else ""


def _losses(run: RunInfo) -> str:
    losses = {name: value for name, value in run.losses.items() if "_loss" in name} or run.losses
    texts = [f"{printable(name).replace('_loss', '')} {number(value)}" for name, value in losses.items()]
    return " ".join([*texts[:MAX_LOSSES], *(["…"] if len(texts) > MAX_LOSSES else [])])


COLUMNS = (
    Column("variant", 6, lambda run: printable(run.variant or UNKNOWN)),
    Column("data", 5, lambda run: printable(run.dataset or UNKNOWN)),
    Column("step", 0, _steps, right=True),
    Column("state", 1, lambda run: run.state),
    Column("by", 7, _owner),
    Column("left", 2, lambda run: "" if run.left_s is None else duration(run.left_s), right=True),
    Column("losses", 4, _losses),
    Column("best", 3, lambda run: f"{printable(run.best.name)} {number(run.best.value)}" if run.best else ""),
)


def table(runs: Sequence[RunInfo], folder: Path, out: Console) -> Table:
    """Return a table with a row for each run. Columns that are empty in every row are left out, as are the least important
    ones until a row fits into a line of `out`."""
    columns = [column for column in COLUMNS if any(column.cell(run) for run in runs)]
    while not console.fits(found := _table(runs, folder, columns), out) and len(columns) > 2:
        columns.remove(max(columns, key=lambda column: column.rank))
    return found


def _table(runs: Sequence[RunInfo], folder: Path, columns: Sequence[Column]) -> Table:
    found = Table(box=None, header_style="bold", pad_edge=False)
    found.add_column("run", no_wrap=True)
    for column in columns:
        found.add_column(column.heading, justify="right" if column.right else "left", no_wrap=True)
    for run in runs:
        cells = [Text(column.cell(run), STATES[run.state] if column.heading == "state" else "") for column in columns]
        found.add_row(Text(_name_in(run.path, folder)), *cells)
    return found


def _name_in(path: Path, folder: Path) -> str:
    """Return the name of a run in a table of those in `folder`."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    return printable(path.absolute().name if inside == Path() else str(inside))
