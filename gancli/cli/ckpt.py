"""The CKPT argument of the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gancli.cli import completing, console
from gancli.store import pretrained

PRETRAINED = f"a pretrained model ({', '.join(pretrained.pretrained_names())})"
COMPLETION: dict[str, Any] = {"autocompletion": completing.checkpoint}


def resolve(word: str) -> Path:
    """Return the path that a CKPT names, and print notes. Raises what `store.pretrained.resolve_checkpoint` does."""
    path, note = pretrained.resolve_checkpoint(word)
    if note:
        console.print_message(f"note: {note}")
    return path


def resolve_all(words: Sequence[str], trained: bool = False) -> list[Path]:
    """Return the paths that several CKPT name, as `store.names.all_located` does, and print notes."""
    found, notes = pretrained.resolve_checkpoints(words, trained)
    for note in notes:
        console.print_message(f"note: {note}")
    return found
