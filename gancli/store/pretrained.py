"""Resolves a CKPT: a file, a run directory, or the name of a pretrained model. Imports no torch.

The pretrained models are the files of `gancli/shipped/`. docs/models.md describes how each was trained, and
`python -m tests.ship` adds one.
"""

import importlib.resources
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gancli.config import toml
from gancli.config.paths import expanded
from gancli.config.run import RANDOM_WEIGHTS
from gancli.data.names import GENERATED, STACKED, dataset_names
from gancli.errors import CheckpointError, UsageError, did_you_mean
from gancli.events import ignore
from gancli.files import hub
from gancli.spec import ImageSpec
from gancli.store.run_directory import EXPORTED, describe_runs, holds_model, model_file, runs_in
from gancli.text import few

FOLDER = Path(str(importlib.resources.files("gancli"))) / "shipped"
SUFFIX = ".safetensors"
DCGAN_STARTS = {32: "dcgan-32", 64: "dcgan-64"}  # by size, in pixels
STARTS = {("dcgan", "default"): DCGAN_STARTS, ("dcgan", "quick"): DCGAN_STARTS}  # by variant and preset


class ResolvedPath(NamedTuple):
    """The path of a model, and a note about its name, or `""`."""

    path: Path
    note: str = ""


def pretrained_names() -> tuple[str, ...]:
    """Return the names of the pretrained models, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def start_for(variant: str, preset: str, dataset: str, images: ImageSpec) -> str | None:
    """Return the name of the pretrained model that a run on such images starts from by default, if its weights match: the
    one of the nearest size. None for generated images, and for named datasets of grey ones."""
    models = STARTS.get((variant, preset), {})
    is_other = dataset in (*GENERATED, STACKED) or (images.channels == 1 and dataset in dataset_names())
    if not models or is_other:
        return None
    return models[min(models, key=lambda size: abs(size - images.size))]


def former_defaults(config: Mapping[str, object], variant: str) -> dict[str, object]:
    """Return the values that the run of a `config.toml` had by default, where the default for such a run may be another one
    today: random weights, of a run of an earlier version or on a user's own images; and own images that are not mirrored."""
    chosen = config.get(toml.CHOSEN)
    if not isinstance(chosen, dict):
        return {}
    own = config.get("dataset") not in dataset_names()
    values: dict[str, object] = {}
    if (variant, str(config.get("preset", "default"))) in STARTS:
        start = chosen.get("init_from")
        if start is None or (start == RANDOM_WEIGHTS and own):
            values["init_from"] = RANDOM_WEIGHTS
    if own and chosen.get("mirror") is False:
        values["mirror"] = False
    return {name: value for name, value in values.items() if name not in config}


def pretrained_file(name: str) -> Path:
    """Return the file of a pretrained model."""
    return FOLDER / f"{name}{SUFFIX}"


def pretrained_name(file: Path) -> str:
    """Return the name of a pretrained model's file; `""` for any other file."""
    return file.stem if file.parent == FOLDER else ""


def model_name(file: Path) -> str:
    """Return the name of a model in captions and metadata: of a pretrained model or one of the hub, of its run or exported
    folder, or of its file."""
    own = file.resolve().parent.name if file.name in ("ckpt.safetensors", "model.safetensors") else file.stem
    return known_name(file) or own


def resolve_model_path(word: str, flag: str) -> Path:
    """Return the path that an option for a model names: of a file or run in the working directory, else of the pretrained
    model of that name. Raises `UsageError` as `expanded` does."""
    if hub.is_reference(word):
        return hub_file(word, flag)
    path = expanded(word, flag)
    own = word not in pretrained_names() or (os.path.lexists(path) and _may_hold_model(path))
    return path if own else pretrained_file(word)


def hub_file(word: str, flag: str) -> Path:
    """Return the checkpoint in a model repository of the hub that `gan export` made, and fetch it if it is not in the cache.
    Raises `UsageError` and `CheckpointError`."""
    repository = hub.listed(hub.parse(word, flag), "model", flag)
    if EXPORTED not in repository.files:
        others = few(sorted(repository.files)) or "no files"
        raise CheckpointError(
            f"{flag} {word}: has no {EXPORTED}, which `gan export` writes for a model hub; it has {others}"
        )
    hub.fetch(repository, [EXPORTED], ignore)
    return repository.folder / EXPORTED


def known_name(file: Path) -> str:
    """Return the name of a pretrained model's file, or the reference of a model of the hub; `""` for any other file."""
    return pretrained_name(file) or hub.name_of(file)


def _may_hold_model(path: Path) -> bool:
    """Return whether this is a file, or a folder with a model; True also if the folder cannot be read."""
    try:
        return not path.is_dir() or holds_model(path)
    except OSError:
        return True


def resolve_checkpoint(path: str | os.PathLike[str]) -> ResolvedPath:
    """Return the path that a CKPT names. A file or run in the working directory takes precedence over a pretrained model of
    the same name, and a note says so; a folder without a model, such as a dataset, does not.

    Raises `UsageError` for an empty path, an unknown home directory, a web page or a folder of several runs, and
    `CheckpointError` for a bare name that does not exist, and for a model of the hub that cannot be fetched. Whether any
    other path exists is not checked.
    """
    word = os.fspath(path)
    place = resolve_model_path(word, "CKPT")
    if hub.is_reference(word):
        return ResolvedPath(place, f"{word}: commit {place.parent.name}")
    if _is_page(place):
        raise UsageError(f"{word}: is a web page; give the directory of its run")
    if folder := describe_runs(place):
        raise UsageError(f"{word}: {folder}; give one of them, such as {runs_in(place)[0]}")
    if word not in pretrained_names():
        if not set(word) & {"/", "\\", ".", "~"}:
            _check_exists(word, place)
        return ResolvedPath(place)
    if not pretrained_name(place):
        return ResolvedPath(
            place, f"{word}: the one in this directory; the pretrained model is {pretrained_file(word)}"
        )
    if os.path.lexists(expanded(word, "CKPT")):
        return ResolvedPath(place, f"{word}: the pretrained model; the folder of that name here contains none")
    return ResolvedPath(place)


def _is_page(path: Path) -> bool:
    return path.suffix.lower() in (".html", ".htm") and path.is_file()


def _check_exists(word: str, path: Path) -> None:
    try:
        path.lstat()
    except FileNotFoundError:
        known = (
            f"; pretrained models: {', '.join(pretrained_names())}{did_you_mean(word, pretrained_names())}"
            if pretrained_names()
            else ""
        )
        raise CheckpointError(f"{word}: cannot be read (No such file or directory){known}") from None
    except (OSError, ValueError):
        pass  # reading it reports why


def resolve_checkpoints(words: Sequence[str | os.PathLike[str]], trained: bool = False) -> tuple[list[Path], list[str]]:
    """Return the paths that several CKPT name, and notes. A folder of runs, such as a sweep's, stands for all of its runs
    (`trained`: those with a model). Web pages among other words, as in `SWEEP/*`, are skipped.

    Raises what `resolve_checkpoint` does, and `UsageError` if no run is left.
    """
    paths: list[Path] = []
    notes: list[str] = []
    for word in words:
        place = resolve_model_path(os.fspath(word), "CKPT")
        if runs := runs_in(place):
            paths += [run for run in runs if not trained or model_file(run).exists()]
            notes += [f"{run}: has no model yet; skipped" for run in runs if run not in paths]
        elif len(words) > 1 and _is_page(place):
            notes.append(f"{place}: is a web page, not a run; skipped")
        else:
            path, note = resolve_checkpoint(word)
            paths.append(path)
            notes += [note] if note else []
    if not paths:
        raise UsageError(f"CKPT: no run left to read in {few([os.fspath(word) for word in words])}")
    return paths, notes
