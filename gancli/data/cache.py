"""Decoded data sets, kept: one raw uint8 file and a small description beside it. Never trusted, rebuilt if odd."""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from gancli import atomic
from gancli.errors import GancliError

VERSION = 4  # of the decoders and of the description
UNFINISHED = ".*.u8.*.part"  # pixels that a run is decoding, or was when it was killed


@dataclass(frozen=True)
class Flat:
    """What a cache holds: the pixels' bytes, uint8 `[n]`, and what is said about them."""

    flat: Tensor
    about: dict[str, Any]
    mapped: bool


@dataclass(frozen=True)
class Cached:
    """A decoded data set. `mapped`: the images are a map of the file. `note`: what to warn of each time, or ""."""

    images: Tensor  # uint8 [N, C, H, W]
    labels: Tensor  # int64 [N]
    class_names: tuple[str, ...]
    note: str = ""
    mapped: bool = False


class Cache:
    """The place of one decoded data set, for one content and image size."""

    def __init__(self, data_root: Path, stem: str, content: object) -> None:
        key = hashlib.sha256(json.dumps([VERSION, content]).encode()).hexdigest()[:20]
        safe = "".join(c if c.isalnum() else "-" for c in stem)[:40]
        self.folder = data_root / "cache"
        self.pixels = self.folder / f"{safe}-{key}.u8"
        self.description = self.pixels.with_suffix(".json")
        self._beside = self.pixels.with_name(f".{self.pixels.name}.{os.getpid()}.part")
        self._held: IO[bytes] | None = None  # `_beside`, locked while it is decoded into

    def load_flat(self) -> Flat | None:
        """The pixels and their description, if they are there and whole. What is read into memory has its checksum
        verified."""
        try:
            about = json.loads(self.description.read_text("utf-8"))
            size = self.pixels.stat().st_size
            mapped = too_large(size)
            flat = _mapped(self.pixels, size, shared=False) if mapped else _read(self.pixels, size)
            if about["bytes"] != size or (not mapped and _checksum(flat) != about["crc32"]):
                return None
            return Flat(flat, about, mapped)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return None  # not there, or damaged: it is made again

    def load(self) -> Cached | None:
        """The data set of equal squares, if it is there and whole."""
        if (found := self.load_flat()) is None:
            return None
        try:
            about = found.about
            count, channels, height, width = about["shape"]
            names, note = tuple(map(str, about["class_names"])), str(about["note"])
            labels = torch.tensor(about["labels"], dtype=torch.int64)
            sound = min(count, channels, height, width) > 0 and labels.shape == (count,)
            if not sound or not 0 <= int(labels.min()) <= int(labels.max()) < max(1, len(names)):
                return None
            return Cached(found.flat.view(count, channels, height, width), labels, names, note, found.mapped)
        except (ValueError, KeyError, TypeError, IndexError, RuntimeError, OverflowError):
            return None  # damaged

    def create(self, shape: Sequence[int]) -> Tensor:
        """Room to decode into, on disk: uint8 of `shape`. What killed runs were decoding into is removed.

        Raises `OSError` where there is no room.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(UNFINISHED):
            _remove_unless_held(path)
        size = math.prod(shape)
        self._held = _hold(self._beside)
        try:
            if hasattr(os, "posix_fallocate"):  # else a full disk would kill the process at the first write (SIGBUS)
                os.posix_fallocate(self._held.fileno(), 0, size)
            else:
                self._held.truncate(size)
        except OSError:
            self.discard()
            raise
        return _mapped(self._beside, size, shared=True).view(*shape)

    def commit(self, images: Tensor, labels: Tensor, class_names: Sequence[str], note: str = "") -> None:
        """Make what was decoded into `create`'s tensor the data set. `images` may be its first rows. Raises `OSError`."""
        about = {
            "shape": list(images.shape),
            "labels": labels.tolist(),
            "class_names": list(class_names),
            "note": note,
        }
        self.commit_flat(images.flatten(), about)

    def commit_flat(self, flat: Tensor, about: Mapping[str, object]) -> None:
        """As `commit`, for the first bytes of `create`'s tensor and any description (JSON). Raises `OSError`."""
        if self._held is None:
            raise OSError(f"{self.folder}: there was no room to decode into")
        self._held.truncate(flat.numel())
        os.fsync(self._held.fileno())
        self._beside.replace(self.pixels)
        text = json.dumps({**about, "bytes": flat.numel(), "crc32": _checksum(flat)})
        try:
            atomic.write(self.description, [text.encode()])
        except GancliError as error:
            raise OSError(str(error)) from error

    def store(self, images: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
        """Keep a data set that is in memory. Raises `OSError`."""
        try:
            self.create(images.shape).copy_(images)
            self.commit(images, labels, class_names)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what `create` made and `commit` did not take."""
        with contextlib.suppress(OSError):
            self._beside.unlink(missing_ok=True)
        if self._held is not None:
            self._held.close()
            self._held = None


def _hold(path: Path) -> IO[bytes]:
    """A new file, locked as long as it is open, which ends with its process. Raises `OSError`."""
    while True:
        file = path.open("wb")
        with contextlib.suppress(OSError):  # no locks on this disk: then nobody removes anything
            fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):  # removed by another run before it was locked
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _remove_unless_held(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def too_large(num_bytes: int) -> bool:
    """Whether a data set is mapped rather than read: above a quarter of this machine's memory."""
    return num_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4


def _mapped(path: Path, size: int, *, shared: bool) -> Tensor:
    return torch.from_file(str(path), shared=shared, size=size, dtype=torch.uint8)


def _read(path: Path, size: int) -> Tensor:
    flat = torch.empty(size, dtype=torch.uint8)
    with path.open("rb") as file:
        if file.readinto(flat.numpy().data) != size:
            raise OSError("cut short")
    return flat


def _checksum(flat: Tensor) -> int:
    return zlib.crc32(flat.contiguous().numpy().data)
