"""What reporters that tell one thing after another have in common: they are never silent for long."""

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
FRESH_S = 10.0  # so soon after another line, means so far are not worth one
TICK_S = 1.0


class Pulse(Reporter):
    """Tells events one by one, and when there has been nothing to tell for 30 s, what the run was last heard to be at. The
    latter comes from a thread of its own: one step may take longer. `now`: seconds that never run backwards."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told_at = self._heard_at = now()
        self._heard: Preparing | Progress | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    @abstractmethod
    def _tell(self, event: Event) -> bool:
        """Tell what an event is worth; gives whether it was worth anything."""

    @abstractmethod
    def _still(self, event: Preparing | Progress, seconds: float) -> None:
        """Tell that nothing has been heard for so many seconds, and what came last."""

    def __call__(self, event: Event) -> None:
        with self._lock:
            now = self._now()
            if isinstance(event, Preparing | Progress):
                self._heard, self._heard_at = event, now
            if isinstance(event, Progress) and (not event.terms or now - self._told_at < FRESH_S):
                return
            if self._tell(event):
                self._told_at = now
            if isinstance(event, RunFinished):
                self._ended.set()

    def tick(self) -> None:
        """Break the silence if it has lasted long enough."""
        with self._lock:
            now = self._now()
            if self._heard is None or self._ended.is_set() or now - self._told_at < SILENT_S:
                return
            self._told_at = now
            self._still(self._heard, now - self._heard_at)

    def _run(self) -> None:
        while not self._ended.wait(TICK_S):
            with contextlib.suppress(OSError, ValueError):  # a stream that is gone is the next event's affair
                self.tick()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=TICK_S)  # at most: it may be writing to a pipe that nobody reads
