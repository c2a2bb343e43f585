"""Resolve a `gan train` command to where its run starts: a new run, or a saved state to resume. Imports no torch."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gancli import catalogue
from gancli.config import RunConfig, VariantConfig, fields_of, interval, toml
from gancli.config.paths import expanded
from gancli.config.resolve import (
    NOT_STORED,
    Layer,
    Resolved,
    check_resumed,
    file_layer,
    known_fields,
    preset_layers,
    resolve,
)
from gancli.config.run import RANDOM_WEIGHTS
from gancli.data.dataset_object import NEEDS_OBJECT, PREFIX, DatasetObject, is_python
from gancli.data.names import dataset_names
from gancli.data.overview import channels_of, own_size
from gancli.data.patterns import dataset_stem, is_pattern
from gancli.errors import CheckpointError, UsageError
from gancli.files import hub
from gancli.files.hub_errors import Kind
from gancli.store import pretrained, run_directory
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.store.run_directory import RunDirectory
from gancli.text import Note

if TYPE_CHECKING:
    from gancli.store.state import State, Weights

MNIST_IMAGES = 60_000
TAKEN_FROM_START = ("self_conditioned", "coarsest", "coarse_layers")  # with others, most tensors would not match
Forecast = Literal["new", "resumes", "finished"]
Config = TypeVar("Config", RunConfig, VariantConfig)


@dataclass(frozen=True)
class Start:
    """The resolved command: configuration, run directory (None: to be numbered), and the state to resume or the weights to
    initialise from."""

    resolved: Resolved
    directory: RunDirectory | None
    state: "State | None" = None
    warnings: tuple[str, ...] = ()
    weights: "Weights | None" = None

    def make_directory(self) -> RunDirectory:
        """Return the run directory; without `--out` a new, numbered one is made here."""
        run = self.resolved.run
        return self.directory or run_directory.make_numbered_run(Path("runs"), default_name(run.variant, run.dataset))


def resolve_start(variant: str, layers: Sequence[Layer], resume: str | None, dry_run: bool) -> Start:
    """Resolve a command. `layers`: its values by origin, in rising precedence. Raises `UsageError` for options that
    contradict each other, and what reading the state to resume raises."""
    out = value_of(layers, "out")
    path = None if out is None else expanded(out, "--out")
    if resume == "auto":
        if path is None:
            raise UsageError("--resume auto: needs --out, the run directory to resume or to start")
        if not RunDirectory(path).states():
            return _start_new(variant, layers, path, dry_run, again=True)
        return _start_resumed(variant, path, layers, path, dry_run)
    if resume is not None:
        return _start_resumed(variant, expanded(resume, "--resume"), layers, path, dry_run)
    return _start_new(variant, layers, path, dry_run, again=False)


def forecast(variant: str, layers: Sequence[Layer], path: Path, again: bool) -> Forecast:
    """Return what the command would do in `path`, without making or loading anything: start, resume, or nothing because
    the run is as long as requested. `again`: as with `--resume auto`. Raises what `resolve_start` would, as far as is known
    without the state's tensors."""
    states = RunDirectory(path).states() if again else []
    if not states:
        _resolve_new(variant, layers, path, again)
        return "new"
    try:
        facts = from_header(states[0], read_header(states[0]))
    except CheckpointError:
        return "resumes"  # from an earlier state, if there is one
    recorded, now = _resolve_resumed(variant, layers, _recorded_layer(variant, RunDirectory(path)), facts)
    changed = (now.run.steps, now.run.epochs) != (recorded.run.steps, recorded.run.epochs)
    longer = changed and not (now.run.steps and now.run.steps <= facts.step)
    return "resumes" if facts.step < facts.steps or longer else "finished"


def read_config(config: str | None) -> Mapping[str, object]:
    """Return the table of a `--config` file, empty without one. Raises `UsageError`."""
    return {} if config is None else toml.read(expanded(config, "--config"))


def config_layer(config: str, table: Mapping[str, object], variant: str) -> Layer:
    """Return the values that the `table` of a `--config` file gives a variant. Raises `UsageError`.

    The file of a run has all options of its variant. An option that it lacks is newer than the run, and gets the
    option's own default instead of a preset's value: that is what earlier versions did.
    """
    others = [name for name in catalogue.names() if name != variant]
    config_class = catalogue.variant_info(variant).config_class
    layer = file_layer(config, table, variant, config_class, others)
    if toml.CHOSEN not in table or variant not in table:
        return layer
    newer = {field.name: field.default for field in fields_of(config_class) if field.name not in layer.values}
    former = pretrained.former_defaults(table, variant)
    newer |= {
        name: value for name, value in former.items() if name != "mirror"
    }  # which is usually the default of today
    values, fields = {**former, **newer, **layer.values}, known_fields(config_class)
    if flags := ", ".join(f"{fields[name].flag} {value}" for name, value in newer.items() if value is not None):
        note = Note(f"--config {config}: options that it lacks keep its behaviour: {flags}")
        layer = dataclasses.replace(layer, notes=(*layer.notes, note))
    return dataclasses.replace(layer, values=values)


def value_of(layers: Sequence[Layer], name: str) -> Any:
    """Return an option's value in the last layer that has it, or None."""
    return next((layer.values[name] for layer in reversed(layers) if name in layer.values), None)


def max_seconds(layers: Sequence[Layer]) -> float | None:
    """Return the time limit that `--max-time` sets, or None."""
    limit = value_of(layers, "max_time")
    return None if limit is None else interval.seconds(limit)


def run_directory_of(path: Path) -> RunDirectory:
    """Return the run directory that a directory, or a checkpoint in one, belongs to."""
    if path.suffix == ".safetensors":
        return RunDirectory(path.parent.parent if path.parent.name == "state" else path.parent)
    return RunDirectory(path)


def default_name(variant: str, dataset: str) -> str:
    """Return the name, before its number, of a run directory without `--out`: the variant, and the last part of the
    dataset's path."""
    name = hub.parse(dataset, "--dataset").repo if hub.is_reference(dataset) else dataset.removeprefix(PREFIX)
    last = (name.rpartition("/")[2] if hub.is_reference(dataset) else dataset_stem(Path(name))) or "data"
    return variant + "-" + "".join(c if c.isalnum() or c in ".-" else "-" for c in last)[:60]


def _start_new(variant: str, layers: Sequence[Layer], path: Path | None, dry_run: bool, again: bool) -> Start:
    resolved = _resolve_new(variant, layers, path, again)
    weights, warnings = _initial_weights(resolved.run)
    if weights is not None and (taken := _taken_from(weights.facts.config, resolved.own)):
        resolved = _resolve_new(variant, [Layer("--init-from", taken), *layers], path, again)
    directory = None if path is None else RunDirectory(path) if dry_run else run_directory.make_writable(path)
    notes = [note for layer in layers for note in layer.notes]
    return Start(resolved, directory, warnings=(*notes, *warnings), weights=weights)


def _taken_from(model: VariantConfig, own: VariantConfig) -> dict[str, object]:
    """Return the options that a run takes from the model that it starts from, unless they are given: those that differ."""
    values = {name: getattr(model, name) for name in TAKEN_FROM_START if hasattr(model, name)}
    return {name: value for name, value in values.items() if value != getattr(own, name)}


def _resolve_new(variant: str, layers: Sequence[Layer], path: Path | None, again: bool) -> Resolved:
    """Return all values of a new run. Raises `UsageError` for values that contradict each other, and an occupied
    `path`."""
    config_class, layers = catalogue.variant_info(variant).config_class, _with_commits(layers)
    dataset, preset = value_of(layers, "dataset"), value_of(layers, "preset") or "default"
    presets = preset_layers(variant, config_class, preset, channels_of(dataset or "digits"))
    presets += [*_length_on_own_images(dataset, presets), *_size_of_named_dataset(variant, dataset, presets)]
    resolved = _with_absolute_paths(resolve(variant, config_class, [*presets, *layers]))
    if path is not None:
        run_directory.check_new(path, again)
    return resolved


def _length_on_own_images(dataset: str | None, presets: Sequence[Layer]) -> list[Layer]:
    """Return the number of steps that a preset's epochs take on MNIST, for a user's own images: few images take as many
    steps to learn as many images do."""
    epochs, batch_size = (value_of(presets, name) for name in ("epochs", "batch_size"))
    if dataset is None or dataset in dataset_names() or epochs is None or value_of(presets, "steps") is not None:
        return []
    within = [Layer(each.origin, {"within": each.values["within"]}) for each in presets if "within" in each.values]
    batches = max(1, MNIST_IMAGES // (batch_size or RunConfig.batch_size))
    return [Layer("own images", {"steps": epochs * batches}), *within]


def _size_of_named_dataset(variant: str, dataset: str | None, presets: Sequence[Layer]) -> list[Layer]:
    """Return the size of a named dataset's images where it is below that of a preset of this package: such a preset makes
    images smaller, to be fast, and does not enlarge any."""
    size, own = value_of(presets, "image_size"), own_size(dataset or "digits")
    if not catalogue.is_own(variant) or size is None or own is None or own >= size:
        return []
    return [Layer("the dataset", {"image_size": None})]


def _initial_weights(run: RunConfig) -> "tuple[Weights | None, list[str]]":
    """Return the weights of `--init-from`, and warnings. Raises `UsageError` for another variant's, and
    `CheckpointError`."""
    if run.init_from in (None, RANDOM_WEIGHTS):
        return None, []
    from gancli.store import state

    found, warnings = state.load_weights(pretrained.resolve_model_path(run.init_from, "--init-from"))
    if found.facts.variant != run.variant:
        raise UsageError(f"--init-from {run.init_from}: is a model of {found.facts.variant}, not of {run.variant}")
    return found, warnings


def _start_resumed(variant: str, path: Path, layers: Sequence[Layer], out: Path | None, dry_run: bool) -> Start:
    from gancli.store import state

    directory = run_directory_of(path)
    _check_resumable(path, directory)
    is_file = path.suffix == ".safetensors"
    if is_file and path.name != "ckpt.safetensors":
        saved, warnings = state.load(path), list[str]()
    else:
        saved, warnings = state.load_newest(directory)
    if saved.facts.variant != variant:
        raise CheckpointError(f"{saved.path}: a state of {saved.facts.variant}, not of {variant}")
    if note := catalogue.origin_of(variant).changed_since(saved.facts.origin, str(saved.path)):
        warnings.append(Note(note))
    recorded_layer = _recorded_layer(variant, directory)
    warnings += [note for layer in (recorded_layer, *layers) for note in layer.notes]
    resolved = _resolve_resumed(variant, layers, recorded_layer, saved.facts)[1]
    if (within := value_of(layers, "within")) is not None:
        warnings.append(Note(f"--within {within}: shortens new runs; this one keeps its length (--max-time stops it)"))
    if value_of(layers, "dataset") is None:
        _check_dataset(resolved.run.dataset)
    if out is not None and out.resolve() != directory.path.resolve():
        run_directory.check_new(out, again=False)
        directory = RunDirectory(out) if dry_run else run_directory.make_writable(out)
    elif is_file and directory.states()[:1] != [saved.path] and not path.name.startswith("ckpt"):
        raise UsageError(f"--resume {path}: not the newest state there; give --out for a directory of its own")
    return Start(resolved, directory, saved, tuple(warnings))


def _check_resumable(path: Path, directory: RunDirectory) -> None:
    """Raises `UsageError` if `path` is not in a run directory."""
    if not directory.holds_run and str(path) in pretrained.pretrained_names() and not os.path.lexists(path):
        raise UsageError(f"--resume {path}: a pretrained model, which has no training state to resume from")
    if several := run_directory.describe_runs(path):
        raise UsageError(f"--resume {path}: {several}; give one of them, or the options of the sweep and --resume auto")
    if not directory.holds_run:
        raise UsageError(f"--resume {path}: not a run directory (it has no config.toml) or a state in one")


def _check_dataset(dataset: str) -> None:
    """Raises `UsageError` if the folder or archive that a run was trained on is gone, or if it was an object of Python."""
    if is_python(dataset):
        raise UsageError(f"--dataset {dataset}: {NEEDS_OBJECT}")
    is_named = dataset in dataset_names() or hub.is_reference(dataset)
    if not is_named and not (os.path.lexists(dataset) or is_pattern(dataset)):
        raise UsageError(f"--dataset {dataset}: the run's data no longer exists; give its new path with -d")


def _resolve_resumed(
    variant: str, layers: Sequence[Layer], recorded_layer: Layer, facts: Facts
) -> tuple[Resolved, Resolved]:
    """Return the values of a run as recorded, and as resumed. Raises `UsageError` for options that a resumed run cannot
    change."""
    config_class, layers = catalogue.variant_info(variant).config_class, _with_commits(layers, recorded_layer)
    if value_of(layers, "within") is not None:  # then a length is that before shortening, and the run keeps its own
        layers = [_without_length(layer) for layer in layers]
    resolved_before = {
        "image_size": facts.images.size,
        "init_from": facts.init_from or RANDOM_WEIGHTS,
        "fit": facts.fit,
        "held_out": facts.held_out,
        **dataclasses.asdict(facts.config),
    }
    recorded = resolve(variant, config_class, [recorded_layer])
    check_resumed(recorded, layers, resolved_before)
    return recorded, _with_absolute_paths(resolve(variant, config_class, [recorded_layer, *layers]))


def _without_length(layer: Layer) -> Layer:
    values = {name: value for name, value in layer.values.items() if name not in ("steps", "epochs")}
    return dataclasses.replace(layer, values=values)


def _with_commits(layers: Sequence[Layer], recorded: Layer | None = None) -> list[Layer]:
    """Return the layers with the commit of each dataset and model of the hub, so that the run can be repeated; that of the
    `recorded` run, if it is resumed. Raises `UsageError`, and `DataError` or `CheckpointError` if the hub cannot be
    asked."""
    kinds: Mapping[str, Kind] = {"dataset": "dataset", "init_from": "model"}
    download, found = value_of(layers, "download") is not False, list[Layer]()
    for layer in layers:
        values = {
            name: hub.with_commit(str(layer.values[name]), kind, f"--{name.replace('_', '-')}", known, download)
            for name, kind in kinds.items()
            if hub.is_reference(layer.values.get(name))
            for known in [recorded.values.get(name) if recorded else None]
        }
        found.append(dataclasses.replace(layer, values={**layer.values, **values}))
    return found


def _recorded_layer(variant: str, directory: RunDirectory) -> Layer:
    config_class = catalogue.variant_info(variant).config_class
    table = toml.read(directory.config)
    layer = file_layer("resumed run", table, variant, config_class, ())
    former = pretrained.former_defaults(table, variant)
    values = {name: value for name, value in layer.values.items() if name not in NOT_STORED}
    return dataclasses.replace(layer, values={**former, **values})


def _with_absolute_paths(resolved: Resolved) -> Resolved:
    """Return the values with absolute paths, which are valid from any directory. Homes stay `~`, as they differ between
    machines."""
    run, own, stored = _absolute(resolved.run), _absolute(resolved.own), _absolute(resolved.stored)
    return dataclasses.replace(resolved, run=run, own=own, stored=stored)


def _absolute(config: Config) -> Config:
    changed: dict[str, Any] = {}
    for field in fields_of(type(config)):
        value = getattr(config, field.name)
        if not field.option.path or value is None or (field.name == "dataset" and value in dataset_names()):
            continue
        if field.name == "data_root" and value.startswith("~"):
            continue
        if isinstance(value, DatasetObject):
            continue
        if field.name in ("dataset", "init_from") and hub.is_reference(value):
            continue
        if field.name == "init_from" and value == RANDOM_WEIGHTS:
            continue
        path = expanded(value, field.flag)
        if field.name == "init_from" and pretrained.pretrained_name(pretrained.resolve_model_path(value, field.flag)):
            continue
        is_path = field.name in ("data_root", "init_from") or (field.name == "dataset" and is_pattern(path))
        if is_path or os.path.lexists(path):
            changed[field.name] = str(path.absolute())
    return dataclasses.replace(config, **changed)
