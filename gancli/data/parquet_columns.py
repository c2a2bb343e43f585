"""Which columns of a Parquet file are the pictures and the labels, as hubs serve image data sets (Hugging Face's `datasets`
keeps what a column is under the key "huggingface" of the schema; without it, types and names tell).
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from gancli.data import selection
from gancli.data.sidecar_labels import LONGEST, MAX_CLASSES
from gancli.errors import DataError
from gancli.text import Note, few, printable

IMAGES = ("image", "img", "picture", "images")  # where there are several, the first of these
LABELS = ("label", "labels", "class", "cls", "fine_label", "target", "targets", "category", "label_name", "class_name")
KEY, MAX_BYTES = b"huggingface", 1 << 22
SHOWN = 8  # columns, in a message
WAY_OUT = "choose one with --image-column"


@dataclass(frozen=True)
class Columns:
    """`image`: of bytes, or `nested` in a field `bytes`; `label`: of numbers or texts, or None; `class_names` that the
    numbers stand for, or none; what to tell."""

    image: str
    nested: bool
    label: str | None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Features:
    """What the metadata says: columns of pictures, and those of classes with their names."""

    images: tuple[str, ...] = ()
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def columns_of(where: str, schema: Any, is_picture: Callable[[str], bool]) -> Columns:
    """The columns to read, by a `pyarrow.Schema`; `is_picture` says whether a binary column's first value is one. Raises
    `DataError` where not one column has the pictures."""
    kinds = {name: _kind(schema.field(name).type) for name in dict.fromkeys(schema.names)}
    features = _features(schema.metadata or {})
    bytes_columns = [name for name, kind in kinds.items() if kind in ("bytes", "nested")]
    candidates = [name for name in features.images if name in bytes_columns]
    candidates = candidates or [name for name in bytes_columns if kinds[name] == "nested" or is_picture(name)]
    told = _told(kinds, schema)
    asked, label = selection.columns()
    _check(where, "--image-column", asked, bytes_columns, told)
    _check(where, "--label-column", label, kinds, told)
    candidates = candidates if asked is None else [asked]
    if not candidates:
        raise DataError(
            f"{where}: no column has pictures (bytes of .png, .jpg, …, or a struct with them); it has {told}"
        )
    preferred = [name for name in IMAGES if name in candidates]
    if len(candidates) > 1 and not preferred:
        raise DataError(f"{where}: several columns have pictures ({few(candidates, SHOWN)}); {WAY_OUT}; it has {told}")
    image = preferred[0] if len(candidates) > 1 else candidates[0]
    others = [name for name in candidates if name != image]
    line = f"pictures are taken from the column {printable(image)}, not from {few(others, SHOWN)}"
    notes: list[str] = [Note(line)] if others else []
    return _with_label(image, label, kinds, features, notes)


def _check(where: str, flag: str, asked: str | None, known: Collection[str], told: str) -> None:
    """Raises `DataError` if a column that was asked for does not exist, or cannot have images."""
    if asked is not None and asked not in known:
        what = "column of images" if flag == "--image-column" else "column"
        raise DataError(f"{flag} {asked}: no such {what} in {where}; it has {told}")


def _with_label(
    image: str, asked: str | None, kinds: Mapping[str, str], features: _Features, notes: list[str]
) -> Columns:
    nested = kinds[image] == "nested"
    classes = [name for name in features.classes if name in kinds]
    named = [name for name in LABELS if name in kinds and name != image]
    chosen = next((name for name in (*(n for n in named if n in classes), *named)), classes[0] if classes else None)
    chosen = chosen if asked is None else asked
    if chosen is None:
        return Columns(image, nested, None, notes=tuple(notes))
    beside = [name for name in classes if name != chosen]
    if beside and asked is None:
        notes.append(Note(f"classes are taken from the column {printable(chosen)}, not from {few(beside, SHOWN)}"))
    if kinds[chosen] not in ("numbers", "texts"):
        notes.append(f"no classes: the column {printable(chosen)} holds {kinds[chosen]}, neither numbers nor texts")
        return Columns(image, nested, None, notes=tuple(notes))
    names = features.classes.get(chosen, ()) if kinds[chosen] == "numbers" else ()
    return Columns(image, nested, chosen, names, tuple(notes))


def _kind(column: Any) -> str:
    """What a column holds: bytes, nested (a struct with bytes), numbers, texts; else its type in words."""
    from pyarrow import types

    if types.is_dictionary(column):
        return _kind(column.value_type)
    if types.is_struct(column) and column.get_field_index("bytes") >= 0:
        return "nested" if _kind(column.field("bytes").type) == "bytes" else printable(str(column))[:60]
    if types.is_binary(column) or types.is_large_binary(column) or types.is_binary_view(column):
        return "bytes"
    if types.is_integer(column) or types.is_boolean(column):
        return "numbers"
    if types.is_string(column) or types.is_large_string(column) or types.is_string_view(column):
        return "texts"
    return printable(str(column))[:60]


def _features(metadata: Mapping[bytes, bytes]) -> _Features:
    """What the metadata says; nothing where it is another program's, or damaged."""
    text = metadata.get(KEY, b"")
    try:
        features = json.loads(text)["info"]["features"] if 0 < len(text) <= MAX_BYTES else {}
        said = {str(name): what for name, what in features.items() if isinstance(what, dict)}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return _Features()
    images = tuple(name for name, what in said.items() if what.get("_type") == "Image")
    classes = {name: names for name, what in said.items() if (names := _class_names(what)) is not None}
    return _Features(images, classes)


def _class_names(what: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of a `ClassLabel`; None where it is none, or odd: its numbers are names then."""
    names = what.get("names")
    if what.get("_type") != "ClassLabel" or not isinstance(names, list) or len(names) > MAX_CLASSES:
        return None
    stripped = tuple(name.strip() for name in names if isinstance(name, str))
    sound = len(stripped) == len(names) == len(set(stripped)) and all(0 < len(name) <= LONGEST for name in stripped)
    return stripped if sound else None


def _told(kinds: Mapping[str, str], schema: Any) -> str:
    return few([f"{name} ({schema.field(name).type})"[:80] for name in kinds], SHOWN) or "no column"
