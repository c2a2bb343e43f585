"""Decoded data sets, kept: one raw uint8 file and a small description beside it. Never trusted, rebuilt if odd."""

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli import atomic
from gancli.errors import GancliError

VERSION = 2  # of the decoders and of the description


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

    def load(self) -> Cached | None:
        """The data set, if it is there and whole. What is read into memory has its checksum verified."""
        try:
            found = json.loads(self.description.read_text("utf-8"))
            count, channels, height, width = found["shape"]
            size = count * channels * height * width
            names, note = tuple(map(str, found["class_names"])), str(found["note"])
            labels = torch.tensor(found["labels"], dtype=torch.int64)
            sound = min(count, channels, height, width) > 0 and labels.shape == (count,)
            if not sound or not 0 <= int(labels.min()) <= int(labels.max()) < max(1, len(names)):
                return None
            if self.pixels.stat().st_size != size:
                return None
            mapped = too_large(size)
            flat = _mapped(self.pixels, size, shared=False) if mapped else _read(self.pixels, size)
            if not mapped and _checksum(flat) != found["crc32"]:
                return None
            return Cached(flat.view(count, channels, height, width), labels, names, note, mapped)
        except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, OverflowError):
            return None  # not there, or damaged: it is made again

    def create(self, shape: Sequence[int]) -> Tensor:
        """Room to decode into, on disk: uint8 of `shape`. Raises `OSError` where there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        count, channels, height, width = shape
        size = count * channels * height * width
        with self._beside.open("wb") as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would kill the process at the first write (SIGBUS)
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        return _mapped(self._beside, size, shared=True).view(*shape)

    def commit(self, images: Tensor, labels: Tensor, class_names: Sequence[str], note: str = "") -> None:
        """Make what was decoded into `create`'s tensor the data set. `images` may be its first rows. Raises `OSError`."""
        with self._beside.open("r+b") as file:
            file.truncate(images.numel())
            os.fsync(file.fileno())
        self._beside.replace(self.pixels)
        text = json.dumps({
            "shape": list(images.shape),
            "labels": labels.tolist(),
            "class_names": list(class_names),
            "note": note,
            "crc32": _checksum(images.flatten()),
        })  # fmt: skip
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
