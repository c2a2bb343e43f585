"""Shows the progress of a command on stderr: a bar on a terminal, otherwise lines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gancli.cli import console
from gancli.events import Emit, Event, Preparing, Warned
from gancli.report.lines import Lines
from gancli.text import printable


@contextmanager
def show_progress() -> Iterator[Emit]:
    """Yield an `emit` that shows progress and warnings on stderr."""
    terminal = console.console(sys.stderr)
    with _bar(terminal) if terminal.is_terminal else Lines(sys.stderr) as emit:
        yield emit


@contextmanager
def _bar(terminal: Console) -> Iterator[Emit]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(event: Event) -> None:
            if isinstance(event, Warned):
                console.print_message(f"{event.kind}: {event.message}")
            if not isinstance(event, Preparing):
                return
            if event.what not in tasks:
                for task in tasks.values():
                    bar.remove_task(task)
                tasks.clear()
                tasks[event.what] = bar.add_task(printable(event.what))
            bar.update(tasks[event.what], completed=event.done, total=event.total or None)

        yield show


@contextmanager
def show_progress_of_parts(quiet_s: float, show_result: Callable[[Event], bool] = lambda _: False) -> Iterator[Emit]:
    """Like `show_progress`, for work in parts: the progress of each part is shown after its first `quiet_s` seconds, as most
    take less. `show_result` shows an event that ends a part, and returns whether the event does."""
    start = time.monotonic()
    with ExitStack() as stack:
        show: Emit | None = None

        def emit(event: Event) -> None:
            nonlocal start, show
            if isinstance(event, Warned):
                console.print_message(f"{event.kind}: {event.message}")
            elif not isinstance(event, Preparing):
                stack.close()  # the bar is removed before a line is printed
                show = None
                if show_result(event):
                    start = time.monotonic()
            elif show or time.monotonic() - start >= quiet_s:
                show = show or stack.enter_context(show_progress())
                show(event)

        yield emit
