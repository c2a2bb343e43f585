"""Being asked to stop: signals and `--max-time` raise a flag, and nothing else; the loop looks at it every step."""

import math
import signal
import threading
import time
from types import FrameType, TracebackType

from gancli.errors import StoppedError
from gancli.events import Emit, Event

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK")  # SIGHUP: the terminal or connection has gone
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))  # those that this system has
SHIELDED = ("SIGINT", "SIGHUP")  # by nohup, and by shells for what runs in the background: ignored then, as meant
WORDS = {"SIGINT": "Ctrl-C", "SIGBREAK": "Ctrl-Break"}


class Stop:
    """A flag that signals and the clock set. As a context manager it takes the signals over, but for SIGINT and SIGHUP where
    they are ignored, and gives them back.

    `reason` is None until a stop is asked for. A second Ctrl-C raises `KeyboardInterrupt` at once.
    """

    def __init__(self, max_seconds: float | None = None) -> None:
        self._signal: signal.Signals | None = None
        self._asked: str | None = None
        self.deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
        self._before: dict[signal.Signals, object] = {}

    @property
    def reason(self) -> str | None:
        if self._asked is not None:
            return self._asked
        if self._signal is not None:
            return WORDS.get(self._signal.name, self._signal.name)
        if time.monotonic() >= self.deadline:
            return "--max-time"
        return None

    def ask(self, reason: str) -> None:
        """Ask for a stop as a signal does."""
        self._asked = reason

    def raise_if_asked(self) -> None:
        """For the time before there is anything to save. Raises `StoppedError`."""
        if self.reason is not None:
            raise StoppedError(f"stopped by {self.reason} before the first step; nothing was trained yet")

    def checked_by(self, emit: Emit) -> Emit:
        """Return an `emit` that raises `StoppedError` after an event if a stop was asked for."""

        def emit_and_check(event: Event) -> None:
            emit(event)
            self.raise_if_asked()

        return emit_and_check

    def _note(self, number: int, _frame: FrameType | None) -> None:
        asked = signal.Signals(number)
        if asked.name in WORDS and self._signal == asked:
            raise KeyboardInterrupt
        self._signal = asked

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            ignored = {each for each in SIGNALS if each.name in SHIELDED and signal.getsignal(each) is signal.SIG_IGN}
            self._before = {each: signal.signal(each, self._note) for each in SIGNALS if each not in ignored}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # What signal.signal gave: None for a handler that is not Python's.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]
