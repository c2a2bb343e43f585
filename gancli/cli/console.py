"""Where words go: results to stdout, everything else to stderr. Terminals are recognised by us, not by Rich."""

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
    """Whether escape codes may be written to `stream`: a terminal that can do it, whatever FORCE_COLOR says."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "").lower() not in DUMB


def console(stream: TextIO) -> Console:
    """A Rich console on `stream`, with escape codes only where it takes them."""
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
    """A stream that is no terminal, for Rich to write to, which fills its lines up with blanks: these are left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has it writable
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        self._stream.write(BLANKS.sub("", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def out() -> Console:
    """The console for results."""
    return console(sys.stdout)


def fits(table: Table, on: Console) -> bool:
    """Whether a console has as many columns as a table needs with each cell in one line."""
    unlimited = on.options.update(max_width=ANY_WIDTH)
    return Measurement.get(on, unlimited, table).maximum <= on.width


def complain(message: str) -> None:
    """One line on stderr."""
    _tell(f"gan: {printable(' '.join(message.split()))}")


def say(message: str) -> None:
    """A line about progress, on stderr."""
    _tell(printable(message))


def _tell(line: str) -> None:
    if takes_codes(sys.stderr) and line.startswith(
        ("gan:", "note:", "warning:")
    ):  # other lines may be there to be copied
        terminal = console(sys.stderr)
        line = "\n".join(part.plain for part in Text(line).wrap(terminal, terminal.width))
    if sys.stderr is not None:  # None: print would take stdout
        with contextlib.suppress(OSError, ValueError):  # a full disk, a closed stream: nobody can be told that, either
            print(line, file=sys.stderr, flush=True)  # noqa: T201


def print_result(text: str) -> None:
    """A line on stdout, as it is."""
    print(text, flush=True)  # noqa: T201


def print_path(path: str | Path) -> None:
    """A file's name as a result: its very bytes, for other programs; on a terminal, what can be shown of it."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None or os.name == "nt" or sys.stdout.isatty():
        print_result(printable(str(path)))
        return
    sys.stdout.flush()
    buffer.write(os.fsencode(path) + b"\n")
    buffer.flush()


def print_json(document: object, indent: int | None = None) -> None:
    """A JSON document on stdout."""
    print_result(dump(document, indent))


def check_stdout() -> None:
    """Raises `StdoutError` if stdout is closed: to be asked before work that takes long, for a result that goes there."""
    with contextlib.suppress(ValueError, io.UnsupportedOperation):  # no file of the system's
        descriptor = sys.stdout.fileno()
        try:
            os.write(descriptor, b"")
        except OSError as error:
            raise StdoutError(f"stdout: cannot be written to ({reason(error)})") from None


def binary_stdout() -> BinaryIO:
    """stdout for the bytes of a picture. Raises `UsageError` if it is a terminal, `StdoutError` if it is closed."""
    if sys.stdout.isatty():
        raise UsageError("-o -: would write a PNG to the terminal; redirect stdout")
    check_stdout()
    sys.stdout.flush()
    return sys.stdout.buffer


def write_stdout(data: bytes) -> None:
    """All of the bytes to stdout, whose file may take them in parts and say only at the next why it takes no more."""
    stdout, rest = binary_stdout(), memoryview(data)
    while rest:
        rest = rest[stdout.write(rest) or 0 :]
    stdout.flush()
