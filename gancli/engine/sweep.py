"""The values and runs of a sweep: all combinations of several values of options, each in its own directory."""

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
MAX_RUNS = 10_000
MAX_NAME_BYTES = 200  # file systems allow 255


@dataclass(frozen=True)
class Axis:
    """An option and its values, in the order given."""

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
        """The name of its directory, as in `007-lr=0.0001,seed=3`."""
        return f"{self.index:03d}-{self.label}"


def members(axes: Sequence[Axis]) -> list[Member]:
    """Return the runs of all combinations; the values of the last option change fastest. Raises `UsageError` for too
    many."""
    flags = " ".join(axis.field.flag for axis in axes)
    if (count := math.prod(len(axis.values) for axis in axes)) > MAX_RUNS:
        raise UsageError(f"{flags}: give {count:,} runs; a sweep has at most {MAX_RUNS:,}")
    found = []
    for index, values in enumerate(itertools.product(*(axis.values for axis in axes))):
        named = {axis.field.name: value for axis, value in zip(axes, values, strict=True)}
        label = ",".join(f"{name.replace('_', '-')}={format_value(value)}" for name, value in named.items())
        if len(label) > MAX_NAME_BYTES:
            raise UsageError(f"{flags}: names of more than {MAX_NAME_BYTES} characters; sweep over fewer options")
        found.append(Member(index, named, label))
    return found


def run_paths(folder: Path, runs: Sequence[Member]) -> list[Path]:
    """Return the directory of each run. An existing one is found by its values, not by its number, so that a sweep can be
    extended. Raises `GancliError` if the folder cannot be listed."""
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise GancliError(os_problem(f"--out {folder}", "listed", error)) from None
    existing: dict[str, str] = {}
    for name in names:
        if numbered := NUMBERED.fullmatch(name):
            existing.setdefault(numbered[1], name)
    return [folder / existing.get(run.label, run.name) for run in runs]


def accepts_several_values(field: Field) -> bool:
    """Whether a comma separates values of this option: true for numbers, choices and presets, not for paths, names and
    texts."""
    option = field.option
    return not (field.many or option.path or option.validate) and (
        field.kind in (int, float) or bool(field.choices) or field.name == "preset"
    )


def parse_values(field: Field, text: Any) -> tuple[Any, ...] | None:
    """Return the values in `text`, in their order (`0-9`, `1e-4,1e-3`, `hinge,wasserstein`); None for a single value. Raises
    `UsageError` for a value that the option does not allow, a repeated value, and too many."""
    if not accepts_several_values(field) or not ("," in text or (field.kind is int and RANGE.fullmatch(text.strip()))):
        return None
    values: list[Any] = []
    for part in map(str.strip, text.split(",")):
        if not part:
            raise UsageError(f"{field.flag} {text}: has an empty value; values are separated by single commas")
        bounds = RANGE.fullmatch(part) if field.kind is int else None
        if bounds is None:
            values.append(field.parse(part))
            continue
        first, last = map(int, bounds.groups())
        if last < first:
            raise UsageError(f"{field.flag} {text}: {part} goes backwards")
        if last - first >= MAX_RUNS:
            raise UsageError(
                f"{field.flag} {text}: has {last - first + 1:,} values; a sweep has at most {MAX_RUNS:,} runs"
            )
        values += [field.check(value) for value in range(first, last + 1)]
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise UsageError(f"{field.flag} {text}: has {format_value(twice)} twice")
    return tuple(values)


def format_value(value: object) -> str:
    """Return a value as text in the name of a run, in its shortest form."""
    return repr(value) if isinstance(value, float) else str(value)
