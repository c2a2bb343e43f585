"""The CKPT argument of the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gancli.cli import completing, console
from gancli.store import names

COMES_ALONG = f"a pretrained model ({', '.join(names.names())})"
ABOUT: dict[str, Any] = {"autocompletion": completing.checkpoint}


def located(word: str) -> Path:
    """Return the path that a CKPT names, and print notes. Raises what `store.names.located` does."""
    path, note = names.located(word)
    if note:
        console.say(f"note: {note}")
    return path


def all_located(words: Sequence[str], trained: bool = False) -> list[Path]:
    """Return the paths that several CKPT name, as `store.names.all_located` does, and print notes."""
    found, notes = names.all_located(words, trained)
    for note in notes:
        console.say(f"note: {note}")
    return found
