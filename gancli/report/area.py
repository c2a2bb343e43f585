"""The lines at the end of a terminal's text that are drawn anew again and again.

Why not `rich.live.Live`: it sends every line on every refresh, and a picture of half blocks is some 100 kB, too much for a
slow connection; it loses its place when the terminal is made narrower; and it hides the cursor for the whole run, so that a
killed run leaves a terminal without one. Here only lines that changed are sent, and the cursor is hidden only while they
are.
"""

import re
import threading
from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len

BEGIN, END = "\x1b[?2026h\x1b[?25l", "\x1b[?25h\x1b[?2026l"  # synchronised output, where the terminal knows it
RESTORE = "\x1b[0m" + END
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Area:
    """Some lines at the end of what `stream`, a terminal, shows; the cursor rests below them.

    Lines must be shorter than the terminal is wide, and fewer than it has rows. Goes quiet, rather than end the run, when
    the terminal is gone.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: list[str] = []
        self._columns = 0
        self._lock = threading.RLock()
        self._broken = False

    def draw(self, lines: Sequence[str], columns: int) -> None:
        """Show `lines` (with escape codes) in place of those before; the terminal is `columns` wide by now."""
        with self._lock:
            resized = columns != self._columns
            parts = [BEGIN, self._to_top(columns)]
            for index, line in enumerate(lines):
                same = not resized and self._shown[index : index + 1] == [line]
                parts.append("\r\n" if same else f"{line}\x1b[0m\x1b[K\r\n")
            self._send("".join([*parts, "\x1b[J", END]))
            self._shown, self._columns = list(lines), columns

    def above(self, text: str) -> None:
        """Put lines of text before the area, for good."""
        with self._lock:
            lines = [line + "\x1b[0m" for line in text.removesuffix("\n").split("\n")]
            # Not "\x1b[J" from the first line on: where that is the top of the screen, tmux keeps a copy of what it erases.
            erase = "\x1b[K\x1b[B\x1b[J\x1b[A" if self._shown else "\x1b[K"
            before = [BEGIN, self._to_top(self._columns), erase, "\r\n".join(lines), "\r\n"]
            after = [line + "\x1b[0m\r\n" for line in self._shown]
            self._send("".join([*before, *after, END]))

    def below(self, text: str) -> None:
        """Put lines of text after the area, which stays as it is from now on."""
        with self._lock:
            self._send(text.removesuffix("\n").replace("\n", "\x1b[0m\r\n") + "\x1b[0m\r\n")
            self._shown = []

    def forget(self) -> None:
        """Take what is on the screen as unknown: the next `draw` sends every line."""
        with self._lock:
            self._shown = ["\x1b[0m" + line for line in self._shown]

    def close(self) -> None:
        """Leave the lines where they are and the terminal as it was, whatever was interrupted."""
        self._send(RESTORE)
        self._shown = []

    def _to_top(self, columns: int) -> str:
        """The way from below the area to its first line, which a narrower terminal has wrapped into several rows."""
        if columns >= self._columns:
            rows = len(self._shown)
        else:
            rows = sum(max(1, -(-cell_len(ESCAPE.sub("", line)) // columns)) for line in self._shown)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _send(self, text: str) -> None:
        if self._broken:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone, or the stream closed
            self._broken = True
