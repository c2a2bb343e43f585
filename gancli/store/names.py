"""What a CKPT stands for: a file, a run directory, or by its name a pretrained model. Imports no torch.

The pretrained models are the files of `gancli/shipped/`, as the variants are those of `gancli/variants/`: the listing
is the catalogue. docs/models.md tells how each was made; `python -m tests.ship` puts one there.
"""

import importlib.resources
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gancli.config.paths import expanded
from gancli.errors import CheckpointError, GancliError, UsageError, did_you_mean, few
from gancli.store.rundir import RunDirectory, model_file, runs_in, several

FOLDER = Path(str(importlib.resources.files("gancli"))) / "shipped"
SUFFIX = ".safetensors"


class Place(NamedTuple):
    """Where a model lies, and what to tell of its name once, or `""`."""

    path: Path
    note: str = ""


def names() -> tuple[str, ...]:
    """The names of the pretrained models, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def shipped(name: str) -> Path:
    """The file of a pretrained model."""
    return FOLDER / f"{name}{SUFFIX}"


def located(path: str | os.PathLike[str]) -> Place:
    """The place that a CKPT names. What lies in the working directory comes before a pretrained model, and that is
    told; but not a folder without a model, such as a data set of the same name.

    Raises `UsageError` for an empty path, a home of nobody, a page, or a folder of several runs, and `CheckpointError` for a
    bare word that is neither a name nor there. Whether a path is there is left to whoever reads it.
    """
    word = os.fspath(path)
    place = meant(word, "CKPT")
    if _is_page(place):
        raise UsageError(f"{word}: is a web page; give the directory of its run")
    if folder := several(place):
        raise UsageError(f"{word}: {folder}; give one of them, such as {runs_in(place)[0]}")
    if word in names():
        if not name_of(place):
            return Place(place, f"{word}: the one in this directory; the pretrained model is {shipped(word)}")
        passed_over = os.path.lexists(expanded(word, "CKPT"))
        note = f"{word}: the pretrained model; the folder of that name here holds none" if passed_over else ""
        return Place(place, note)
    if names() and not set(word) & {"/", "\\", ".", "~"} and _missing(place):
        raise CheckpointError(
            f"{word}: cannot be read (No such file or directory); pretrained models: {', '.join(names())}"
            f"{did_you_mean(word, names())}"
        )
    return Place(place)


def all_located(words: Sequence[str | os.PathLike[str]], trained: bool = False) -> tuple[list[Path], list[str]]:
    """The places that several CKPT name, and what to tell of them. A folder of runs, such as a sweep's, stands for all of
    its runs (`trained`: for those that have a model). Pages among other words, as in `SWEEP/*`, are passed over.

    Raises what `located` does, and `UsageError` where no run is left.
    """
    found: list[Path] = []
    notes: list[str] = []
    for word in words:
        place = meant(os.fspath(word), "CKPT")
        if runs := runs_in(place):
            kept = [run for run in runs if not trained or model_file(run).exists()]
            notes += [f"{run}: has no model yet; skipped" for run in runs if run not in kept]
            found += kept
        elif len(words) > 1 and _is_page(place):
            notes.append(f"{place}: is a web page, not a run; skipped")
        else:
            located_one = located(word)
            found.append(located_one.path)
            notes += [located_one.note] if located_one.note else []
    if not found:
        raise UsageError(f"CKPT: no run left to read in {few([os.fspath(word) for word in words])}")
    return found, notes


def _is_page(place: Path) -> bool:
    return place.suffix.lower() in (".html", ".htm") and place.is_file()


def meant(word: str, flag: str) -> Path:
    """What an option that asks for a model is given: a path, or where no model lies there the name of one that comes along.
    Raises `UsageError` as `expanded` does."""
    path = expanded(word, flag)
    own = word not in names() or (os.path.lexists(path) and _may_be_meant(path))
    return path if own else shipped(word)


def name_of(file: Path) -> str:
    """The name of a pretrained model, of its file; `""` for any other."""
    return file.stem if file.parent == FOLDER else ""


def _may_be_meant(place: Path) -> bool:
    """Whether what lies there is a file, or a folder of a run; True also where that cannot be told."""
    run = RunDirectory(place)
    try:
        return not place.is_dir() or model_file(place).exists() or run.holds_run or bool(run.states())
    except (OSError, GancliError):
        return True


def _missing(path: Path) -> bool:
    """Whether nothing is there; False also where that cannot be told."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        pass
    return False
