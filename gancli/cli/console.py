"""Where words go: results to stdout, everything else to stderr. Terminals are recognised by us, not by Rich."""

import os
import sys
from typing import TextIO

from rich.console import Console

from gancli.errors import printable


def console(stream: TextIO) -> Console:
    """A Rich console on `stream` that writes escape codes only to a terminal, whatever FORCE_COLOR says."""
    terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Console(
        file=stream,
        force_terminal=terminal,
        no_color=not terminal or bool(os.environ.get("NO_COLOR")),
        color_system="auto" if terminal else None,
        highlight=False,
        soft_wrap=not terminal,
        width=None if terminal else 100,
    )


def out() -> Console:
    """The console for results."""
    return console(sys.stdout)


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"gan: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)  # noqa: T201


def say(message: str) -> None:
    """A line about progress, on stderr."""
    print(printable(message), file=sys.stderr, flush=True)  # noqa: T201


def print_result(text: str) -> None:
    """A line on stdout, as it is."""
    print(text, flush=True)  # noqa: T201
