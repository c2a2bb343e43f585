"""How far a command has come: a bar where stderr is a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gancli.cli import console
from gancli.events import Event, Preparing, Telling, Warned
from gancli.report.lines import Lines
from gancli.text import printable

T = TypeVar("T")


def shown(work: Generator[Event, None, T]) -> T:
    """Run a generator of events to its end, showing its progress and warnings on stderr; gives what it returns."""
    terminal, telling = console.console(sys.stderr), Telling(work)
    with _bar(terminal) if terminal.is_terminal else Lines(sys.stderr) as show:
        for event in telling:
            show(event)
    return telling.result


@contextmanager
def _bar(terminal: Console) -> Iterator[Callable[[Event], None]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(event: Event) -> None:
            if isinstance(event, Warned):
                console.say(f"{event.kind}: {event.message}")
            if not isinstance(event, Preparing):
                return
            if event.what not in tasks:
                for task in tasks.values():
                    bar.remove_task(task)
                tasks.clear()
                tasks[event.what] = bar.add_task(printable(event.what))
            bar.update(tasks[event.what], completed=event.done, total=event.total or None)

        yield show


def shown_in_pieces(work: Generator[Event, None, T], quiet_s: float, tell: Callable[[Event], bool]) -> T:
    """As `shown`, for work in pieces, whose progress is silent for the first `quiet_s` seconds of each, in which most are
    done. `tell` shows what ends a piece, and gives whether an event did."""
    terminal, telling, begun = console.console(sys.stderr), Telling(work), time.monotonic()
    with ExitStack() as stack:
        show: Callable[[Event], None] | None = None
        for event in telling:
            if isinstance(event, Warned):
                console.say(f"{event.kind}: {event.message}")
            elif not isinstance(event, Preparing):
                stack.close()  # a bar that is on the screen goes before a line comes
                show = None
                if tell(event):
                    begun = time.monotonic()
            elif show or time.monotonic() - begun >= quiet_s:
                if show is None:
                    bar = terminal.is_terminal
                    show = stack.enter_context(_bar(terminal)) if bar else stack.enter_context(Lines(sys.stderr))
                show(event)
    return telling.result
