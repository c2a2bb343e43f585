"""The command lines of README and docs: found, and made short enough for a test."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
FEW = 20  # samples, where a line asks for thousands
ELSEWHERE = {
    "commands.md",
    "export.md",
    "measuring.md",
}  # test_examples.py runs two of them, the first has patterns only
LONG = (
    "--steps",
    "--epochs",
    "--pretrain-steps",
    "--within",
    "--max-time",
    "--width",
    "--blocks",
    "--batch-size",
    "--eval-every",
    "--processes",
)
SMALL_SETS = {"mnist": "digits", "cifar10": "shapes", "leaves": "~/photographs"}  # a download, and a minute of drawing


class Line(NamedTuple):
    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its words without comments, and without what it is piped into."""
        words = shlex.split(self.text, comments=True)
        return words[: words.index("|")] if "|" in words else words


def lines() -> list[Line]:
    """Every line of the indented blocks, each once."""
    found: dict[str, Line] = {}
    for page in PAGES:
        if page.name not in ELSEWHERE:
            for text in _indented(page):
                found.setdefault(text.split(" #")[0].strip(), Line(str(page.relative_to(ROOT)), text))
    return list(found.values())


def _indented(page: Path) -> Iterator[str]:
    for block in re.findall(r"(?:^|\n\n)((?: {4}\S.*\n)+)", page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (each.strip() for each in line.split("&&"))


def beginning(*starts: str) -> list[Line]:
    return [line for line in lines() if line.text.split()[0] in starts]


def shortened(words: Sequence[str]) -> list[str]:
    """A `gan train` line as two steps on pictures that are at hand; a sweep over seeds as two of them."""
    words, kept = list(words), list[str]()
    while words:
        word = words.pop(0)
        if word in LONG:
            words.pop(0)
        else:
            kept.append("0-1" if kept[-1:] == ["--seed"] and word.startswith("0-") else SMALL_SETS.get(word, word))
    return [*kept, "--steps", "2", "--batch-size", "16"]


def fewer(words: Sequence[str]) -> list[str]:
    """A line that samples or measures, with few pictures."""
    counts = {place + 1 for place, word in enumerate(words) if word == "-n"}
    return [str(min(int(word), FEW)) if place in counts else word for place, word in enumerate(words)]
