"""A `torch.utils.data.Dataset`, or any other map-style dataset, that was passed from Python. Imports no torch."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

from gancli.errors import UsageError

PREFIX = "python:"
MAX_FINGERPRINT = 200  # characters
NEEDS_OBJECT = (
    "an object of Python, which no command line can name; pass it to gancli.train or gancli.evaluate as dataset"
)


class MapDataset(Protocol):
    """A map-style dataset: it has a length, and an item for each index from 0 on."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class DatasetObject(str):
    """The text that names a dataset object in `config.toml` and messages, `python:CLASS` or `python:CLASS@FINGERPRINT`,
    with the object itself as `value`. It takes the place of the text of `--dataset`.

    `opened`: what `torch_dataset` has decoded, by the options it was decoded with. Raises `UsageError` for an object that
    is not a map-style dataset, for an empty one, and for a fingerprint that is not a short text.
    """

    value: Any
    fingerprint: str
    num_items: int
    opened: dict[object, Any]

    def __new__(cls, value: object) -> "DatasetObject":
        where = f"--dataset {PREFIX}{type(value).__name__}"
        if isinstance(value, Mapping):
            raise UsageError(f"{where}: a mapping of {', '.join(map(str, value))[:100]}; pass one of its datasets")
        num_items = _num_items(value, where)
        fingerprint = getattr(value, "fingerprint", None)
        if fingerprint is not None:
            is_text = isinstance(fingerprint, str) and fingerprint.isprintable()
            if not is_text or not 0 < len(fingerprint) <= MAX_FINGERPRINT:
                raise UsageError(
                    f"{where}: its fingerprint must be a text of 1 to {MAX_FINGERPRINT} characters, or None"
                )
        made = super().__new__(cls, PREFIX + type(value).__name__ + (f"@{fingerprint}" if fingerprint else ""))
        made.value, made.fingerprint, made.num_items, made.opened = value, fingerprint or "", num_items, {}
        return made

    def __deepcopy__(self, memo: object) -> "DatasetObject":
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Events and figures are pickled with the name alone."""
        return str, (str(self),)


def _num_items(value: object, where: str) -> int:
    """Return the number of items. Raises `UsageError` unless the dataset is map-style, and has items."""
    is_iterable = any(base.__name__ == "IterableDataset" for base in type(value).__mro__)
    lacking = [name for name in ("__len__", "__getitem__") if not hasattr(type(value), name)]
    if is_iterable or lacking:
        what = "an iterable-style dataset" if is_iterable else f"has no {lacking[0]}"
        raise UsageError(f"{where}: {what}; it must be map-style, with __len__ and __getitem__")
    try:
        num_items = len(value)  # type: ignore[arg-type]  # it has __len__
    except Exception as error:  # of the user's own code
        raise UsageError(f"{where}: its __len__ raises {type(error).__name__} ({error})"[:300]) from error
    if num_items == 0:
        raise UsageError(f"{where}: is empty")
    return num_items


def as_dataset(value: object) -> object:
    """Return a `DatasetObject` for a value of `dataset=` that is not the name or path of a dataset; else the value, which
    the option checks: also arrays, and lists of names. Raises `UsageError` as `DatasetObject` does."""
    is_text = isinstance(value, str | bytes | os.PathLike) or hasattr(value, "ndim")
    if is_text or not (hasattr(type(value), "__getitem__") or hasattr(type(value), "__iter__")):
        return value
    if isinstance(value, list | tuple) and value and isinstance(value[0], str | os.PathLike):
        return value
    return DatasetObject(value)


def is_python(dataset: str) -> bool:
    """Whether a recorded dataset was an object of Python, which no command line can name."""
    return dataset.startswith(PREFIX)
