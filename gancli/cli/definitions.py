"""Words and what they mean, as lines that fit: for help pages, and for tables that are too wide. No word is broken, and no
choice inside of one: `fp32|bf16` goes on after a bar."""

import re
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gancli.cli import console

INDENT = 2
GAP = 2  # columns between a word and what it means
WIDE, NARROW = 26, 16  # columns for the words, where there is room and where there is not
ROOMY = 72  # columns from which there is
READABLE = 16  # columns for what words mean, without which it stands below them; longer words in tables may be folded


def lines(pairs: Iterable[tuple[Text, Text]], columns: int) -> list[Text]:
    """A line or several for each word and its meaning. Words that are too long for their column stand above."""
    left = WIDE if columns >= ROOMY else NARROW if columns >= NARROW + GAP + READABLE else INDENT
    found: list[Text] = []
    for word, meaning in pairs:
        head = [Text(" " * INDENT).append_text(part) for part in broken_at_bars(word, columns - INDENT)]
        body = wrapped(meaning, columns - left - GAP)
        if body and head[-1].cell_len <= left:
            head[-1].append(" " * (left + GAP - head[-1].cell_len)).append_text(body.pop(0))
        found += [*head, *(Text(" " * (left + GAP)).append_text(line) for line in body)]
    return found


def print_table(table: Table, out: Console) -> None:
    """Print a table of texts. Where it is too wide, a row's first cell is a word, and what the others say its meaning."""
    if console.narrowest(table, READABLE) <= out.width:
        out.print(table)
        return
    headings = [Text.from_markup(str(column.header)) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        name, *rest = (Text.from_markup(str(cell)) for cell in row)
        told = [
            Text.assemble(head, ": ", cell) if head else cell for head, cell in zip(headings[1:], rest, strict=True)
        ]
        for line in lines([(name, Text(", ").join(told))], out.width):
            out.print(line, soft_wrap=True)


def wrapped(text: Text, columns: int) -> list[Text]:
    """`text` broken between words; a word that is longer than a line stays whole. Line breaks in it stay."""
    found = []
    for paragraph in text.split("\n", allow_blank=True):
        line = Text()
        for word in _words(paragraph):
            if line and line.cell_len + 1 + word.cell_len > columns:
                found.append(line)
                line = Text()
            line = Text.assemble(line, " ", word) if line else word
        found.append(line)
    return found


def _words(text: Text) -> Sequence[Text]:
    places = [found.span() for found in re.finditer(r"\S+", text.plain)]
    return [text[start:stop] for start, stop in places]


def broken_at_bars(word: Text, columns: int) -> list[Text]:
    """An option and its choices in as many lines as they need; further ones begin below the first choice."""
    if word.cell_len <= columns:
        return [word]
    start = word.plain.rfind(" ") + 1
    line, found = word[:start], []
    for piece in re.finditer(r"[^|]*\|?", word.plain[start:]):
        part = word[start + piece.start() : start + piece.end()]
        if line.cell_len + part.cell_len > columns and line.plain.strip():
            found.append(line)
            line = Text(" " * start)
        line = Text.assemble(line, part)
    return [*found, line]
