"""The base classes of reporters, and what reporters need to know of the streams that they write to."""

import contextlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self, TextIO

from gancli.events import Event, Preparing, Progress, RunFinished

DUMB = ("", "dumb", "unknown")  # values of TERM for terminals without escape codes; "" if it is not set
MIN_READABLE_COLUMNS = 20
SILENT_S = 30.0  # the longest time without a line
FRESH_S = 10.0  # means between two rows are not printed so soon after another line
TICK_S = 1.0


class Reporter(ABC):
    """Called with every event of a run, inside a `with` block that restores what the reporter changed."""

    @abstractmethod
    def __call__(self, event: Event) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close(error)

    def close(self, error: BaseException | None) -> None:  # noqa: B027 - most have nothing to restore
        """Restore what the reporter changed. `error`: by which the run ended, or None."""


class Silence(Reporter):
    """Prints nothing (`--progress none`)."""

    def __call__(self, event: Event) -> None:
        del event


class Heartbeat(Reporter):
    """Prints events, and after 30 s without one the current activity. A thread of its own does this, as a step may take
    longer. `now`: returns seconds of a clock that never runs backwards."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._printed_at = self._progress_at = now()
        self._progress: Preparing | Progress | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @abstractmethod
    def _print(self, event: Event) -> bool:
        """Print what there is to print of an event; return whether there was anything."""

    @abstractmethod
    def _print_activity(self, event: Preparing | Progress, seconds: float) -> None:
        """Print the current activity: that of `event`, which came `seconds` ago."""

    def __call__(self, event: Event) -> None:
        with self._lock:
            now = self._now()
            if isinstance(event, Preparing | Progress):
                self._progress, self._progress_at = event, now
            if isinstance(event, Progress) and (not event.terms or now - self._printed_at < FRESH_S):
                return
            if self._print(event):
                self._printed_at = now
            if isinstance(event, RunFinished):
                self._ended.set()

    def tick(self) -> None:
        """Print the current activity if nothing was printed for a while."""
        with self._lock:
            now = self._now()
            if self._progress is None or self._ended.is_set() or now - self._printed_at < SILENT_S:
                return
            self._printed_at = now
            self._print_activity(self._progress, now - self._progress_at)

    def _run(self) -> None:
        while not self._ended.wait(TICK_S):
            with contextlib.suppress(OSError, ValueError):  # a stream that is gone is handled at the next event
                self.tick()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self, _: BaseException | None) -> None:
        self._ended.set()
        self._thread.join(timeout=TICK_S)  # at most: it may be writing to a pipe that nobody reads


def abandon(stream: TextIO) -> None:
    """Redirect a stream that cannot be written to, so that flushing its buffer at exit does not fail."""
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor, or is closed
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, stream.fileno())
        finally:
            os.close(nothing)


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Return the columns and rows of a terminal, 80 × 24 if they are unknown.

    COLUMNS and LINES are ignored: where they are exported, they hold a size that the terminal once had.
    """
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return found.columns or 80, found.lines or 24


def piped_columns() -> int | None:
    """Return how many columns text to a pipe or file may have: COLUMNS if it is exported and valid, else None (no limit)."""
    return number_of_columns(os.environ.get("COLUMNS", ""))


def number_of_columns(text: str) -> int | None:
    """Return the number of columns in `text`, None if it is none that text can be read in."""
    return int(text) if text.isdecimal() and len(text) < 6 and int(text) >= MIN_READABLE_COLUMNS else None
