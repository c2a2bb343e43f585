"""One training or evaluation at a time in a process: torch's random numbers, threads and settings belong to all of it."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from gancli.errors import GancliError

_lock = threading.Lock()
_holder: int | None = None  # the thread that trains or evaluates


@contextmanager
def alone() -> Iterator[None]:
    """Raises `GancliError` where another training or evaluation of this process has not ended."""
    global _holder
    if not _lock.acquire(blocking=False):
        raise GancliError(
            "another training or evaluation of this process has not ended, and both would use torch's random numbers: "
            "wait for it, close its iterator, or use another process"
        )
    _holder = threading.get_ident()
    try:
        yield
    finally:
        _holder = None
        _lock.release()


def between_events() -> AbstractContextManager[None]:
    """The same for an evaluation, which may also be done by the thread that trains, between two events of its run."""
    return nullcontext() if _holder == threading.get_ident() else alone()
