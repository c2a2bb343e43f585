"""The IDX files of MNIST and its kin, gzipped or not, read with bounds (format: Y. LeCun's MNIST page)."""

import gzip
import math
import zlib
from pathlib import Path

import torch
from torch import Tensor

from gancli.errors import DataError

MAX_BYTES = 1 << 30


def read_idx(path: Path) -> Tensor:
    """The uint8 tensor in an IDX file. Raises `DataError` naming the file for anything else.

    Big-endian: two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes, the values.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 4:
                raise DataError(f"{path}: not an IDX file of bytes")
            sizes = file.read(4 * magic[3])
            shape = [int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4)]
            count = math.prod(shape)
            if len(sizes) != 4 * magic[3] or not 0 < count <= MAX_BYTES:
                raise DataError(f"{path}: an IDX file of impossible size")
            values = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if len(values) != count:
        state = "cut short" if len(values) < count else "longer than it says"
        raise DataError(f"{path}: {state}: its header says {count} values")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(shape)
