"""The CKPT of a command line: the place that it names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gancli.cli import completing, console
from gancli.store import names

COMES_ALONG = f"a pretrained model ({', '.join(names.names())})"


ABOUT: dict[str, Any] = {"autocompletion": completing.checkpoint}


def located(word: str) -> Path:
    """The place that a CKPT names; what there is to tell of it is told. Raises what `store.names.located` does."""
    place = names.located(word)
    if place.note:
        console.say(f"note: {place.note}")
    return place.path


def all_located(words: Sequence[str], trained: bool = False) -> list[Path]:
    """The same of several, as `store.names.all_located` has them."""
    found, notes = names.all_located(words, trained)
    for note in notes:
        console.say(f"note: {note}")
    return found
