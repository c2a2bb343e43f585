"""Reads the header of an untrusted safetensors file, with limits. Imports no torch.

Layout (from the description of the format): 8 bytes little-endian length n, n bytes of JSON, then the tensors' bytes. The
JSON maps a tensor's name to its dtype, shape and byte range, and `__metadata__` to a map of strings.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.config.paths import open_file
from gancli.errors import CheckpointError, os_problem

MAX_HEADER_BYTES = 8 << 20
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8
DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class TensorInfo:
    """Type, shape and position of a tensor: `start` and `stop` are bytes from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """A safetensors header. The byte ranges of its tensors cover the rest of the file without gaps or overlaps."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    data_start: int
    file_bytes: int


def read_header(path: Path) -> Header:
    """Read and check the header of `path`. Raises `CheckpointError`, one line, if the file is not valid."""
    try:
        with open_file(path) as file:
            file_bytes = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if file_bytes < 10 or not 2 <= length <= file_bytes - 8:
                raise CheckpointError(f"{path}: not a safetensors file, or cut short")
            if length > MAX_HEADER_BYTES:
                raise CheckpointError(f"{path}: its header of {length} bytes is over the limit of {MAX_HEADER_BYTES}")
            text = file.read(length)
    except IsADirectoryError:
        raise CheckpointError(f"{path}: is a directory, not a checkpoint") from None
    except OSError as error:
        raise CheckpointError(os_problem(path, "read", error)) from error
    return _parse(path, text, file_bytes)


def _parse(path: Path, text: bytes, file_bytes: int) -> Header:
    try:
        parsed = json_object(text)
    except ValueError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from None
    metadata = parsed.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{path}: its metadata is not a map of strings")
    if len(parsed) > MAX_TENSORS:
        raise CheckpointError(f"{path}: {len(parsed)} tensors are over the limit of {MAX_TENSORS}")
    tensors = {name: _tensor_info(path, name, entry) for name, entry in parsed.items()}
    end = 0
    for info in sorted(tensors.values(), key=lambda t: (t.start, t.stop)):
        if info.start != end:
            raise CheckpointError(f"{path}: its tensors overlap or leave gaps")
        end = info.stop
    data_start = 8 + len(text)
    if data_start + end != file_bytes:
        problem = "cut short" if data_start + end > file_bytes else "followed by other bytes"
        raise CheckpointError(f"{path}: {file_bytes} bytes where its header says {data_start + end}: {problem}")
    return Header(tensors, metadata, data_start, file_bytes)


def _tensor_info(path: Path, name: str, entry: Any) -> TensorInfo:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(stop)], **rest} if not rest:
            pass
        case _:
            raise CheckpointError(f"{path}: the entry of tensor {name[:80]!r} is malformed")
    if dtype not in DTYPE_BYTES or len(shape) > MAX_DIMENSIONS:
        raise CheckpointError(f"{path}: tensor {name[:80]!r} has an unsupported dtype or shape")
    if not all(type(size) is int and 0 <= size < 2**40 for size in shape):
        raise CheckpointError(f"{path}: tensor {name[:80]!r} has an impossible shape")
    if start < 0 or stop - start != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise CheckpointError(f"{path}: the bytes of tensor {name[:80]!r} do not match its shape")
    return TensorInfo(dtype, tuple(shape), start, stop)


def json_object(text: bytes | str) -> dict[str, Any]:
    """Return the JSON object in `text`. Raises `ValueError` for any other value, a repeated key, NaN or too deep nesting."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            raise ValueError("a key is repeated")
        return mapping

    def reject(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        parsed = json.loads(decoded, object_pairs_hook=unique, parse_constant=reject)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}") from None
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")
    return parsed
