"""A sweep: the runs that several values of some options make, each in a directory that is named by its values."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.config.option import Field
from gancli.errors import GancliError, UsageError, os_problem

NUMBERED = re.compile(r"[0-9]{3,}-(.+)")
RANGE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")
MOST = 10_000  # runs of one sweep
LONGEST = 200  # bytes of a name: 255 is what most disks take


@dataclass(frozen=True)
class Axis:
    """An option and its values, in the order they were given in."""

    field: Field
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Member:
    """A run of a sweep. `label`: its values, as in `lr=0.0001,seed=3`."""

    index: int
    values: Mapping[str, Any]
    label: str

    @property
    def name(self) -> str:
        return f"{self.index:03d}-{self.label}"


def members(axes: Sequence[Axis]) -> list[Member]:
    """All runs, every value with every other; those of the last option change fastest. Raises `UsageError` for too many."""
    flags = " ".join(axis.field.flag for axis in axes)
    if (count := math.prod(len(axis.values) for axis in axes)) > MOST:
        raise UsageError(f"{flags}: make {count:,} runs; a sweep has at most {MOST:,}")
    found = []
    for index, values in enumerate(itertools.product(*(axis.values for axis in axes))):
        named = zip(axes, values, strict=True)
        label = ",".join(f"{axis.field.name.replace('_', '-')}={shown(value)}" for axis, value in named)
        if len(label) > LONGEST:
            raise UsageError(
                f"{flags}: their values make names of more than {LONGEST} characters; sweep over fewer options"
            )
        found.append(Member(index, {axis.field.name: value for axis, value in zip(axes, values, strict=True)}, label))
    return found


def places(folder: Path, runs: Sequence[Member]) -> list[Path]:
    """Where each run lies, or will: a directory that is there is known by its values, whatever number it was given, so that
    a sweep which has grown finds what it did before. Raises `GancliError` where that cannot be seen."""
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise GancliError(os_problem(f"--out {folder}", "listed", error)) from None
    there: dict[str, str] = {}
    for name in names:
        if found := NUMBERED.fullmatch(name):
            there.setdefault(found[1], name)
    return [folder / there.get(run.label, run.name) for run in runs]


def can_be_several(field: Field) -> bool:
    """Whether a comma in a value of this option can only mean another value: numbers, choices and presets, but no paths,
    names and texts."""
    option = field.option
    return not (field.many or option.path or option.reads) and (
        field.kind in (int, float) or bool(field.choices) or field.name == "preset"
    )


def values_of(field: Field, text: Any) -> tuple[Any, ...] | None:
    """The values in `text`, in their order, or None where it is one value, or none that this option could have several of.
    Raises `UsageError` naming the option for a value that it cannot have, one said twice, and too many."""
    if not can_be_several(field) or not ("," in text or (field.kind is int and RANGE.fullmatch(text.strip()))):
        return None
    found: list[Any] = []
    for part in map(str.strip, text.split(",")):
        if not part:
            raise UsageError(f"{field.flag} {text}: has an empty value; values are separated by single commas")
        between = RANGE.fullmatch(part) if field.kind is int else None
        if between is None:
            found.append(field.parse(part))
            continue
        first, last = map(int, between.groups())
        if last < first:
            raise UsageError(f"{field.flag} {text}: {part} goes backwards")
        if last - first >= MOST:
            raise UsageError(f"{field.flag} {text}: are {last - first + 1:,} values; a sweep has at most {MOST:,} runs")
        found += [field.check(value) for value in range(first, last + 1)]
    if len(set(found)) < len(found):
        twice = next(value for value in found if found.count(value) > 1)
        raise UsageError(f"{field.flag} {text}: has {shown(twice)} twice")
    return tuple(found)


def shown(value: object) -> str:
    """A value as it stands in a run's name: the shortest way to write it, however it was given."""
    return repr(value) if isinstance(value, float) else str(value)
