"""Make standard streams usable that are closed, full, disconnected, or of any encoding."""

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from gancli.errors import ReaderGoneError, StdoutError
from gancli.text import READABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

DEFAULT_ERRORS = ("strict", "surrogateescape", "backslashreplace")  # Python's; other handlers were set by the user


class Out(io.FileIO):
    """stdout's descriptor. Raises `StdoutError`, as Typer and Rich convert a `BrokenPipeError` to their own exit code, and
    other errors of the system do not name the file."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return _written(super().write, data, self.fileno())
        except BrokenPipeError as error:
            raise ReaderGoneError(f"stdout: closed by the reader ({error.strerror})") from None
        except OSError as error:
            raise StdoutError(f"stdout: cannot be written to ({reason(error)})") from None


class Err(io.FileIO):
    """stderr's descriptor. Ignores errors: a closed terminal or a full disk does not end a command."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return _written(super().write, data, self.fileno())
        except OSError:
            return memoryview(data).nbytes


def _written(write: "Callable[[ReadableBuffer], int | None]", data: "ReadableBuffer", descriptor: int) -> int:
    """Write, and wait if another program made the shared pipe or terminal non-blocking."""
    while (count := write(data)) is None:
        select.select([], [descriptor], [])
    return count


def reason(error: OSError) -> str:
    """Return why a stream cannot be written to."""
    return "it is closed" if error.errno == errno.EBADF else str(error.strerror)


def fix_standard_streams() -> None:
    """Make the process's streams usable. Call it before any file is opened: a file could get the descriptor of a closed
    stream, and messages would be written into it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # stdout is opened for reading, so that writing to it fails as on a closed stream.
            opened = os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
            assert opened == descriptor, "the lowest free descriptor is taken"
            os.set_inheritable(opened, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = _rebuilt(sys.stdout, 1, Out)
    sys.stderr = _rebuilt(sys.stderr, 2, Err)


def open_stream(descriptor: int, kind: type[io.FileIO], like: io.TextIOWrapper | None = None) -> TextIO:
    """Return a text stream over an open descriptor, with the settings of the stream `like`."""
    raw = io.BufferedWriter(kind(descriptor, "w", closefd=False))
    if like is None:
        return io.TextIOWrapper(raw, encoding="utf-8", errors=READABLE, newline="\n")
    lines = like.line_buffering or like.write_through
    return io.TextIOWrapper(raw, encoding=like.encoding, errors=_errors(like), newline="\n", line_buffering=lines)


def _rebuilt(stream: TextIO | None, descriptor: int, kind: type[io.FileIO]) -> TextIO:
    """Return a stream with a descriptor of this `kind`, or the stream itself if it is not a plain file."""
    if stream is None:
        return open_stream(descriptor, kind)
    inner = getattr(stream, "buffer", None)
    inner = getattr(inner, "raw", inner)
    if os.name == "nt" or not isinstance(stream, io.TextIOWrapper) or not isinstance(inner, io.FileIO):
        make_readable(stream)  # a Windows console, or a replacement
        return stream
    stream.flush()
    return open_stream(descriptor, kind, stream)


def make_readable(stream: TextIO | None) -> None:
    """Let a stream write similar characters for those that its encoding lacks, rather than fail."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors != _errors(stream):
        stream.reconfigure(errors=_errors(stream))


def _errors(stream: io.TextIOWrapper) -> str:
    handler: str = stream.errors or "strict"
    return READABLE if handler in DEFAULT_ERRORS else handler
