"""The CKPT argument of the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli import catalogue
from gancli.catalogue import outside
from gancli.cli import completing, console
from gancli.errors import UsageError
from gancli.store import pretrained
from gancli.store.facts import Facts

PRETRAINED = f"a pretrained model ({', '.join(pretrained.pretrained_names())})"
VARIANT_HELP = (
    "The file with the code of the model's variant, if it is neither gan's own nor installed (or $GAN_VARIANTS)."
)
COMPLETION: dict[str, Any] = {"autocompletion": completing.checkpoint}


Variants = Annotated[
    list[str] | None,
    typer.Option("-v", "--variant", metavar="FILE", help=VARIANT_HELP, autocompletion=completing.variant),
]


def name_variants(words: Sequence[str] | None) -> None:
    """Make the variants of `-v FILE` known, whose code a model then uses. Raises `UsageError` and `VariantError`."""
    for word in words or ():
        if not outside.is_file(word):
            raise UsageError(f"--variant {word}: must be a .py file; a model names its variant itself")
        catalogue.check_name(catalogue.resolve(word))


def print_changed(path: Path, facts: Facts) -> None:
    """Print a note if a model's code, from outside of gan, is not the one that it was trained with."""
    if note := catalogue.origin_of(facts.variant).changed_since(facts.origin, str(path)):
        console.print_message(f"note: {note}")


def resolve(word: str) -> Path:
    """Return the path that a CKPT names, and print notes. Raises what `store.pretrained.resolve_checkpoint` does."""
    path, note = pretrained.resolve_checkpoint(word)
    if note:
        console.print_message(f"note: {note}")
    return path


def resolve_all(words: Sequence[str], trained: bool = False) -> list[Path]:
    """Return the paths that several CKPT name, as `pretrained.resolve_checkpoints` does, and print notes."""
    found, notes = pretrained.resolve_checkpoints(words, trained)
    for note in notes:
        console.print_message(f"note: {note}")
    return found
