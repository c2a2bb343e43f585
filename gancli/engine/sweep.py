"""Sweeps: one run for each combination of several options' values, each in a directory named by its values."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.config.option import Field
from gancli.config.sweep_values import MOST, shown
from gancli.errors import GancliError, UsageError, os_problem

NUMBERED = re.compile(r"[0-9]{3,}-(.+)")
MAX_LABEL = 200  # characters: most disks allow names of 255 bytes


@dataclass(frozen=True)
class Axis:
    """An option and its values, in their given order."""

    field: Field
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Member:
    """A run of a sweep. `label`: its values, such as `lr=0.0001,seed=3`."""

    index: int
    values: Mapping[str, Any]
    label: str

    @property
    def name(self) -> str:
        return f"{self.index:03d}-{self.label}"


def members(axes: Sequence[Axis]) -> list[Member]:
    """Return a run for each combination of values, of which those of the last option change fastest. Raises `UsageError`
    for too many."""
    flags = " ".join(axis.field.flag for axis in axes)
    if (count := math.prod(len(axis.values) for axis in axes)) > MOST:
        raise UsageError(f"{flags}: make {count:,} runs; a sweep has at most {MOST:,}")
    found = []
    for index, values in enumerate(itertools.product(*(axis.values for axis in axes))):
        named = zip(axes, values, strict=True)
        label = ",".join(f"{axis.field.name.replace('_', '-')}={shown(value)}" for axis, value in named)
        if len(label) > MAX_LABEL:
            raise UsageError(
                f"{flags}: names of their runs have more than {MAX_LABEL} characters; sweep over fewer options"
            )
        found.append(Member(index, {axis.field.name: value for axis, value in zip(axes, values, strict=True)}, label))
    return found


def places(folder: Path, runs: Sequence[Member]) -> list[Path]:
    """Return the directory of each run. An existing one is found by its values, whatever its number, so that an extended
    sweep finds the runs that it has done. Raises `GancliError` if `folder` cannot be listed."""
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise GancliError(os_problem(f"--out {folder}", "listed", error)) from None
    there: dict[str, str] = {}
    for name in names:
        if found := NUMBERED.fullmatch(name):
            there.setdefault(found[1], name)
    return [folder / there.get(run.label, run.name) for run in runs]
