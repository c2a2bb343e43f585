"""CIFAR's batches: Python 2 pickles of a dict with one NumPy array, read without running anything that they name."""

import io
import pickle
from typing import Any

import torch
from torch import Tensor

from gancli.errors import DataError


class _Array:
    """Stands in for `numpy.ndarray`: keeps the state that the pickle sets."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def tensor(self) -> Tensor:
        """uint8; the state is (version, shape, dtype, whether columns come first, bytes)."""
        _, shape, _, columns_first, values = self.state
        flat = torch.frombuffer(bytearray(values), dtype=torch.uint8)
        return flat.view(*reversed(shape)).t() if columns_first else flat.view(*shape)


def _encoded(text: str, _: str) -> bytes:
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    """Knows the four names that occur in the real files (and in what Python 3 makes of them), and no other."""

    ALLOWED = {  # noqa: RUF012
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Array,
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("_codecs", "encode"): _encoded,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self.ALLOWED[module, name]


def read_batch(data: bytes, name: str) -> tuple[Tensor, Tensor]:
    """uint8 `[N, 3, 32, 32]` and labels int64 `[N]` (CIFAR-100: the fine ones). Raises `DataError` naming the file.

    `data` is a file whose checksum is known to be right.
    """
    content = _read(data, name)
    try:
        labels = content.get("labels") or content["fine_labels"]
        return content["data"].tensor().reshape(-1, 3, 32, 32), torch.tensor(labels, dtype=torch.int64)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise DataError(f"{name}: not a CIFAR batch ({error})") from None


def read_names(data: bytes, name: str) -> tuple[str, ...]:
    """The class names in CIFAR's `batches.meta` or `meta` (CIFAR-100: the fine ones). Raises `DataError`."""
    content = _read(data, name)
    names = content.get("label_names") or content.get("fine_label_names") or []
    return tuple(n.decode("ascii") if isinstance(n, bytes) else str(n) for n in names)


def _read(data: bytes, name: str) -> dict[str, Any]:
    try:
        content = _Reader(io.BytesIO(data), encoding="bytes").load()
        return {key.decode("ascii") if isinstance(key, bytes) else str(key): value for key, value in content.items()}
    except Exception as error:  # a broken pickle can raise anything
        raise DataError(f"{name}: not a CIFAR file ({type(error).__name__}: {error})") from None
