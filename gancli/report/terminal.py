"""The size of a terminal, and what it can do."""

import os
from typing import TextIO

NARROWEST = 20  # columns that anything can be read in
DUMB = ("", "dumb", "unknown")  # TERM of a terminal that takes no escape codes; not set is empty


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows of the terminal that `stream` is; 80 × 24 where it does not tell.

    COLUMNS and LINES are not looked at: exported, they are what the terminal was once.
    """
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return found.columns or 80, found.lines or 24


def piped_columns() -> int | None:
    """How many columns text may take that goes to no terminal: what COLUMNS says, where it is exported and sound; else
    None, as many as it likes."""
    return number_of_columns(os.environ.get("COLUMNS", ""))


def number_of_columns(text: str) -> int | None:
    """A sound number of columns, or None."""
    return int(text) if text.isdecimal() and len(text) < 6 and int(text) >= NARROWEST else None
