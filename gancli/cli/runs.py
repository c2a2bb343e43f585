"""`gan runs`: the runs under a folder. Imports no torch."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from gancli.cli import completing, console
from gancli.cli.runs_table import name_in, table
from gancli.config import paths
from gancli.errors import GancliError, UsageError, did_you_mean
from gancli.store import overview
from gancli.store.figures import full_name
from gancli.store.overview import Overview
from gancli.text import counted

USUAL = "runs"
EVERY_S = 2.0
HEADING_AND_SUMMARY = 2  # rows of --watch beside those of runs
STATES = ("running", "stopped", "diverged", "damaged", "finished")
KEYS: dict[str, Callable[[Overview], Any]] = {  # None: not known, and last either way
    "run": lambda _: 0,  # as they are found
    "variant": lambda run: run.variant,
    "data": lambda run: run.dataset,
    "step": lambda run: run.step,
    "state": lambda run: STATES.index(run.state),
    "left": lambda run: run.left_s,
    "best": lambda run: run.best,
    "changed": lambda run: run.changed,
}


def runs(
    folder: Annotated[str | None, typer.Argument(metavar="DIR", show_default=False, help=(
        "The folder to look in, at most four levels deep. [dim](default: runs)[/]"))] = None,
    sort: Annotated[str, typer.Option("--sort", metavar="KEY", autocompletion=completing.of(lambda: KEYS), help=(
        f"{', '.join(KEYS)}; with - before it, in reverse order. best: the best run first; runs with the same metric and "
        "dataset are together."))] = "run",
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every two seconds, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    """List the runs in a folder: progress, status, latest losses and best metric."""
    place = paths.expanded(USUAL if folder is None else folder, "DIR")
    key = _key(sort)
    if watch:
        _watch(place, sort, key, as_json)
        return
    if folder is None and not place.exists():
        console.say(f"no folder {USUAL} here yet, where gan train puts its runs; gan runs DIR looks elsewhere")
        if as_json:
            console.print_json({"folder": str(place), "runs": [], "unreadable": []}, indent=2)
        return
    show(place, as_json, sort)


def show(place: Path, as_json: bool, sort: str = "run") -> None:
    """The runs in a folder, as a table or as JSON."""
    unreadable: list[str] = []
    found = _sorted(_looked(place, unreadable), sort, _key(sort))
    for problem in unreadable:
        console.say(f"warning: {problem}")
    if as_json:
        console.print_json(
            {"folder": str(place), "runs": list(map(document, found)), "unreadable": unreadable}, indent=2
        )
        return
    _show(found, place)


def _key(sort: str) -> Callable[[Overview], Any]:
    name = sort.removeprefix("-")
    if name not in KEYS:
        raise UsageError(f"--sort {sort}: must be one of {', '.join(KEYS)}, or - and one{did_you_mean(name, KEYS)}")
    return KEYS[name]


def _looked(place: Path, unreadable: list[str]) -> list[Overview]:
    if not place.exists():
        raise GancliError(f"{place}: is not there; gan runs DIR looks for runs in a folder")
    if not place.is_dir():
        raise GancliError(f"{place}: is no folder of runs; gan inspect tells what a file is")
    return overview.runs_under(place, unreadable)


def _sorted(found: list[Overview], sort: str, key: Callable[[Overview], Any]) -> list[Overview]:
    if sort.removeprefix("-") == "run":
        return found[::-1] if sort.startswith("-") else found
    known = [run for run in found if key(run) is not None]
    known.sort(key=_best_first(known) if sort.endswith("best") else key, reverse=sort.startswith("-"))
    return [*known, *(run for run in found if key(run) is None)]


def _best_first(found: list[Overview]) -> Callable[[Overview], Any]:
    """A key that sorts the best run first, among those that can be compared; the largest such group comes first."""
    groups = Counter(_compared(run) for run in found)
    order = {group: place for place, (group, _) in enumerate(groups.most_common())}
    return lambda run: (order[_compared(run)], run.best.rank if run.best else 0.0)


def _compared(run: Overview) -> tuple[str, str | None]:
    """What the best figures of two runs must have in common to be compared."""
    return (full_name(run.best.name), run.best.evaluated_on) if run.best else ("", None)


def document(run: Overview) -> dict[str, Any]:
    """A run as JSON has it."""
    about = asdict(run)
    owner = {"pid": about.pop("pid"), "host": about.pop("host")}
    about |= {
        "path": str(run.path),
        "owner": owner if owner["pid"] is not None else None,
        "problem": run.problem or None,
    }
    return about


def _show(found: list[Overview], place: Path) -> None:
    out = console.out()
    if found:
        out.print(table(found, place, out))
    elif place.exists():
        console.say(f"no runs in {place}")
    for run in found:
        if run.problem:
            console.say(f"warning: {name_in(run.path, place)}: {run.problem}")


def _watch(place: Path, sort: str, key: Callable[[Overview], Any], as_json: bool) -> None:
    """The table, refreshed on a terminal until Ctrl-C, which is the way to leave it and no failure."""
    if as_json or not console.takes_codes(sys.stdout):
        why = "shows a table, not JSON" if as_json else "draws on a terminal, and stdout is none that can do it"
        raise UsageError(f"--watch: {why}; leave it out, and call gan runs again when you want to know")
    out = console.out()
    shown_on = Live(console=out, auto_refresh=False, redirect_stdout=False)
    with contextlib.suppress(KeyboardInterrupt), shown_on:
        while True:
            found = _sorted(_looked(place, []), sort, key)
            shown = found[: max(1, out.height - HEADING_AND_SUMMARY)]
            more = f"and {len(found) - len(shown)} more; " if len(found) > len(shown) else ""
            running = sum(run.state == "running" for run in found)
            summary = f"{more}{counted(len(found), 'run')}, {running} running; Ctrl-C ends"
            shown_on.update(Group(table(shown, place, out), Text(summary)), refresh=True)
            time.sleep(EVERY_S)
