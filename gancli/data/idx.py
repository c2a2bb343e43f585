"""The IDX files of MNIST and its kin, gzipped or not, read with bounds (format: Y. LeCun's MNIST page)."""

import gzip
import io
import math
import zlib
from typing import IO, cast

import torch
from torch import Tensor

from gancli.errors import DataError

MAX_BYTES = 1 << 30
PIECE = 1 << 22


def read_idx(data: bytes, name: str) -> Tensor:
    """The uint8 tensor in an IDX file. Raises `DataError` with the file's `name` for anything else.

    Big-endian: two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes, the values. Memory is
    taken as values come, not as the header says.
    """
    plain = io.BytesIO(data)
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=plain) as file:
                return _read(cast(IO[bytes], file), name)
        return _read(plain, name)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: damaged ({error})") from None


def _read(file: IO[bytes], name: str) -> Tensor:
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 4:
        raise DataError(f"{name}: not an IDX file of bytes")
    sizes = file.read(4 * magic[3])
    shape = [int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4)]
    count = math.prod(shape)
    if len(sizes) != 4 * magic[3] or not 0 < count <= MAX_BYTES:
        raise DataError(f"{name}: an IDX file of impossible size")
    values = bytearray()
    while len(values) <= count and (piece := file.read(PIECE)):
        values += piece
    if len(values) != count:
        state = "cut short" if len(values) < count else "longer than it says"
        raise DataError(f"{name}: {state}: its header says {count} values")
    return torch.frombuffer(values, dtype=torch.uint8).view(shape)
