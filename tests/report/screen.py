"""As much of a terminal as the live table uses: what a reader sees after some output."""

import re

TOKEN = re.compile(r"\x1b\[(?P<args>[0-9;?]*)(?P<code>[a-zA-Z])|(?P<char>[\s\S])")


class Screen:
    """Rows of text without end; `feed` understands line feeds, moves up and down, and erasing."""

    def __init__(self) -> None:
        self.rows = [""]
        self.row = self.column = 0
        self.cursor_shown = True

    def feed(self, output: str) -> None:
        for token in TOKEN.finditer(output):
            if (char := token["char"]) is not None:
                self._put(char)
            else:
                self._obey(token["code"], token["args"])

    def _put(self, char: str) -> None:
        assert char != "\x1b", "an escape code that Screen does not know"
        if char == "\r":
            self.column = 0
        elif char == "\n":  # of a terminal, which also returns the carriage
            self._go(self.row + 1)
            self.column = 0
        else:
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    def _go(self, row: int) -> None:
        self.row = max(0, row)
        self.rows += [""] * (self.row + 1 - len(self.rows))

    def _obey(self, code: str, args: str) -> None:
        count = int(args) if args.isdecimal() else 1
        if code == "A":
            self._go(self.row - count)
        elif code == "B":
            self._go(self.row + count)
        elif code in "KJ":
            self.rows[self.row] = self.rows[self.row][: self.column]
            if code == "J":
                del self.rows[self.row + 1 :]
        elif args == "?25":
            self.cursor_shown = code == "h"

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.rows).rstrip("\n")
