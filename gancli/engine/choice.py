"""Choose the variant of a run, the one that is named or one that suits the images, and order the values of its options."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gancli import catalogue
from gancli.config import fields_of, toml
from gancli.config.paths import expanded
from gancli.config.resolve import FLAG, Layer, environment_layers
from gancli.config.run import RANDOM_WEIGHTS
from gancli.data.dataset_object import DatasetObject
from gancli.data.listing import Probe, probe
from gancli.engine.startup import config_layer, run_directory_of
from gancli.files.hub import is_reference
from gancli.store import pretrained
from gancli.store.facts import from_header
from gancli.store.header import read_header
from gancli.store.run_directory import weights_file
from gancli.text import Note

DEFAULT_VARIANT, CONVOLUTIONAL = "vanilla", "dcgan"
MAX_FLAT_SIZE = 32  # pixels, up to which fully connected networks generate good images
DCGAN_SIZES = (8, 14, 16, 28, 32, 56, 64, 112, 128)  # that it can halve often enough


@dataclass(frozen=True)
class Choice:
    """A variant. `layer`: the values of other options that follow from it, lowest in precedence, with a note."""

    variant: str
    layer: Layer | None = None

    def layers(
        self, given: Mapping[str, Any], table: Mapping[str, object], config: str | None, but: Collection[str] = ()
    ) -> list[Layer]:
        """Return the values of options by rising precedence: those that follow from the choice, the `table` of the file
        `config`, the environment (`but` some options), and the options `given`."""
        lowest = [self.layer] if self.layer else []
        from_file = [config_layer(config, table, self.variant)] if config is not None else []
        return [*lowest, *from_file, *environment_layers(but), Layer(FLAG, given)]


def choose(given: Mapping[str, Any], table: Mapping[str, object], config: str | None, resume: str | None) -> Choice:
    """Return the variant of the options `given`, the `table` of the file `config`, the run to `resume` or the model to
    initialise from, in this order; else one that suits the images. Raises `UsageError` and `CheckpointError`."""
    if (name := named(given, table, config, resume)) is not None:
        return Choice(name)
    both = {**table, **given}
    dataset, size = both.get("dataset"), both.get("image_size")
    if dataset is not None and not isinstance(dataset, DatasetObject):
        dataset = str(dataset)
    names, column = {*both, str(both.get("preset"))}, both.get("image_column")
    return _for_images(dataset, column, size if isinstance(size, int) else None, names)


def named(given: Mapping[str, Any], table: Mapping[str, object], config: str | None, resume: str | None) -> str | None:
    """Return the variant that the options `given`, the `table` of the file `config`, the run to `resume` or the model to
    initialise from name, in this order, or None. Imports nothing. Raises `UsageError` and `CheckpointError`."""
    if "variant" in given:
        return catalogue.check_name(catalogue.resolve(given["variant"]))
    if "variant" in table:
        return _recorded(table, f"--config {config}")
    both = {**table, **given}
    directory = both.get("out") if resume == "auto" else resume
    if directory and (recorded := run_directory_of(expanded(str(directory), "--resume")).config).is_file():
        return _recorded(toml.read(recorded), str(recorded))
    if (init_from := both.get("init_from")) not in (None, RANDOM_WEIGHTS):
        path = weights_file(pretrained.resolve_model_path(str(init_from), "--init-from"))
        facts = from_header(path, read_header(path))
        return catalogue.check_name(facts.variant, str(path), facts.origin)
    return None


def _recorded(table: Mapping[str, object], file: str) -> str:
    """Return the variant of a configuration. A file's code is not taken from there: it must be named again."""
    origin = table.get(toml.ORIGIN)
    return catalogue.check_name(
        str(table.get("variant", DEFAULT_VARIANT)), file, origin if isinstance(origin, dict) else None
    )


def _for_images(dataset: str | None, image_column: str | None, image_size: int | None, given: Iterable[str]) -> Choice:
    """Return dcgan for images in colour or of more than 32 pixels, unless an option or preset in `given` (names) belongs
    to vanilla only."""
    default, other = (catalogue.variant_info(name).config_class for name in (DEFAULT_VARIANT, CONVOLUTIONAL))
    known = {field.name for field in fields_of(other)} | set(other.presets)
    only_default = ({field.name for field in fields_of(default)} | set(default.presets)) - known
    if is_reference(dataset) and not only_default & set(given):
        note = f"variant {CONVOLUTIONAL}, for a dataset of the hub (use --variant to choose another)"
        return Choice(CONVOLUTIONAL, Layer("the images", {}, notes=(Note(note),)))
    if dataset is None or only_default & set(given) or (images := _probe(dataset, image_column)) is None:
        return Choice(DEFAULT_VARIANT)
    side = image_size or images.side
    why = "in colour" if images.coloured else f"of {side} pixels" if side > MAX_FLAT_SIZE else ""
    if not why:
        return Choice(DEFAULT_VARIANT)
    values: dict[str, object] = {}
    note = f"variant {CONVOLUTIONAL}, as the images are {why} (use --variant to choose another)"
    sized = image_size is not None or any("image_size" in other.presets.get(name, {}) for name in given)
    if not sized and images.square and DCGAN_SIZES[0] <= side <= DCGAN_SIZES[-1] and side not in DCGAN_SIZES:
        values["image_size"] = max(size for size in DCGAN_SIZES if size <= side)
        note += f"; resized from {side} to {values['image_size']} pixels, which it can halve (--image-size)"
    return Choice(CONVOLUTIONAL, Layer("the images", values, notes=(Note(note),)))


def _probe(dataset: str, image_column: str | None) -> Probe | None:
    if not isinstance(dataset, DatasetObject):
        return probe(dataset, image_column)
    from gancli.data import torch_dataset  # imports torch

    return torch_dataset.probe(dataset)
