"""Stop a run early: signals and `--max-time` set a flag, which the training loop checks after every step."""

import math
import signal
import threading
import time
from pathlib import Path
from types import FrameType

from gancli.data.dataset_object import is_python
from gancli.errors import StoppedError, shell_quoted
from gancli.events import Emit, Event

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK")  # SIGHUP: the terminal or connection is gone
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))  # of this system
MAYBE_IGNORED = ("SIGINT", "SIGHUP")  # nohup, and shells for jobs in the background, set them to be ignored
SIGNAL_NAMES = {"SIGINT": "Ctrl-C", "SIGBREAK": "Ctrl-Break"}


class Stop:
    """A flag that signals and a time limit set. As a context manager it handles the signals, except SIGINT and SIGHUP
    where they are ignored, and restores the handlers at the end.

    `reason` is None until a stop is requested. A second Ctrl-C raises `KeyboardInterrupt` at once.
    """

    def __init__(self, max_seconds: float | None = None) -> None:
        self._signal: signal.Signals | None = None
        self._requested: str | None = None
        self.deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
        self._before: dict[signal.Signals, object] = {}

    @property
    def reason(self) -> str | None:
        """What requested a stop: a signal, `--max-time` or `request`."""
        if self._requested is not None:
            return self._requested
        if self._signal is not None:
            return SIGNAL_NAMES.get(self._signal.name, self._signal.name)
        if time.monotonic() >= self.deadline:
            return "--max-time"
        return None

    def request(self, reason: str) -> None:
        """Request a stop, as a signal does."""
        self._requested = reason

    def raise_if_requested(self) -> None:
        """Raise `StoppedError` if a stop is requested before there is anything to save."""
        if self.reason is not None:
            raise StoppedError(f"stopped by {self.reason} before the first step; nothing was trained")

    def checked_by(self, emit: Emit) -> Emit:
        """Return an `emit` that raises `StoppedError` after an event if a stop is requested."""

        def emit_and_check(event: Event) -> None:
            emit(event)
            self.raise_if_requested()

        return emit_and_check

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        received = signal.Signals(number)
        if received.name in SIGNAL_NAMES and self._signal == received:
            raise KeyboardInterrupt
        self._signal = received

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            ignored = {
                each for each in SIGNALS if each.name in MAYBE_IGNORED and signal.getsignal(each) is signal.SIG_IGN
            }
            self._before = {each: signal.signal(each, self._handle) for each in SIGNALS if each not in ignored}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # signal.signal returned it: None for a handler that is not Python's
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]


def resume_command(directory: Path, dataset: str = "", code: str = "") -> str:
    """Return the command that resumes a stopped run on a dataset; in Python, if that is an object of Python. `code`: as of
    `catalogue.flag_of`."""
    if is_python(dataset):
        variant = ", variant=..." if code else ""
        return f"gancli.train(resume={str(directory)!r}, dataset=...{variant})"
    return f"gan train{code} --resume {shell_quoted(str(directory))}"


def next_commands(directory: Path, condition_type: str, code: str = "") -> tuple[str, ...]:
    """Return the commands that generate and measure images with the model of a finished run."""
    run = shell_quoted(str(directory))
    if condition_type == "low_res":
        return f"gan sample {run}{code} -i IMAGE", f"gan evaluate {run}{code} -d FOLDER"
    return f"gan sample {run}{code}", f"gan evaluate {run}{code}"
