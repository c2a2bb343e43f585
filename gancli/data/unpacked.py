"""Gzipped tars as they are when unpacked, end to end in one file that has no name, in the cache; or in memory."""

import contextlib
import io
import tempfile
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import torch

from gancli.data.tar import TarError, opened
from gancli.errors import DataError, printable
from gancli.events import Event, Preparing
from gancli.machine.room import free_bytes, free_disk_bytes

PIECE = 1 << 20


class Unpacked:
    """`sizes`: of each shard by its number, the bytes that are wanted. Made by `unpacked`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, threading.Lock()
        self.begins: dict[int, int] = {}

    def read(self, shard: int, offset: int, num_bytes: int) -> bytes:
        """Bytes of a shard. Safe to call from several threads. Raises `OSError`."""
        with self._lock:
            self._file.seek(self.begins[shard] + offset)
            return self._file.read(num_bytes)

    def fill(self, shard: int, path: Path, num_bytes: int) -> Generator[int, None, None]:
        """Unpack a shard; yields the bytes of each piece. Raises what unpacking raises."""
        self.begins[shard] = self._file.seek(0, io.SEEK_END)
        with opened(path) as (tar, _):
            while num_bytes:
                piece = tar.read(min(PIECE, num_bytes))
                if not piece:
                    raise TarError("cut short")
                self._file.write(piece)
                num_bytes -= len(piece)
                yield len(piece)

    def close(self) -> None:
        """Remove it."""
        self._file.close()


def unpacked(
    where: Path, files: Mapping[int, Path], sizes: Mapping[int, int], room: Path
) -> Generator[Event, None, Unpacked]:
    """Unpack the first `sizes` bytes of gzipped tars, by their numbers. Raises `DataError`."""
    total, done = sum(sizes.values()), 0
    try:
        found = Unpacked(_place(where, total, room))
    except OSError as error:
        raise DataError(f"--dataset {where}: cannot be unpacked in {room} ({error.strerror}); gunzip it") from None
    try:
        for shard, path in files.items():
            try:
                for num_bytes in found.fill(shard, path, sizes[shard]):
                    done += num_bytes
                    yield Preparing(f"unpacking {path.name}", done >> 20, total >> 20, "MiB")
            except (OSError, TarError, EOFError, ValueError) as error:
                raise DataError(
                    f"{printable(str(path))}: cannot be unpacked ({' '.join(str(error).split())})"
                ) from None
    except BaseException:
        found.close()
        raise
    return found


def _place(where: Path, num_bytes: int, room: Path) -> BinaryIO:
    """Where to unpack to. Raises `DataError` where there is no room, and `OSError`."""
    with contextlib.suppress(OSError):
        room.mkdir(parents=True, exist_ok=True)
        free = free_disk_bytes(room)
        if free is None or num_bytes < free / 2:
            return cast(BinaryIO, tempfile.TemporaryFile(dir=room))
    if num_bytes > free_bytes(torch.device("cpu")) / 4:
        raise DataError(
            f"--dataset {where}: unpacks to {num_bytes / 1e9:.1f} GB, for which there is no room in {room}; gunzip it, or "
            "say with --data-root where there is room"
        )
    return io.BytesIO()
