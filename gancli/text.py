"""Text for people whose terminal, pipe or log takes less than Unicode, and file names as they are.

`READABLE` is an error handler for encoding text, as `"backslashreplace"` is: what an encoding lacks becomes the nearest
ASCII (`×` x, `…` ..., `↑` ^), else a backslash escape; the bytes of a file name that could not
be decoded (`surrogateescape`) become themselves again.
"""

import codecs
from collections.abc import Sequence
from typing import Literal

READABLE = "gancli.readable"

_NEAREST = {
    "±": "+-", "µ": "u", "·": "-", "½": "1/2", "×": "x",
    "–": "-", "—": "-", "‖": "||", "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ",
    "←": "<-", "↑": "^", "→": "->", "↓": "v", "↔": "<->", "↦": "->", "−": "-", "√": "sqrt ", "≥": ">=", "≤": "<=",
    "─": "-", "━": "=", "│": "|", "┃": "|", "└": "+", "├": "+", "┤": "+", "┌": "+", "┐": "+", "┘": "+", "╸": "-", "╺": "-",
    "╭": "+", "╮": "+", "╯": "+", "╰": "+", "•": "*", "●": "*",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-=+*%@", strict=True)),
}  # fmt: skip
_SUPERSCRIPTS = {"²": "2", "³": "3", "⁻": "-"}


def printable(text: str) -> str:
    """One line of `text` fit for a terminal: control characters (escape codes, line breaks, bidi marks) are escaped, and the
    bytes of file names that are no text."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


class Note(str):
    """A line for the user about what is normal: what was decided unasked, or how it is done. Any other line is a warning of
    what is not. What is made of a note, as by `+` or `strip`, is none."""

    __slots__ = ()


def kind(line: str) -> Literal["note", "warning"]:
    """What a line that the user should know is, and begins with."""
    return "note" if isinstance(line, Note) else "warning"


def counted(number: int, noun: str, form: str = "") -> str:
    """A number with its noun: `1 step`, `2 steps`, `3 classes`, `4 entries`. `form`: how the number is written, as `,`."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}{'es' if noun.endswith('s') else 's'}"
    return f"{number:{form}} {noun if number == 1 else many}"


def few(names: Sequence[str], shown: int = 3) -> str:
    """The first names of many, for a message."""
    return printable(", ".join(names[:shown])) + (", …" if len(names) > shown else "")


def _escaped(character: str) -> str:
    if _is_raw_byte(character):
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _is_raw_byte(character: str) -> bool:
    """Whether this stands for a byte that could not be decoded (PEP 383)."""
    return 0xDC80 <= ord(character) <= 0xDCFF


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler `READABLE`: what to write for the first of the characters in question, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, rest = error.object[error.start], error.start + 1
    if _is_raw_byte(character) and not error.encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        return bytes([ord(character) - 0xDC00]), rest
    if character in _SUPERSCRIPTS:
        goes_on = error.start > 0 and error.object[error.start - 1] in _SUPERSCRIPTS
        return ("" if goes_on else "^") + _SUPERSCRIPTS[character], rest
    return _NEAREST.get(character) or _escaped(character), rest


codecs.register_error(READABLE, _readable)
