"""Which variant trains: the one that is named, or the one that suits the images."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gancli import catalogue
from gancli.config import fields_of, toml
from gancli.config.paths import expanded
from gancli.config.resolve import Layer
from gancli.data.probe import probe
from gancli.engine.begin import run_directory
from gancli.store import names
from gancli.store.facts import from_header
from gancli.store.header import read_header
from gancli.store.rundir import weights_file
from gancli.text import Note

USUAL, FOR_PICTURES = "vanilla", "dcgan"
LARGEST_FLAT = 32  # pixels that a fully connected network still draws well
FITTING = (8, 14, 16, 28, 32, 56, 64, 112, 128)  # sides that dcgan has halvings for


@dataclass(frozen=True)
class Choice:
    """`layer`: what follows from it for other options, and the line that says so; lowest in precedence."""

    variant: str
    layer: Layer | None = None


def choose(given: Mapping[str, Any], table: Mapping[str, object], config: str | None, resume: str | None) -> Choice:
    """The variant of a run: named among the options that are `given`, in the `table` of the file `config`, by the run to
    `resume` or by the model to start from; else one that suits the images. Raises `UsageError` and `CheckpointError`."""
    if "variant" in given:
        return Choice(catalogue.check_name(given["variant"]))
    if "variant" in table:
        return Choice(catalogue.check_name(str(table["variant"]), f"--config {config}"))
    both = {**table, **given}
    directory = both.get("out") if resume == "auto" else resume
    if directory and (recorded := run_directory(expanded(str(directory), "--resume")).config).is_file():
        return Choice(catalogue.check_name(str(toml.read(recorded).get("variant", USUAL)), str(recorded)))
    if (init_from := both.get("init_from")) is not None:
        return _like(str(init_from))
    dataset, size = both.get("dataset"), both.get("image_size")
    asked = [*map(str, both), str(both.get("preset"))]
    return _suiting(None if dataset is None else str(dataset), size if isinstance(size, int) else None, asked)


def _like(init_from: str) -> Choice:
    """The variant of the model that a run is to start from. Raises `UsageError` and `CheckpointError`."""
    path = weights_file(names.meant(init_from, "--init-from"))
    return Choice(from_header(path, read_header(path)).variant)


def _suiting(dataset: str | None, image_size: int | None, asked: Iterable[str]) -> Choice:
    """For a data set, and the options (by name) and preset that were `asked` for: dcgan for colour, or for more than 32
    pixels, unless they belong to vanilla alone."""
    usual, other = (catalogue.card(name).config_class for name in (USUAL, FOR_PICTURES))
    known = {field.name for field in fields_of(other)} | set(other.presets)
    its_own = ({field.name for field in fields_of(usual)} | set(usual.presets)) - known
    if dataset is None or its_own & set(asked) or (seen := probe(dataset)) is None:
        return Choice(USUAL)
    side = image_size or seen.side
    why = "in colour" if seen.coloured else f"of {side} pixels" if side > LARGEST_FLAT else ""
    if not why:
        return Choice(USUAL)
    values: dict[str, object] = {}
    note = f"variant {FOR_PICTURES}, as the pictures are {why} (--variant chooses another)"
    if image_size is None and seen.square and min(FITTING) <= side <= max(FITTING) and side not in FITTING:
        values["image_size"] = max(size for size in FITTING if size <= side)
        note += f"; at {values['image_size']} pixels, of their {side}, which it can halve (--image-size)"
    return Choice(FOR_PICTURES, Layer("the pictures", values, notes=(Note(note),)))
