"""From the layers of a command line to where a run starts: fresh, or on from a saved state."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gancli import catalogue
from gancli.config import RunConfig, VariantConfig, fields_of, interval, toml
from gancli.config.paths import expanded
from gancli.config.resolve import NOT_KEPT, Layer, Resolved, check_resumed, file_layer, preset_layers, resolve
from gancli.data.names import source_names
from gancli.data.patterns import is_pattern, stem
from gancli.errors import CheckpointError, UsageError
from gancli.store import names, rundir
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.store.rundir import RunDirectory
from gancli.text import Note

if TYPE_CHECKING:
    from gancli.store.state import State, Weights

MNIST_IMAGES = 60_000
Outlook = Literal["new", "goes on", "finished"]
Config = TypeVar("Config", RunConfig, VariantConfig)


@dataclass(frozen=True)
class Start:
    """What a command line comes down to: a configuration, where it goes, and the state to go on from, or another model's
    weights to start from."""

    resolved: Resolved
    directory: RunDirectory | None  # None: to be numbered
    state: "State | None" = None
    warnings: tuple[str, ...] = ()
    weights: "Weights | None" = None

    def target(self) -> RunDirectory:
        """The run's directory: made and numbered here where none was named."""
        run = self.resolved.run
        return self.directory or rundir.numbered(Path("runs"), usual_name(run.variant, run.dataset))


def begin(variant: str, layers: Sequence[Layer], resume: str | None, dry_run: bool) -> Start:
    """Raises `UsageError` for what contradicts itself, and what reading the state to resume raises."""
    out = last_value(layers, "out")
    path = None if out is None else expanded(out, "--out")
    if resume == "auto":
        if path is None:
            raise UsageError("--resume auto: needs --out, the run directory to go on in or to start")
        if not RunDirectory(path).states():
            return _fresh(variant, layers, path, dry_run, again=True)
        return _resumed(variant, path, layers, path, dry_run)
    if resume is not None:
        return _resumed(variant, expanded(resume, "--resume"), layers, path, dry_run)
    return _fresh(variant, layers, path, dry_run, again=False)


def outlook(variant: str, layers: Sequence[Layer], path: Path, again: bool) -> Outlook:
    """What the run in `path` would do: begin, go on, or nothing as it is as long as it is asked to be. `again`: as with
    `--resume auto`. Makes and loads nothing. Raises what `begin` would, as far as it can be told without the state."""
    states = RunDirectory(path).states() if again else []
    if not states:
        _checked(variant, layers, path, again)
        return "new"
    try:
        facts = from_header(states[0], read_header(states[0]))
    except CheckpointError:
        return "goes on"  # from the state before it, if there is one
    recorded, now = _taken_up(variant, layers, _recorded(variant, RunDirectory(path)), facts)
    was, asked = recorded.run, now.run
    longer = (asked.steps, asked.epochs) != (was.steps, was.epochs) and not (asked.steps and asked.steps <= facts.step)
    return "goes on" if facts.step < facts.steps or longer else "finished"


def read_config(config: str | None) -> Mapping[str, object]:
    """The table of a `--config` file; without one, an empty table. Raises `UsageError`."""
    return {} if config is None else toml.read(expanded(config, "--config"))


def config_layer(config: str, table: Mapping[str, object], variant: str) -> Layer:
    """The values that the `table` of a `--config` file gives a variant. Raises `UsageError`.

    A run's own file has all options of its variant. An option that it lacks is newer than the run: it gets the option's own
    default, which keeps the behaviour of the time, whatever the preset says now.
    """
    others = [name for name in catalogue.names() if name != variant]
    config_class = catalogue.card(variant).config_class
    layer = file_layer(config, table, variant, config_class, others)
    if toml.CAME_TO not in table or variant not in table:
        return layer
    newer = [field for field in fields_of(config_class) if field.name not in layer.values]
    told = ", ".join(f"{field.flag} {field.default}" for field in newer if field.default is not None)
    note = Note(
        f"--config {config}: written by an older gan, without options that now take the values of that time: {told}"
    )
    values = {**{field.name: field.default for field in newer}, **layer.values}
    return dataclasses.replace(layer, values=values, notes=(*layer.notes, *([note] if told else [])))


def last_value(layers: Sequence[Layer], name: str) -> Any:
    """What the last layer that has an option says, or None."""
    return next((layer.values[name] for layer in reversed(layers) if name in layer.values), None)


def max_seconds(layers: Sequence[Layer]) -> float | None:
    """The time limit that the last layer with `max_time` sets."""
    limit = last_value(layers, "max_time")
    return None if limit is None else interval.seconds(limit)


def _fresh(variant: str, layers: Sequence[Layer], path: Path | None, dry_run: bool, again: bool) -> Start:
    resolved = _checked(variant, layers, path, again)
    weights, skipped = _initial(resolved.run)
    notes = (*_notes(layers), *skipped)
    directory = None if path is None else RunDirectory(path) if dry_run else rundir.prepared(path)
    return Start(resolved, directory, warnings=notes, weights=weights)


def _checked(variant: str, layers: Sequence[Layer], path: Path | None, again: bool) -> Resolved:
    """All values of a run that begins. Raises `UsageError` for those that do not fit, and for what lies in its way."""
    config_class = catalogue.card(variant).config_class
    presets = preset_layers(variant, config_class, last_value(layers, "preset") or "default")
    presets += _own_length(last_value(layers, "dataset"), presets)
    resolved = _located(resolve(variant, config_class, [*presets, *layers]))
    if path is not None:
        rundir.check_new(path, again)
    return resolved


def _initial(run: RunConfig) -> "tuple[Weights | None, list[str]]":
    """What `--init-from` names, and what to tell of it. Raises `UsageError` for another variant's, and `CheckpointError`."""
    if run.init_from is None:
        return None, []
    from gancli.store import state

    found, skipped = state.load_weights(names.meant(run.init_from, "--init-from"))
    if found.facts.variant != run.variant:
        raise UsageError(f"--init-from {run.init_from}: is a model of {found.facts.variant}, not of {run.variant}")
    return found, skipped


def _own_length(dataset: str | None, presets: Sequence[Layer]) -> list[Layer]:
    """On somebody's own pictures a run is as many steps long as a preset's epochs are on MNIST: few pictures take as long to
    learn as many do."""
    epochs, batch_size = (last_value(presets, name) for name in ("epochs", "batch_size"))
    if dataset is None or dataset in source_names() or epochs is None or last_value(presets, "steps") is not None:
        return []
    return [Layer("own pictures", {"steps": epochs * (MNIST_IMAGES // batch_size)})]


def run_directory(path: Path) -> RunDirectory:
    """The run directory that a directory, or a file inside of one, belongs to."""
    if path.suffix == ".safetensors":
        return RunDirectory(path.parent.parent if path.parent.name == "state" else path.parent)
    return RunDirectory(path)


def _resumed(variant: str, path: Path, layers: Sequence[Layer], out: Path | None, dry_run: bool) -> Start:
    from gancli.store import state

    directory = run_directory(path)
    if not directory.holds_run and str(path) in names.names() and not os.path.lexists(path):
        raise UsageError(f"--resume {path}: a pretrained model, which has no training state to resume from")
    if folder := rundir.several(path):
        raise UsageError(f"--resume {path}: {folder}; give one of them, or the options of the sweep and --resume auto")
    if not directory.holds_run:
        raise UsageError(f"--resume {path}: is no run directory (it has no config.toml), nor a state in one")
    if path.suffix == ".safetensors" and path.name != "ckpt.safetensors":
        saved, warnings = state.load(path), list[str]()
    else:
        saved, warnings = state.load_newest(directory)
    if saved.facts.variant != variant:
        raise CheckpointError(f"{saved.path}: a state of {saved.facts.variant}, not of {variant}")
    recorded_layer = _recorded(variant, directory)
    warnings += _notes([recorded_layer, *layers])
    resolved = _taken_up(variant, layers, recorded_layer, saved.facts)[1]
    _check_dataset(resolved, last_value(layers, "dataset"))
    if out is not None and out.resolve() != directory.path.resolve():
        rundir.check_new(out, again=False)
        return Start(resolved, RunDirectory(out) if dry_run else rundir.prepared(out), saved, tuple(warnings))
    if path.suffix == ".safetensors" and directory.states()[:1] != [saved.path] and not path.name.startswith("ckpt"):
        raise UsageError(f"--resume {path}: not the newest state there; give --out for a directory of its own")
    return Start(resolved, directory, saved, tuple(warnings))


def _taken_up(variant: str, layers: Sequence[Layer], recorded_layer: Layer, facts: Facts) -> tuple[Resolved, Resolved]:
    """The values of a run as it was recorded, and as it goes on. Raises `UsageError` for what would make it another run."""
    config_class = catalogue.card(variant).config_class
    came_to = {
        "image_size": facts.images.size,
        "fit": facts.fit,
        "held_out": facts.held_out,
        **dataclasses.asdict(facts.config),
    }
    recorded = resolve(variant, config_class, [recorded_layer])
    check_resumed(recorded, layers, came_to)
    return recorded, _located(resolve(variant, config_class, [recorded_layer, *layers]))


def _recorded(variant: str, directory: RunDirectory) -> Layer:
    config_class = catalogue.card(variant).config_class
    layer = file_layer("resumed run", toml.read(directory.config), variant, config_class, ())
    return dataclasses.replace(
        layer, values={name: value for name, value in layer.values.items() if name not in NOT_KEPT}
    )


def _notes(layers: Sequence[Layer]) -> list[str]:
    return [note for layer in layers for note in layer.notes]


def _check_dataset(resolved: Resolved, given: object) -> None:
    """Raises `UsageError` where the folder or zip that a run was trained on is not there any more."""
    dataset = resolved.run.dataset
    if given is None and dataset not in source_names() and not (os.path.lexists(dataset) or is_pattern(dataset)):
        raise UsageError(f"--dataset {dataset}: the run's data are not there any more; say with -d where they lie now")


def _located(resolved: Resolved) -> Resolved:
    """Paths written out, so that they hold from any directory. Homes stay `~`: they are elsewhere on other machines."""
    return dataclasses.replace(
        resolved, run=_absolute(resolved.run), own=_absolute(resolved.own), kept=_absolute(resolved.kept)
    )


def _absolute(config: Config) -> Config:
    changed: dict[str, Any] = {}
    for field in fields_of(type(config)):
        value = getattr(config, field.name)
        if not field.option.path or value is None or (field.name == "dataset" and value in source_names()):
            continue
        if field.name == "data_root" and value.startswith("~"):
            continue
        path = expanded(value, field.flag)
        if field.name == "init_from" and names.name_of(names.meant(value, field.flag)):
            continue
        told = field.name in ("data_root", "init_from") or (field.name == "dataset" and is_pattern(path))
        if told or os.path.lexists(path):
            changed[field.name] = str(path.absolute())
    return dataclasses.replace(config, **changed)


def usual_name(variant: str, dataset: str) -> str:
    """What a directory is called that was given no name, before its number: of the data set letters, digits, dots and dashes
    of its last part."""
    last = stem(Path(dataset)) or "data"
    return variant + "-" + "".join(c if c.isalnum() or c in ".-" else "-" for c in last)[:60]
