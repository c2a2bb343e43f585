"""From the layers of a command line to where a run starts: fresh, or on from a saved state."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gancli import catalogue
from gancli.config import toml
from gancli.config.resolve import Layer, Resolved, check_resumed, file_layer, preset_layers, resolve
from gancli.engine import rundir
from gancli.engine.rundir import RunDirectory
from gancli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from gancli.engine.state import State


@dataclass(frozen=True)
class Start:
    """What a command line comes down to: a configuration, where it goes, and the state to go on from."""

    resolved: Resolved
    directory: RunDirectory | None  # None: to be numbered
    state: "State | None" = None
    warnings: tuple[str, ...] = ()

    def target(self) -> RunDirectory:
        """The run's directory: made and numbered here where none was named."""
        return self.directory or rundir.numbered(
            Path("runs"), f"{self.resolved.run.variant}-{_stem(self.resolved.run.dataset)}"
        )


def begin(variant: str, layers: list[Layer], resume: str | None, out: str | None, dry_run: bool) -> Start:
    """Raises `UsageError` for what contradicts itself, and what reading the state to resume raises."""
    if resume and (resume != "auto" or RunDirectory(Path(str(out))).states()):
        return _resumed(variant, Path(str(out) if resume == "auto" else resume), layers, out)
    return _fresh(variant, layers, dry_run, out, overwrite_empty=resume == "auto")


def _preset_of(layers: list[Layer]) -> str:
    return str(next((layer.values["preset"] for layer in reversed(layers) if "preset" in layer.values), "default"))


def _fresh(variant: str, layers: list[Layer], dry_run: bool, out: str | None, overwrite_empty: bool) -> Start:
    config_class = catalogue.card(variant).config_class
    presets = preset_layers(variant, config_class, _preset_of(layers))
    resolved = resolve(variant, config_class, [*presets, *layers])
    if dry_run or out is None:
        return Start(resolved, None)
    path = Path(out)
    abandoned = overwrite_empty and path.is_dir() and not RunDirectory(path).states()
    return Start(resolved, rundir.prepared(path) if abandoned else rundir.fresh(path))


def run_directory(path: Path) -> RunDirectory:
    """The run directory that a directory, or a file inside of one, belongs to."""
    if path.suffix == ".safetensors":
        return RunDirectory(path.parent.parent if path.parent.name == "state" else path.parent)
    return RunDirectory(path)


def _resumed(variant: str, path: Path, layers: list[Layer], out: str | None) -> Start:
    from gancli.engine import state

    directory = run_directory(path)
    if not directory.holds_run:
        raise UsageError(f"--resume {path}: is no run directory, nor a state in one")
    config_class = catalogue.card(variant).config_class
    recorded_layer = file_layer("resumed run", toml.read(directory.config), variant, config_class, ())
    check_resumed(resolve(variant, config_class, [recorded_layer]), layers)
    resolved = resolve(variant, config_class, [recorded_layer, *layers])
    if path.suffix == ".safetensors" and path.name != "ckpt.safetensors":
        saved, warnings = state.load(path), list[str]()
    else:
        saved, warnings = state.load_newest(directory)
    if saved.facts.variant != variant:
        raise CheckpointError(f"{saved.path}: a state of {saved.facts.variant}, not of {variant}")
    target = directory
    if out is not None and Path(out).resolve() != directory.path.resolve():
        target = rundir.fresh(Path(out))
    elif path.suffix == ".safetensors" and directory.states()[:1] != [saved.path] and not path.name.startswith("ckpt"):
        raise UsageError(f"--resume {path}: not the newest state there; give --out for a directory of its own")
    return Start(resolved, target, saved, tuple(warnings))


def _stem(dataset: str) -> str:
    """A data set's name fit for a directory's: letters, digits, dots and dashes of its last part."""
    last = Path(dataset).name.removesuffix(".zip") or "data"
    return "".join(c if c.isalnum() or c in ".-" else "-" for c in last)[:60]
