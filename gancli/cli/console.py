"""Print results to stdout and messages to stderr. Whether a stream is a terminal is decided here, not by Rich."""

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gancli.cli.streams import reason
from gancli.errors import StdoutError, UsageError
from gancli.report.jsonl import dump
from gancli.report.reporter import DUMB, piped_columns
from gancli.text import printable

ANY_WIDTH = 10_000
BLANKS = re.compile(r" +(?=\n)")


def takes_codes(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal that supports escape codes, regardless of FORCE_COLOR."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "").lower() not in DUMB


def console(stream: TextIO) -> Console:
    """Return a Rich console on `stream`, with escape codes only if it supports them."""
    terminal, columns = takes_codes(stream), piped_columns()
    return Console(
        file=stream if terminal else cast(TextIO, Trimmed(stream)),
        force_terminal=terminal,
        no_color=not terminal or bool(os.environ.get("NO_COLOR")),
        color_system="auto" if terminal else None,
        highlight=False,
        soft_wrap=not terminal and columns is None,
        width=None if terminal else columns or 100,
    )


class Trimmed(io.TextIOBase):
    """A stream for Rich that removes trailing blanks, with which Rich pads its lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # writable in TextIOBase
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        self._stream.write(BLANKS.sub("", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def out() -> Console:
    """Return the console for results."""
    return console(sys.stdout)


def fits(table: Table, on: Console) -> bool:
    """Whether a table fits on a console with each cell in one line."""
    unlimited = on.options.update(max_width=ANY_WIDTH)
    return Measurement.get(on, unlimited, table).maximum <= on.width


def print_error(message: str) -> None:
    """Print an error as one line on stderr."""
    _print_message(f"gan: {printable(' '.join(message.split()))}")


def print_message(message: str) -> None:
    """Print a message on stderr."""
    _print_message(printable(message))


def _print_message(line: str) -> None:
    # Other lines are not wrapped, so that a command can be copied.
    if takes_codes(sys.stderr) and line.startswith(("gan:", "note:", "warning:")):
        terminal = console(sys.stderr)
        line = "\n".join(part.plain for part in Text(line).wrap(terminal, terminal.width))
    if sys.stderr is not None:  # None: print would use stdout
        with contextlib.suppress(OSError, ValueError):  # a full disk or closed stream
            print(line, file=sys.stderr, flush=True)  # noqa: T201


def print_result(text: str) -> None:
    """Print a line on stdout, without markup."""
    print(text, flush=True)  # noqa: T201


def print_path(path: str | Path) -> None:
    """Print a path on stdout: its exact bytes for other programs, escaped on a terminal."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None or os.name == "nt" or sys.stdout.isatty():
        print_result(printable(str(path)))
        return
    sys.stdout.flush()
    buffer.write(os.fsencode(path) + b"\n")
    buffer.flush()


def print_json(document: object, indent: int | None = None) -> None:
    """Print a JSON document on stdout."""
    print_result(dump(document, indent))


def check_stdout() -> None:
    """Raises `StdoutError` if stdout is closed. Called before long work whose result is printed."""
    with contextlib.suppress(ValueError, io.UnsupportedOperation):  # not a file descriptor
        descriptor = sys.stdout.fileno()
        try:
            os.write(descriptor, b"")
        except OSError as error:
            raise StdoutError(f"stdout: cannot be written to ({reason(error)})") from None


def binary_stdout() -> BinaryIO:
    """stdout for the bytes of an image. Raises `UsageError` if it is a terminal, `StdoutError` if it is closed."""
    if sys.stdout.isatty():
        raise UsageError("-o -: would write a PNG to the terminal; redirect stdout")
    check_stdout()
    sys.stdout.flush()
    return sys.stdout.buffer


def write_stdout(data: bytes) -> None:
    """Write all bytes to stdout, which may accept them in parts."""
    stdout, rest = binary_stdout(), memoryview(data)
    while rest:
        rest = rest[stdout.write(rest) or 0 :]
    stdout.flush()
