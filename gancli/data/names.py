"""The names of datasets, and of classes: their order, and which names are equal. Imports no torch, for Tab completion."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from gancli.errors import UsageError
from gancli.text import printable

Split = Literal["train", "test"]
ARRAYS = (".npy", ".npz")  # suffixes
GENERATED = ("digits", "shapes", "leaves")
TORCHVISION = ("mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn", "stl10")
STACKED = "stacked-mnist"
DIGITS = re.compile(r"([0-9]+)")


def dataset_names() -> tuple[str, ...]:
    """Return all names that `--dataset` accepts, besides paths."""
    return (*GENERATED, *TORCHVISION, STACKED)


def is_array_file(path: Path) -> bool:
    """Whether a path is a file of arrays, by its suffix."""
    return path.suffix.lower() in ARRAYS and path.is_file()


def natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names in natural order, case-insensitive: 2 before 10, class2 before class10."""
    return tuple(sorted(names, key=lambda name: (_natural_key(name), name)))


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Return texts and numbers in turn. A number is its length and its digits, so that its length has no limit."""
    parts = DIGITS.split(canonical(name))
    digits = [part.lstrip("0") if index % 2 else part for index, part in enumerate(parts)]
    return [(len(part) if index % 2 else 0, part) for index, part in enumerate(digits)]


def canonical(name: str) -> str:
    """Return the form that equal names share: without case, blanks at the ends and differences in writing accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def match_names(names: Sequence[str], known: Sequence[str]) -> tuple[int | None, ...]:
    """Return the index in `known` of each name: of the same name, else of the only equal one (`canonical`), else None."""
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


def match_classes(model: Sequence[str], data: Sequence[str], dataset: str) -> tuple[int, ...]:
    """Return the number in a dataset of each class of a model. Raises `UsageError` naming the classes that only one has:
    metrics of other classes would be meaningless."""
    found = match_names(model, data)
    if gone := [name for name, index in zip(model, found, strict=True) if index is None]:
        has = f"it has {_some(data)}" if data else "it has no classes"
        raise UsageError(f"--dataset {dataset}: lacks classes that the model generates: {_some(gone)}; {has}")
    known = set(found)
    if strange := [name for index, name in enumerate(data) if index not in known]:
        raise UsageError(f"--dataset {dataset}: has classes that the model does not know: {_some(strange)}")
    return tuple(index for index in found if index is not None)


def _some(names: Sequence[str]) -> str:
    return printable(", ".join(names[:5])) + (f", … ({len(names)})" if len(names) > 5 else "")
