"""The base of reporters that print one event after another: they are never silent for long."""

import contextlib
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gancli.events import Event, Preparing, Progress, RunFinished
from gancli.report.reporter import Reporter

SILENT_S = 30.0  # nobody has to wait longer for a line
FRESH_S = 10.0  # means so far are not printed so soon after another line
TICK_S = 1.0


class Heartbeat(Reporter):
    """Prints events, and after 30 s without one the current activity, from its own thread, as a step may take longer.
    `now`: returns seconds that never run backwards."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._printed_at = self._progress_at = now()
        self._progress: Preparing | Progress | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @abstractmethod
    def _print(self, event: Event) -> bool:
        """Print what there is to print of an event; returns whether there was anything."""

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=TICK_S)  # at most: it may be writing to a pipe that nobody reads
