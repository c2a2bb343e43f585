"""Which columns of a Parquet file have the images and their labels.

Hugging Face's `datasets` describes the columns in the schema, under the key "huggingface"; otherwise types and names decide.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gancli.data.label_files import LABEL_NAMES, MAX_CLASSES, MAX_NAME_LENGTH
from gancli.data.options import Selection
from gancli.errors import DataError
from gancli.text import Note, few, printable

IMAGE_NAMES = ("image", "img", "picture", "images")  # of several columns with images, the first of these
FEATURES_KEY, MAX_FEATURES_BYTES = b"huggingface", 1 << 22
STRUCT, BYTES, NUMBERS, TEXTS = "a struct with bytes", "bytes", "numbers", "texts"
NUM_SHOWN = 8  # columns in a message


@dataclass(frozen=True)
class Columns:
    """The columns to read. `image`: the path of a column of bytes, such as `image.bytes`; `label`: of numbers or texts, or
    None; `class_names`: those that the numbers stand for, or none."""

    image: str
    label: str | None
    class_names: Sequence[str]
    notes: Sequence[str]


def find_columns(where: str, schema: Any, selection: Selection) -> Columns:
    """Return the columns to read, by a `pyarrow.Schema`. Raises `DataError` if there is no single column with images."""
    kinds = {name: _kind(schema.field(name).type) for name in dict.fromkeys(schema.names)}
    images, classes = _features(schema.metadata or {})
    candidates = [name for name in images if kinds.get(name) in (STRUCT, BYTES)]
    candidates = candidates or [name for name in kinds if kinds[name] == STRUCT]
    candidates = candidates or [name for name in kinds if kinds[name] == BYTES]
    has = few([f"{name} ({schema.field(name).type})"[:80] for name in kinds], NUM_SHOWN) or "no column"
    wanted, wanted_label = selection.image_column, selection.label_column
    _check_column(where, "--image-column", wanted, [name for name in kinds if kinds[name] in (STRUCT, BYTES)], has)
    _check_column(where, "--label-column", wanted_label, kinds, has)
    candidates = candidates if wanted is None else [wanted]
    image = next((name for name in IMAGE_NAMES if name in candidates), candidates[0] if len(candidates) == 1 else None)
    if image is None:
        several = f"several columns may have images ({few(candidates, NUM_SHOWN)}); choose one with --image-column"
        problem = several if candidates else "no column has images (bytes of .png, .jpg, …, or a struct with them)"
        raise DataError(f"{where}: {problem}; it has {has}")
    notes = list[str]()
    if others := [name for name in candidates if name != image]:
        notes.append(Note(f"images are taken from the column {printable(image)}, not from {few(others, NUM_SHOWN)}"))
    named = [name for name in LABEL_NAMES if name in kinds and name != image]
    known = [name for name in classes if name in kinds]
    label = next(iter([*(name for name in named if name in known), *named, *known]), None)
    label = label if wanted_label is None else wanted_label
    if (others := [name for name in known if name != label]) and wanted_label is None:
        notes.append(
            Note(f"classes are taken from the column {printable(str(label))}, not from {few(others, NUM_SHOWN)}")
        )
    if label is not None and kinds[label] not in (NUMBERS, TEXTS):
        notes.append(
            f"no classes: the column {printable(label)} has the type {kinds[label]}, neither numbers nor texts"
        )
        label = None
    names = classes.get(label or "", ()) if kinds.get(label or "") == NUMBERS else ()
    return Columns(f"{image}.bytes" if kinds[image] == STRUCT else image, label, names, notes)


def _check_column(where: str, flag: str, name: str | None, known: Collection[str], has: str) -> None:
    """Raises `DataError` if the column of an option does not exist, or cannot have images."""
    if name is not None and name not in known:
        kind = "column of images" if flag == "--image-column" else "column"
        raise DataError(f"{flag} {name}: no such {kind} in {where}; it has {has}")


def _kind(column: Any) -> str:
    """Return what a column has, by its type; for other columns, the name of the type."""
    from pyarrow import types

    if types.is_struct(column) and column.get_field_index("bytes") >= 0:
        return STRUCT if _kind(column.field("bytes").type) == BYTES else "struct"
    name = str(column.value_type if types.is_dictionary(column) else column)
    bare = name.removeprefix("large_").removesuffix("_view")
    if bare in ("binary", "string"):
        return BYTES if bare == "binary" else TEXTS
    return NUMBERS if types.is_integer(column) or types.is_boolean(column) else printable(name)[:60]


def _features(metadata: Mapping[bytes, bytes]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Return the columns of images, and those of classes with the names of the classes, that `datasets` describes; none if
    the metadata is damaged, or of another program."""
    text = metadata.get(FEATURES_KEY, b"")
    try:
        features = json.loads(text)["info"]["features"] if 0 < len(text) <= MAX_FEATURES_BYTES else {}
        described = {str(name): feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return [], {}
    images = [name for name, feature in described.items() if feature.get("_type") == "Image"]
    classes: dict[str, tuple[str, ...]] = {}
    for column, feature in described.items():
        given = feature.get("names")
        if feature.get("_type") == "ClassLabel" and isinstance(given, list) and 0 < len(given) <= MAX_CLASSES:
            names = tuple(name.strip() for name in given if isinstance(name, str))
            if len(given) == len(set(names)) and all(0 < len(name) <= MAX_NAME_LENGTH for name in names):
                classes[column] = names
    return images, classes
