"""How far a command has come: a bar where stderr is a terminal, else a line now and then."""

from collections.abc import Generator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gancli.cli import console
from gancli.data.pace import Pace
from gancli.events import Event, Preparing, Warned

T = TypeVar("T")
EVERY_S = 10.0


def shown(work: Generator[Event, None, T]) -> T:
    """Run a generator of events to its end, showing its progress and warnings on stderr; gives what it returns."""
    import sys

    terminal = console.console(sys.stderr)
    if not terminal.is_terminal:
        return _as_lines(work)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True) as bar:
        task, what = None, None
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(event, Warned):
                terminal.print(f"warning: {event.message}", markup=False)
            elif isinstance(event, Preparing):
                if event.what != what or task is None:
                    if task is not None:
                        bar.remove_task(task)
                    task, what = bar.add_task(event.what, total=event.total or None), event.what
                bar.update(task, completed=event.done, total=event.total or None)


def _as_lines(work: Generator[Event, None, T]) -> T:
    pace, what = Pace(EVERY_S), None
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if isinstance(event, Warned):
            console.say(f"warning: {event.message}")
        elif isinstance(event, Preparing) and (event.what != what or pace.due()):
            what = event.what
            share = f": {event.done} of {event.total} {event.unit}" if event.total else ""
            console.say(f"{event.what}{share}")
