"""The live table: how a run goes, on a terminal that can be redrawn."""

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live

from gancli.events import Event, Progress, RunFinished, Warned
from gancli.report import view
from gancli.report.reporter import Reporter, terminal_size

REDRAW_S = 0.5  # at least, between two drawings: Rich sends the whole table each time
TICK_S = 1.0  # at most: the time left runs down, and the terminal may have been resized
SUMMARY_ROWS = 6  # for the end of the run and the shell's prompt after it


class Table(Reporter):
    """Draws on `stream`, a terminal, from its own thread. Warnings, and what is printed through `sys.stderr` if that is
    `stream`, go above the table. A terminal that is gone does not end the run."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._now = stream, now
        self._state = view.State()
        self._lock = threading.RLock()
        self._changed = False
        self._drawn_at, self._drawn_size = -math.inf, (0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="table", daemon=True)
        self._console = Console(
            file=stream,
            force_terminal=True,  # choose.py has checked this; Rich would read FORCE_COLOR
            force_interactive=True,
            force_jupyter=False,
            no_color=bool(os.environ.get("NO_COLOR")),
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        self._colours = not self._console.no_color and self._console.color_system is not None
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=sys.stderr is stream,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, ValueError):
            self._live.start()
            self._console.show_cursor(True)  # a run that is killed must not leave a terminal without one
        self._thread.start()
        return self

    def close(self, _: BaseException | None) -> None:
        with self._lock:
            if self._changed:
                self.redraw()
            self._end()
        self._thread.join(timeout=TICK_S)

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Warned):
                self._console.size = terminal_size(self._stream)
                with contextlib.suppress(OSError, ValueError):
                    self._console.print(view.warning(event))
                return
            self._state.update(event, self._now())
            self._changed |= not isinstance(event, Progress)  # comes often, and is drawn at the next tick
            if isinstance(event, RunFinished):
                self.redraw()
                self._end()
                with contextlib.suppress(OSError, ValueError):
                    for line in view.summary(event):
                        self._console.print(line, soft_wrap=True)

    def _end(self) -> None:
        """Stop drawing, and leave the table on the screen."""
        self._ended.set()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()  # a last line without its end, which Rich would lose
        with contextlib.suppress(OSError, ValueError):
            self._live.stop()

    def _run(self) -> None:
        while not self._ended.wait(REDRAW_S):
            resized = terminal_size(self._stream) != self._drawn_size
            if self._changed or resized or self._now() - self._drawn_at >= TICK_S:
                self.redraw()

    def redraw(self) -> None:
        """Draw the table as of now."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._ended.is_set():
                return
            columns, rows = size = terminal_size(self._stream)
            now = self._now()
            # One column and one row stay free: a full line would leave the cursor where terminals disagree about it.
            free = 1 if self._state.finished is None else SUMMARY_ROWS
            lines = view.render(self._state, max(1, columns - 1), max(1, rows - free), now, self._colours)
            self._changed, self._drawn_at, self._drawn_size = False, now, size
            self._console.size = size  # Rich would read COLUMNS
            self._live.update(Group(*lines), refresh=True)
