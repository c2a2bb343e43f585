"""Files that list the labels of the images next to them: `dataset.json`, as StyleGAN's `dataset_tool.py` writes it, and
`metadata.csv` or `metadata.jsonl`, as Hugging Face's `imagefolder` reads them.

The shards of a `dataset.json` (`00000/img00000000.png`, …) are no classes. The files are other people's: they are read with
bounds.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gancli.data.parquet_columns import LABELS
from gancli.data.sidecar_labels import MAX_CLASSES, checked
from gancli.errors import DataError
from gancli.text import few, printable

NAME, FILE_NAME = "dataset.json", "file_name"
MAX_BYTES = 1 << 26  # a million pictures take 40 MB
MAX_LABEL = 2**31
DECIMAL = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")


@dataclass(frozen=True)
class Manifest:
    """Class numbers, or names, by the pictures' names, relative to the file's folder; none where the set has no classes.
    `odd`: why there are none although something stands there, or "". `place`: where a label stands; `whole`: whether every
    picture must have one, for the `reasons` that are known of those that have none. `unused`: whether folders say the
    classes, as if the file were not there."""

    labels: Mapping[str, int | str]
    odd: str = ""
    place: str = f"in {NAME}"
    whole: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)
    unused: bool = False

    def below(self, folder: str) -> "Manifest | None":
        """What it says of the pictures in a folder (`train/`); None where that is nothing."""
        labels = {name.removeprefix(folder): label for name, label in self.labels.items() if name.startswith(folder)}
        return replace(self, labels=labels) if labels or self.unused else None


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
                _add(labels, name, label, where)
            case [str(name), other]:
                kind = "number below 0 or too large" if type(other) is int else type(other).__name__
                return Manifest({}, f"the label of {printable(name)} is a {kind}, no class number")
            case _:
                return Manifest({}, "its labels are no pairs of name and number")
    return Manifest(labels)


def _add(labels: dict[str, int | str], name: str, label: int | str, where: str) -> None:
    name = name.replace("\\", "/").removeprefix("./")
    if labels.setdefault(name, label) != label:
        raise DataError(f"{where}: {printable(name)} has two labels, {labels[name]} and {label}; mend it")


def in_csv(text: bytes, where: str) -> Manifest:
    """What a `metadata.csv` says. Raises `DataError` naming it where it is damaged."""
    return _in_rows(lambda: csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True), where)


def in_jsonl(text: bytes, where: str) -> Manifest:
    """What a `metadata.jsonl` says. Raises `DataError` naming it where it is damaged."""
    return _in_rows(lambda: (json.loads(line) for line in text.decode("utf-8-sig").splitlines() if line.strip()), where)


def _in_rows(read: Callable[[], Iterable[Any]], where: str) -> Manifest:
    """The labels of rows that name a file each; where they have none, the manifest is unused and says why."""
    try:
        rows = [row for row in read() if isinstance(row, dict)]
    except (ValueError, RecursionError, csv.Error) as error:  # ValueError: not UTF-8, or not JSON
        raise DataError(
            f"{where}: cannot be read ({' '.join(str(error).split())[:100]}); correct it or remove it"
        ) from None
    place = where.rpartition("/")[2]
    none = Manifest({}, place=f"in {place}", unused=True)
    columns = dict.fromkeys(key for row in rows for key in row if isinstance(key, str))
    column = next((name for name in LABELS if name in columns), None)
    if FILE_NAME not in columns or column is None:
        missing = FILE_NAME if FILE_NAME not in columns else "label"
        return replace(none, odd=f"it has no column {missing} ({few(list(columns), 8) or 'it is empty'})")
    labels: dict[str, int | str] = {}
    for row in rows:
        name, value = row.get(FILE_NAME), row.get(column)
        if not isinstance(name, str) or value is None or value == "":
            continue
        try:
            _add(labels, name, checked(_whole(value), ""), where)
        except ValueError as error:
            return replace(none, odd=f"the {column} of {printable(name)} is {error}")
    if (count := len(set(map(str, labels.values())))) > MAX_CLASSES:
        return replace(none, odd=f"its column {column} has {count} different values, more than {MAX_CLASSES}")
    return replace(none, labels=labels, unused=not labels, odd="" if labels else f"its column {column} is empty")


def _whole(value: object) -> object:
    """A label as an integer where it is one in other words: true, 3.0 (as pandas writes a column with gaps)."""
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        value = float(value)
    return int(value) if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()) else value


PARSERS: Mapping[str, Callable[[bytes, str], Manifest | None]] = {
    NAME: parsed,
    "metadata.jsonl": in_jsonl,
    "metadata.csv": in_csv,
}
