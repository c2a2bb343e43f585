"""What is known of the terminal that a stream is."""

import os
from typing import TextIO

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
