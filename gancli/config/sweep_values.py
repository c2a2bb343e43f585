"""Several values of one option, as a sweep is asked for: `0-9`, `1e-4,1e-3`, `hinge,wasserstein`."""

import re
from typing import Any

from gancli.config.option import Field
from gancli.errors import UsageError

RANGE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")
MOST = 10_000  # runs of one sweep


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
