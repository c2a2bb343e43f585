"""The CKPT of a command line: its completion, and the place that it names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gancli.cli import console
from gancli.store import names

COMES_ALONG = f"a model that comes along ({', '.join(names.names())})"


def completed(incomplete: str) -> list[str]:
    """Tab completion: names of models that come along, and beside them the paths that go on like that. Nothing where no name
    does, so that the shell completes paths in its own way."""
    known = [name for name in names.names() if name.startswith(incomplete)]
    return [*known, *_paths(incomplete)] if known else []


def _paths(incomplete: str) -> Iterator[str]:
    """Folders, and checkpoints, in the working directory."""
    for path in sorted(Path().glob("[!.]*")):
        if path.name.startswith(incomplete) and (path.is_dir() or path.suffix == names.SUFFIX):
            yield f"{path.name}/" if path.is_dir() else path.name


ABOUT: dict[str, Any] = {"autocompletion": completed}


def located(word: str) -> Path:
    """The place that a CKPT names; what there is to tell of it is told. Raises what `store.names.located` does."""
    place = names.located(word)
    if place.note:
        console.say(f"note: {place.note}")
    return place.path
