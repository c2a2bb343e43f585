"""The live table: what a run is doing, on a terminal that can be redrawn."""

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.text import Text

from gancli.errors import printable
from gancli.events import Event, LossRow, PhaseStarted, Preparing, RunFinished, RunStarted, SamplesDrawn, Warned
from gancli.report import view
from gancli.report.area import Area
from gancli.report.choose import terminal_size
from gancli.report.reporter import Reporter
from gancli.report.words import wrapped

REDRAW_S = 0.25  # at most four times a second: the run needs the interpreter more than the table does
TICK_S = 1.0  # and at least this often: the time left runs down, and the terminal may have been resized


class Table(Reporter):
    """Draws on `stream`, a terminal, from a thread of its own; what else is printed to it meanwhile goes above the table."""

    def __init__(
        self, stream: TextIO, environ: Mapping[str, str] = os.environ, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._now = stream, now
        self._area = Area(stream)
        self._state = view.State()
        self._lock = threading.RLock()
        self._changed = False
        self._drawn_at, self._drawn_size = 0.0, (0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="table", daemon=True)
        self._previous_stderr: TextIO | None = None
        self._console = Console(
            file=io.StringIO(),
            force_terminal=True,  # choose.py has looked, and Rich would ask FORCE_COLOR
            no_color=bool(environ.get("NO_COLOR")),
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ={name: environ[name] for name in ("TERM", "COLORTERM") if name in environ},
        )

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
            self._ended.set()
            if self._previous_stderr is not None:
                sys.stderr.flush()
                sys.stderr = self._previous_stderr
            self._thread.join(timeout=TICK_S)
            if self._changed:
                self.redraw()
        finally:
            self._area.close()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Warned):
                columns, _ = terminal_size(self._stream)
                self._area.above("\n".join(self._ansi(_warning(event, columns - 1), columns - 1)))
                return
            self._note(event)
            self._changed = True
        if isinstance(event, RunStarted | RunFinished):
            self.redraw()

    def _note(self, event: Event) -> None:
        state = self._state
        match event:
            case Preparing():
                state.preparing = event
            case RunStarted():
                state.started = event
            case PhaseStarted():
                state.phase = event
            case LossRow():
                state.note_row(event, self._now())
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
            columns, rows = size = terminal_size(self._stream)
            # One column and one row stay free: a full line would leave the cursor where terminals disagree about it.
            width, height = max(1, columns - 1), max(1, rows - 1)
            shown = view.lines(self._state, width, height, self._now(), not self._console.no_color)
            self._changed, self._drawn_at, self._drawn_size = False, self._now(), size
            self._area.draw(self._ansi(shown, width), columns)

    def _ansi(self, lines: list[Text], width: int) -> list[str]:
        """Lines with the escape codes that this terminal understands."""
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, width=width, no_wrap=True, overflow="crop", end="\n")
        return captured.get().split("\n")[: len(lines)]


def _warning(event: Warned, columns: int) -> list[Text]:
    first, *rest = wrapped(f"warning: {printable(event.message)}", columns)
    head = Text(first)
    head.stylize("bold yellow", 0, len("warning:"))
    return [head, *map(Text, rest)]


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
