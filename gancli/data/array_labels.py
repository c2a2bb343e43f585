"""Which arrays of a file have labels, by their names, and what classes these are."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.data.classes import ordered
from gancli.data.sidecar_labels import MAX_CLASSES, checked
from gancli.data.splits import ANY_WORD, SPLIT_WORDS
from gancli.errors import DataError

# Words in the name of an array (`y_train`, `trainLabels`) that say that it has the labels.
LABELS = frozenset({"label", "labels", "target", "targets", "class", "classes", "category", "categories", "y"})
SECOND = "arr_1"  # of np.savez(path, images, labels), as guided-diffusion's samples are saved
NUMERIC = "buif"  # kinds of dtype: bool, unsigned, signed, float
Array = np.ndarray[Any, Any]


class OddLabelsError(Exception):
    """Why an array holds no labels, in words that follow on its name."""


def check_labels(shape: tuple[int, ...], dtype: "np.dtype[Any]", count: int) -> None:
    """Raises `OddLabelsError` for what cannot be the labels of so many images."""
    if dtype.hasobject:
        raise OddLabelsError("holds Python objects, which are not read; save it as numbers or text: labels.astype(str)")
    if len(shape) not in (1, 2) or shape[0] != count:
        raise OddLabelsError(f"does not have one label for each of the {count} images")


def class_values(labels: Array) -> Array:
    """Labels as one int64 or one text each. Raises `OddLabelsError`."""
    kind = labels.dtype.kind
    if labels.ndim == 2 and labels.shape[1] != 1:
        if kind not in NUMERIC or not ((labels == 0) | (labels == 1)).all() or not (labels.sum(1) == 1).all():
            raise OddLabelsError("is neither one label per image nor one-hot")
        return np.asarray(labels.argmax(1))
    labels = labels.reshape(-1)
    if kind in "US":
        try:
            distinct, numbers = np.unique(
                labels if kind == "U" else np.char.decode(labels, "utf-8"), return_inverse=True
            )
            return np.array([checked(str(text), "") for text in distinct])[numbers]
        except ValueError:  # UnicodeDecodeError is one
            raise OddLabelsError(
                "holds text that is not a class name (one line of 1 to 100 characters, in UTF-8)"
            ) from None
    if kind not in NUMERIC or (kind == "f" and not (np.isfinite(labels) & (labels == np.rint(labels))).all()):
        raise OddLabelsError("does not hold whole numbers or text")
    return labels.astype(np.int64)


def words(name: str) -> list[str]:
    """The words of an array's name, in lower case: of `xtrain` x and train, too."""
    found = []
    for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name):
        glued = re.fullmatch(f"([xy]?)({ANY_WORD})([xy]?)", word.lower())
        found += [part for part in glued.groups() if part] if glued else [word.lower()]
    return found


def split_word(name: str) -> str:
    """The word in an array's name that says a split; "" where there is none."""
    return next((word for word in words(name) if word in (*SPLIT_WORDS["train"], *SPLIT_WORDS["test"])), "")


def rest(name: str) -> set[str]:
    return set(words(name)) - {split_word(name)}


def is_labels(name: str) -> bool:
    return name == SECOND or (not LABELS.isdisjoint(said := words(name)) and "names" not in said)


def numbered(path: Path, labels: Sequence[Array], called: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """The first labels as int64 `[N]` from 0 on, and the classes' names: the texts or numbers that all of them have, or what
    these numbers are `called`."""
    own, distinct = labels[0], np.unique(np.concatenate(labels))
    if len(distinct) > MAX_CLASSES:
        raise DataError(f"--dataset {path}: {len(distinct)} classes are over the limit of {MAX_CLASSES}")
    if len(distinct) == 1:
        return torch.zeros(own.size, dtype=torch.int64), ()
    if distinct.dtype.kind == "U":
        names = ordered(distinct.tolist())
        index = {name: number for number, name in enumerate(names)}
        return torch.tensor([index[str(label)] for label in own.tolist()]), names
    numbers = distinct.tolist()
    known = bool(called) and numbers[0] >= 0 and numbers[-1] < len(called)
    names = tuple(called[number] if known else str(number) for number in numbers)
    return torch.from_numpy(np.searchsorted(distinct, own).astype(np.int64)), names
