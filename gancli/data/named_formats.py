"""File formats of named datasets: IDX (MNIST), CIFAR's pickles, STL-10's bytes and MATLAB 5 (SVHN), read into tensors.

`name` is the file's name in errors. Nothing that a file names is run, and memory is bounded.
"""

import io
import math
import pickle
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gancli.errors import DataError

MAX_BYTES = 1 << 30
GZIP_MAGIC, GZIP_BITS, ZLIB_BITS = b"\x1f\x8b", 31, 15  # of `zlib.decompressobj`
MAT_HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
MAT_TYPES = {1: torch.int8, 2: torch.uint8, 3: torch.int16, 5: torch.int32, 7: torch.float32, 9: torch.float64}


def _inflated(packed: bytes | memoryview, bits: int) -> bytes:
    unpacker = zlib.decompressobj(bits)
    data = unpacker.decompress(packed, MAX_BYTES)
    if not unpacker.eof:
        raise ValueError("cut short, or over the limit of size")
    return data


def read_idx(data: bytes, name: str) -> Tensor:
    """Return the uint8 tensor in an IDX file, gzipped or not (format: Y. LeCun's MNIST page). Raises `DataError`.

    Big-endian: two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes, the values.
    """
    try:
        plain = _inflated(data, GZIP_BITS) if data.startswith(GZIP_MAGIC) else data
        if plain[:3] != b"\0\0\x08" or not 1 <= plain[3] <= 4:
            raise ValueError("its header is not that of an IDX file of bytes")
        shape = struct.unpack_from(f">{plain[3]}I", plain, 4)
        values = plain[4 + 4 * plain[3] :]
        if len(values) != math.prod(shape) or not values:
            raise ValueError(f"its header says {math.prod(shape)} values, and it has {len(values)}")
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        raise DataError(f"{name}: not an IDX file, or a damaged one ({error})") from error
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(shape)


class _Array:
    """Stands in for `numpy.ndarray` and keeps the state that a pickle sets."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def tensor(self) -> Tensor:
        """Return it as uint8. The state is (version, shape, dtype, whether columns come first, bytes)."""
        _, shape, _, columns_first, values = self.state
        flat = torch.frombuffer(bytearray(values), dtype=torch.uint8)
        return flat.view(*reversed(shape)).t() if columns_first else flat.view(*shape)


def _encoded(text: str, _: str) -> bytes:
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows the names in CIFAR's files (and in those that Python 3 makes of them), and no others."""

    KNOWN = {  # noqa: RUF012
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Array,
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("_codecs", "encode"): _encoded,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self.KNOWN[module, name]


def _read_pickle(data: bytes, name: str) -> dict[str, Any]:
    try:
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        return {key.decode("ascii") if isinstance(key, bytes) else str(key): value for key, value in content.items()}
    except Exception as error:  # a broken pickle can raise anything
        raise DataError(f"{name}: not a CIFAR file ({type(error).__name__}: {error})") from None


def read_cifar(data: bytes, name: str) -> tuple[Tensor, Tensor]:
    """Return a batch, uint8 `[N, 3, 32, 32]`, and its labels, int64 `[N]` (CIFAR-100: the fine ones). Raises `DataError`.

    It is a Python 2 pickle of a dict with a NumPy array.
    """
    content = _read_pickle(data, name)
    try:
        labels = content.get("labels") or content["fine_labels"]
        return content["data"].tensor().reshape(-1, 3, 32, 32), torch.tensor(labels, dtype=torch.int64)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise DataError(f"{name}: not a CIFAR batch ({error})") from None


def read_cifar_names(data: bytes, name: str) -> tuple[str, ...]:
    """Return the class names in CIFAR's `batches.meta` or `meta` (CIFAR-100: the fine ones). Raises `DataError`."""
    content = _read_pickle(data, name)
    names = content.get("label_names") or content.get("fine_label_names") or []
    return tuple(n.decode("ascii") if isinstance(n, bytes) else str(n) for n in names)


def read_stl10(pixels: bytes, labels: bytes) -> tuple[Tensor, Tensor]:
    """Return STL-10's images, uint8 `[N, 3, 96, 96]`, and labels, int64 `[N]` (format: A. Coates' STL-10 page).

    In the files each channel runs down the columns first, and labels start at 1.
    """
    images = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(-1, 3, 96, 96).transpose(2, 3).contiguous()
    return images, torch.frombuffer(bytearray(labels), dtype=torch.uint8).long() - 1


def read_mat(data: bytes, name: str) -> dict[str, Tensor]:
    """Return the numeric arrays in a MATLAB 5 file by their names (format: MathWorks, "MAT-File Format", level 5).

    Dimensions are reversed, as MATLAB's first index runs fastest: its 32×32×3×N is `[N, 3, 32 (columns), 32 (rows)]` here.
    Raises `DataError`.
    """
    if data[126:128] != b"IM":
        raise DataError(f"{name}: not a MATLAB 5 file")
    arrays = {}
    try:
        for kind, values in _mat_elements(memoryview(data)[MAT_HEADER_BYTES:]):
            if kind == COMPRESSED:
                ((kind, values),) = _mat_elements(memoryview(_inflated(values, ZLIB_BITS)))
            if kind == MATRIX:
                title, array = _mat_array(values)
                arrays[title] = array
    except (ValueError, IndexError, KeyError, struct.error, zlib.error, RuntimeError) as error:
        raise DataError(f"{name}: a damaged MATLAB 5 file ({error})") from None
    return arrays


def _mat_elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the kind and the bytes of each element. One of up to four bytes has its length in the tag's upper half."""
    while len(data) >= 8:
        kind, length = struct.unpack_from("<II", data)
        if kind >> 16:
            yield kind & 0xFFFF, data[4 : 4 + min(kind >> 16, 4)]
            data = data[8:]
            continue
        if length > len(data) - 8:
            raise ValueError("cut short")
        yield kind, data[8 : 8 + length]
        data = data[8 + (length if kind == COMPRESSED else -(-length // 8) * 8) :]


def _mat_array(data: memoryview) -> tuple[str, Tensor]:
    _flags, (_, sizes), (_, title), (kind, values) = list(_mat_elements(data))[:4]
    shape = struct.unpack(f"<{len(sizes) // 4}i", sizes)
    array = torch.frombuffer(bytearray(values), dtype=MAT_TYPES[kind])
    return bytes(title).decode("latin1"), array.view(*reversed(shape))
