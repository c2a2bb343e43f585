"""Text for terminals, pipes and logs with any encoding, and for messages.

`READABLE` is an error handler for encoding, as `"backslashreplace"` is: a character that an encoding lacks becomes similar
ASCII (`×` x, `…` ..., `↑` ^), else a backslash escape; undecodable bytes of a file name (`surrogateescape`) are written back
as they were.
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
    """`text` as one line for a terminal: control characters (escape codes, line breaks, bidi marks) and undecodable bytes
    are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


class Note(str):
    """A message about a normal event or an automatic choice; a plain `str` is a warning. Results of `+`, `strip` and others
    are plain strings."""

    __slots__ = ()


def message_kind(line: str) -> Literal["note", "warning"]:
    """The kind of a message, with which its line begins."""
    return "note" if isinstance(line, Note) else "warning"


def counted(number: int, noun: str, form: str = "") -> str:
    """A number with its noun: `1 step`, `2 steps`, `3 classes`, `4 entries`. `form`: format of the number, such as `,`."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}{'es' if noun.endswith('s') else 's'}"
    return f"{number:{form}} {noun if number == 1 else many}"


def few(names: Sequence[str], shown: int = 3) -> str:
    """The first names of a list, for a message."""
    return printable(", ".join(names[:shown])) + (", …" if len(names) > shown else "")


def _escaped(character: str) -> str:
    if _is_raw_byte(character):
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _is_raw_byte(character: str) -> bool:
    """Whether a character stands for an undecodable byte (PEP 383)."""
    return 0xDC80 <= ord(character) <= 0xDCFF


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler `READABLE`: the replacement of the first unencodable character, and the next position."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, rest = error.object[error.start], error.start + 1
    if _is_raw_byte(character) and not error.encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        return bytes([ord(character) - 0xDC00]), rest
    if character in _SUPERSCRIPTS:
        follows_one = error.start > 0 and error.object[error.start - 1] in _SUPERSCRIPTS
        return ("" if follows_one else "^") + _SUPERSCRIPTS[character], rest
    return _NEAREST.get(character) or _escaped(character), rest


codecs.register_error(READABLE, _readable)
