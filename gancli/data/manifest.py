"""`dataset.json`, as StyleGAN's `dataset_tool.py` writes it beside shards of pictures: a class number for each picture.

Its shards (`00000/img00000000.png`, …) are no classes. The file is other people's: it is read with bounds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gancli.errors import DataError, printable

NAME = "dataset.json"
MAX_BYTES = 1 << 26  # a million pictures take 40 MB
MAX_LABEL = 2**31


@dataclass(frozen=True)
class Manifest:
    """Class numbers, or names, by the pictures' names, relative to the file's folder; none where the set has no classes.
    `odd`: why there are none although something stands there, or "". `place`: where a label stands; `whole`: whether every
    picture must have one, for the `reasons` that are known of those that have none."""

    labels: Mapping[str, int | str]
    odd: str = ""
    place: str = f"in {NAME}"
    whole: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)


def parsed(text: bytes, where: str) -> Manifest | None:
    """What a `dataset.json` says; None if it is another program's. Raises `DataError` naming it where it is damaged."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: not sound JSON ({' '.join(str(error).split())[:100]}); mend it or remove it"
        ) from None
    if not isinstance(value, dict) or "labels" not in value:
        return None
    pairs = value["labels"]
    if pairs is None:
        return Manifest({})
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, list):
        return Manifest({}, "its labels are no list")
    return _labelled(pairs, where)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _labelled(pairs: list[Any], where: str) -> Manifest:
    labels: dict[str, int | str] = {}
    for pair in pairs:
        match pair:
            case [str(name), int(label)] if type(label) is int and 0 <= label < MAX_LABEL:
                name = name.replace("\\", "/").removeprefix("./")
                if labels.setdefault(name, label) != label:
                    raise DataError(f"{where}: {printable(name)} has two labels, {labels[name]} and {label}; mend it")
            case [str(name), other]:
                kind = "number below 0 or too large" if type(other) is int else type(other).__name__
                return Manifest({}, f"the label of {printable(name)} is a {kind}, no class number")
            case _:
                return Manifest({}, "its labels are no pairs of name and number")
    return Manifest(labels)
