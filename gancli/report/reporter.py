"""The base of all reporters."""

import contextlib
import os
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self, TextIO

from gancli.events import Event


class Reporter(ABC):
    """Called with every event of a run, inside a `with` block that restores what the reporter changed."""

    @abstractmethod
    def __call__(self, event: Event) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Silence(Reporter):
    """Prints nothing (`--progress none`)."""

    def __call__(self, event: Event) -> None:
        del event


def abandon(stream: TextIO) -> None:
    """Redirect a stream that cannot be written to, so that flushing its buffer at exit does not fail."""
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor, or is closed
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, stream.fileno())
        finally:
            os.close(nothing)
