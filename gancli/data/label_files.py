"""Read labels from files.

One file may label many images: `dataset.json`, as StyleGAN's `dataset_tool.py` writes it, and `metadata.csv` or
`metadata.jsonl`, as Hugging Face's `imagefolder` reads them. In a tar, each image may have a file of its own, as in
WebDataset: `dog/17.jpg` and `dog/17.cls` are one sample. These files may be damaged or hostile, and are read with bounds.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gancli.errors import DataError
from gancli.text import few, printable

DATASET_JSON = "dataset.json"
LABEL_FILES = (DATASET_JSON, "metadata.jsonl", "metadata.csv")  # in a folder, the first of these
FILE_NAME = "file_name"
# The column or array with the labels: the first of these.
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "cls",
    "fine_label",
    "target",
    "targets",
    "category",
    "label_name",
    "class_name",
)
MAX_FILE_BYTES = 1 << 26  # a million images take 40 MB
MAX_LABEL, MAX_CLASSES = 2**31, 10_000
MAX_NAME_LENGTH = 100  # characters of a class's name
DECIMAL = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")
SIDECAR_SUFFIXES = (".cls", ".json", ".txt")  # the first that any image has
SIDECAR_KEYS = ("label_name", "class_name", "label", "class", "cls")  # of a .json: the first that it has
MAX_SIDECAR_BYTES = 1 << 16
Label = int | str
Key = tuple[int, str]  # the shard, and the name up to the first dot after the last slash


@dataclass(frozen=True)
class Labels:
    """The class numbers or names of images, by the images' names relative to a folder.

    `place`: where the labels are, for messages. `problem`: why there are none, or "". `is_ignored`: whether subfolders are
    the classes, as if there were no such file. `is_required`: whether an image without a label is an error, with a
    `reason` if one is known.
    """

    by_name: Mapping[str, Label]
    place: str = f"in {DATASET_JSON}"
    problem: str = ""
    is_ignored: bool = False
    is_required: bool = False
    reason: str = ""

    def below(self, folder: str) -> "Labels | None":
        """Return the labels of the images in a folder (`train/`), or None if labels are of other folders only."""
        by_name = {name[len(folder) :]: label for name, label in self.by_name.items() if name.startswith(folder)}
        return replace(self, by_name=by_name) if by_name or not self.by_name else None


def check_label(value: object) -> Label:
    """Return a label. Raises `ValueError` for what is neither a class number nor a class name of one line."""
    if type(value) is int and 0 <= value < MAX_LABEL:
        return value
    if isinstance(value, str) and 0 < len(value.strip()) <= MAX_NAME_LENGTH and len(value.strip().splitlines()) == 1:
        return value.strip()
    raise ValueError(f"{printable(repr(value)[:30])}, neither a class number nor a class name")


def read_label_file(text: bytes, where: str) -> Labels | None:
    """Return the labels in one of `LABEL_FILES`, or None for a file of another program. Raises `DataError` for a damaged
    one."""
    try:
        return _read_dataset_json(text, where) if where.endswith(DATASET_JSON) else _read_metadata(text, where)
    except (ValueError, RecursionError, csv.Error) as error:  # ValueError: not UTF-8, or not JSON
        reason = " ".join(str(error).split())[:100]
        raise DataError(f"{where}: cannot be read ({reason}); correct it or remove it") from None


def _read_dataset_json(text: bytes, where: str) -> Labels | None:
    content = json.loads(text, object_pairs_hook=_without_duplicates)
    if not isinstance(content, dict) or "labels" not in content:
        return None
    pairs = content["labels"]
    if pairs is None:
        return Labels({})
    labels: dict[str, Label] = {}
    for pair in pairs if isinstance(pairs, list) else [None]:
        match pair:
            case [str(name), int(label)] if type(label) is int and 0 <= label < MAX_LABEL:
                _add(labels, name, label, where)
            case [str(name), _]:
                return Labels({}, problem=f"the label of {printable(name)} is not a class number")
            case _:
                return Labels({}, problem="its labels are not pairs of a name and a number")
    return Labels(labels)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _add(labels: dict[str, Label], name: str, label: Label, where: str) -> None:
    name = name.replace("\\", "/").removeprefix("./")
    if labels.setdefault(name, label) != label:
        raise DataError(f"{where}: {printable(name)} has two labels, {labels[name]} and {label}; correct it")


def _read_metadata(text: bytes, where: str) -> Labels:
    """Return the labels in a `metadata.csv` or `metadata.jsonl`, in rows that name a file each; without labels, they are
    ignored."""
    if where.endswith(".csv"):
        rows = list[Any](csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True))
    else:
        rows = [json.loads(line.decode("utf-8-sig")) for line in text.splitlines() if line.strip()]
    rows = [row for row in rows if isinstance(row, dict)]
    ignored = Labels({}, place=f"in {where.rpartition('/')[2]}", is_ignored=True)
    columns = dict.fromkeys(key for row in rows for key in row if isinstance(key, str))
    column = next((name for name in LABEL_NAMES if name in columns), None)
    if FILE_NAME not in columns or column is None:
        missing = FILE_NAME if FILE_NAME not in columns else "label"
        return replace(ignored, problem=f"it has no column {missing} ({few(list(columns), 8) or 'it is empty'})")
    labels: dict[str, Label] = {}
    for row in rows:
        name, value = row.get(FILE_NAME), row.get(column)
        if not isinstance(name, str) or value is None or value == "":
            continue
        try:
            _add(labels, name, check_label(_whole_number(value)), where)
        except ValueError as error:
            return replace(ignored, problem=f"the {column} of {printable(name)} is {error}")
    if (count := len(set(map(str, labels.values())))) > MAX_CLASSES:
        return replace(ignored, problem=f"its column {column} has {count} different values, more than {MAX_CLASSES}")
    if not labels:
        return replace(ignored, problem=f"its column {column} is empty")
    return replace(ignored, by_name=labels, is_ignored=False)


def _whole_number(value: object) -> object:
    """Return an integer for a label that is one in other words: true, or 3.0, as pandas writes a column with gaps."""
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        value = float(value)
    return int(value) if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()) else value


def split_key(name: str) -> tuple[str, str]:
    """Split the name of a file in a tar into its sample's key and the rest: `a/b.seg.png` into `a/b` and `.seg.png`."""
    folder, slash, last = name.rpartition("/")
    own, dot, rest = last.partition(".")
    return f"{folder}{slash}{own}", f"{dot}{rest}"


@dataclass
class SidecarLabels:
    """The labels of samples by the suffix of their files, and the first file of each suffix that cannot be used."""

    labels: dict[tuple[str, Key], Label] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    is_used: bool = False

    def add(self, key: Key, suffix: str, text: bytes) -> None:
        """Read a file next to an image."""
        self.is_used = True
        try:
            label = _read_sidecar(suffix, text)
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())[:100]
            self.problems.setdefault(suffix, printable(f"{key[1]}{suffix} cannot be used ({reason})"))
        else:
            if label is not None:
                self.labels[suffix, key] = label

    def choose(self, keys: Mapping[str, Key]) -> tuple[Labels | None, Sequence[str]]:
        """Return the labels of images, by name, from the first kind of file that any of them has; and messages."""
        notes = list[str]()
        for suffix in SIDECAR_SUFFIXES:
            labels = {name: self.labels[suffix, key] for name, key in keys.items() if (suffix, key) in self.labels}
            distinct = len(set(map(str, labels.values())))
            if distinct > MAX_CLASSES or (suffix == ".txt" and 2 * distinct > len(labels)):
                notes.append(f"no classes: {len(labels)} {suffix} next to images have {distinct} different contents")
            elif labels:
                return Labels(labels, f"next to them ({suffix})", reason=self.problems.get(suffix, "")), notes
            elif suffix in self.problems:
                notes.append(f"no classes: {self.problems[suffix]}")
        return None, notes


def _read_sidecar(suffix: str, text: bytes) -> Label | None:
    """Return the label in a file next to an image, or None for a longer text, such as a caption. Raises `ValueError`."""
    if suffix == ".json":
        content = json.loads(text)
        values = [content[key] for key in SIDECAR_KEYS if isinstance(content, dict) and content.get(key) is not None]
        return check_label(values[0]) if values else None
    content = text.decode("utf-8", "replace").strip().removeprefix("\ufeff")
    if suffix == ".cls":
        if not content.isdecimal():
            raise ValueError(f"'{printable(content[:20])}', not a class number")
        return check_label(int(content))
    return content if 0 < len(content) <= MAX_NAME_LENGTH and len(content.splitlines()) == 1 else None
