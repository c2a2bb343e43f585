"""The live table: what a run is doing, on a terminal that can be redrawn."""

import io
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.color import ColorSystem
from rich.console import Console
from rich.text import Text

from gancli.errors import printable
from gancli.events import (
    Evaluated,
    Event,
    LossRow,
    PhaseStarted,
    Preparing,
    Progress,
    RunFinished,
    RunStarted,
    SamplesDrawn,
    Warned,
)
from gancli.report import view
from gancli.report.area import Area
from gancli.report.reporter import Reporter
from gancli.report.terminal import terminal_size

REDRAW_S = 0.25  # at most four times a second: the run needs the interpreter more than the table does
TICK_S = 1.0  # and at least this often: the time left runs down, and the terminal may have been resized
SUMMARY_ROWS = 6  # for how the run ended, and the shell's prompt after it
WHOLE_S = 10.0  # and all of it this often: somebody else may have written over it
COLOUR_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}


class Table(Reporter):
    """Draws on `stream`, a terminal, from a thread of its own; what else is printed to it meanwhile goes above the table."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._now = stream, now
        self._area = Area(stream)
        self._state = view.State()
        self._lock = threading.RLock()
        self._changed = False
        self._drawn_at, self._drawn_whole_at, self._drawn_size = -math.inf, -math.inf, (0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="table", daemon=True)
        self._previous_stderr: TextIO | None = None
        self._console = Console(
            file=io.StringIO(),
            force_terminal=True,  # choose.py has looked, and Rich would ask FORCE_COLOR
            force_jupyter=False,
            no_color=bool(os.environ.get("NO_COLOR")),
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        system = None if self._console.no_color else self._console.color_system
        self._colours = COLOUR_SYSTEMS.get(system or "")

    def __enter__(self) -> Self:
        if sys.stderr is self._stream:
            self._previous_stderr = sys.stderr
            sys.stderr = _Above(self._area, self._stream)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._previous_stderr is not None:
                sys.stderr.flush()
                sys.stderr = self._previous_stderr
            if self._changed:
                self.redraw()
            self._ended.set()
            self._thread.join(timeout=TICK_S)
        finally:
            self._area.close()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Warned):
                lines = view.warning(event).wrap(self._console, terminal_size(self._stream)[0])
                self._area.above("\n".join(self._ansi(list(lines))))
                return
            self._note(event)
            self._changed |= not isinstance(event, Progress)  # which comes often, and is seen at the next tick
            if isinstance(event, RunFinished):
                self.redraw()
                self._ended.set()
                self._area.below("\n".join(self._ansi(view.summary(event))))

    def _note(self, event: Event) -> None:
        state = self._state
        match event:
            case Preparing():
                state.preparing, state.progress = event, None
            case Progress():
                state.note_progress(event, self._now())
            case RunStarted():
                state.started, state.progress = event, None
            case PhaseStarted():
                state.phase = event
            case LossRow():
                state.note_row(event, self._now())
            case Evaluated():
                state.evaluated = event
            case SamplesDrawn():
                state.samples = event
            case RunFinished():
                state.finished = event

    def _tick(self) -> None:
        while not self._ended.wait(REDRAW_S):
            resized = terminal_size(self._stream) != self._drawn_size
            if self._changed or resized or self._now() - self._drawn_at >= TICK_S:
                self.redraw()

    def redraw(self) -> None:
        """Draw what is known now."""
        with self._lock:
            if self._ended.is_set():
                return
            columns, rows = size = terminal_size(self._stream)
            now = self._now()
            # One column and one row stay free: a full line would leave the cursor where terminals disagree about it.
            free = 1 if self._state.finished is None else SUMMARY_ROWS
            shown = view.lines(self._state, max(1, columns - 1), max(1, rows - free), now, self._colours)
            if now - self._drawn_whole_at >= WHOLE_S:
                self._area.forget()
                self._drawn_whole_at = now
            self._changed, self._drawn_at, self._drawn_size = False, now, size
            texts = self._ansi([line.text for line in shown])
            self._area.draw([text + line.picture for text, line in zip(texts, shown, strict=True)], columns)

    def _ansi(self, texts: list[Text]) -> list[str]:
        """Lines with the escape codes that this terminal understands, however long they are."""
        with self._console.capture() as captured:
            for text in texts:
                self._console.print(text, soft_wrap=True)
        return captured.get().split("\n")[: len(texts)]


class _Above(io.TextIOBase):
    """Stands in for stderr while the table is on it: whole lines, with no escape codes, go above the table."""

    def __init__(self, area: Area, stream: TextIO) -> None:
        self._area, self._stream, self._rest = area, stream, ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has it writable
        return self._stream.encoding

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._area.above("\n".join(map(printable, lines)))
        return len(text)

    def flush(self) -> None:
        if self._rest:
            self._area.above(printable(self._rest))
            self._rest = ""

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True
