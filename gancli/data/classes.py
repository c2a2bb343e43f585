"""Names of classes: the order they are numbered in, and which names of two data sets mean the same class."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from gancli.errors import UsageError
from gancli.text import printable

NUMBER = re.compile(r"([0-9]+)")


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names as people count: 2 before 10, class2 before class10, whatever their case; equal ones as their characters."""
    return tuple(sorted(names, key=lambda name: (_natural(name), name)))


def _natural(name: str) -> list[tuple[int, str]]:
    """Text and numbers in turn. A number is its length and its digits: no bound on how many it may have."""
    parts = NUMBER.split(canonical(name))
    digits = [part.lstrip("0") if index % 2 else part for index, part in enumerate(parts)]
    return [(len(part) if index % 2 else 0, part) for index, part in enumerate(digits)]


def canonical(name: str) -> str:
    """What names that mean the same have in common: blanks at the ends, case and ways to write accents are left out."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def renumbered(names: Sequence[str], known: Sequence[str]) -> tuple[int | None, ...]:
    """Where each of `names` is in `known`: as it stands, else the only one that means the same; None: nowhere."""
    exact = {name: index for index, name in enumerate(known)}
    taken = {exact[name] for name in names if name in exact}
    alike: dict[str, list[int]] = {}
    for index, name in enumerate(known):
        if index not in taken:
            alike.setdefault(canonical(name), []).append(index)
    asking = Counter(canonical(name) for name in names if name not in exact)
    found: list[int | None] = []
    for name in names:
        near = alike.get(canonical(name), [])
        unique = len(near) == 1 and asking[canonical(name)] == 1
        found.append(exact[name] if name in exact else near[0] if unique else None)
    return tuple(found)


def translated(model: Sequence[str], data: Sequence[str], dataset: str) -> tuple[int, ...]:
    """For each class of a model its number in a data set. Raises `UsageError` that names the classes where not all are the
    same: figures of other classes would mean nothing."""
    found = renumbered(model, data)
    if gone := [name for name, index in zip(model, found, strict=True) if index is None]:
        has = f"it has {_some(data)}" if data else "it has no classes"
        raise UsageError(f"--dataset {dataset}: lacks classes that the model draws: {_some(gone)}; {has}")
    known = set(found)
    if strange := [name for index, name in enumerate(data) if index not in known]:
        raise UsageError(f"--dataset {dataset}: has classes that the model does not know: {_some(strange)}")
    return tuple(index for index in found if index is not None)


def _some(names: Sequence[str]) -> str:
    return printable(", ".join(names[:5])) + (f", … ({len(names)})" if len(names) > 5 else "")
