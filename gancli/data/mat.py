"""The two arrays of an SVHN file, which is a MATLAB 5 file (format: MathWorks, "MAT-File Format", level 5)."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.errors import DataError

HEADER_BYTES = 128
MAX_BYTES = 1 << 30
INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 2, 5, 6, 14, 15
TYPES = {UINT8: torch.uint8, INT8: torch.int8, 3: torch.int16, INT32: torch.int32, 7: torch.float32, 9: torch.float64}


@dataclass(frozen=True)
class Element:
    """A tagged stretch of bytes."""

    kind: int
    values: memoryview


def read_mat(data: bytes, name: str) -> dict[str, Tensor]:
    """The numeric arrays in a MAT-file by name; dimensions in reverse (MATLAB's first index runs fastest).

    So MATLAB's 32×32×3×N comes out as `[N, 3, 32 (columns), 32 (rows)]`. Raises `DataError` naming the file.
    """
    if data[126:128] != b"IM":
        raise DataError(f"{name}: not a MATLAB 5 file")
    arrays = {}
    try:
        for element in _elements(memoryview(data)[HEADER_BYTES:]):
            if element.kind == COMPRESSED:
                (element,) = _elements(memoryview(_inflated(element.values)))
            if element.kind == MATRIX:
                title, array = _matrix(element.values)
                arrays[title] = array
    except (ValueError, IndexError, KeyError, struct.error, zlib.error, RuntimeError) as error:
        raise DataError(f"{name}: a damaged MATLAB 5 file ({error})") from None
    return arrays


def _elements(data: memoryview) -> Iterator[Element]:
    """Elements one after the other; one of up to four bytes has its length in the tag's upper half."""
    while len(data) >= 8:
        kind, length = struct.unpack_from("<II", data)
        if kind >> 16:
            yield Element(kind & 0xFFFF, data[4 : 4 + min(kind >> 16, 4)])
            data = data[8:]
            continue
        if length > len(data) - 8:
            raise ValueError("cut short")
        yield Element(kind, data[8 : 8 + length])
        data = data[8 + (length if kind == COMPRESSED else -(-length // 8) * 8) :]


def _inflated(packed: memoryview) -> bytes:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, MAX_BYTES)
    if not unpacker.eof:
        raise ValueError("cut short, or over the limit of size")
    return data


def _matrix(data: memoryview) -> tuple[str, Tensor]:
    _flags, sizes, title, values = list(_elements(data))[:4]
    shape = struct.unpack(f"<{len(sizes.values) // 4}i", sizes.values)
    array = torch.frombuffer(bytearray(values.values), dtype=TYPES[values.kind])
    return bytes(title.values).decode("latin1"), array.view(*reversed(shape))
