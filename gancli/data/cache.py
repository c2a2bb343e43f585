"""Decoded data sets, kept: one raw uint8 file and a small description beside it. Never trusted, rebuilt if odd."""

import errno
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from gancli.data import kept
from gancli.data.fingerprint import digest
from gancli.errors import GancliError
from gancli.files import atomic
from gancli.machine import room

VERSION = 4  # of the decoders and of the description
BLOCK = bytes(1 << 20)


@dataclass(frozen=True)
class Flat:
    """What a cache holds: the pixels' bytes, uint8 `[n]`, and what is said about them."""

    flat: Tensor
    about: dict[str, Any]
    mapped: bool

    @property
    def digest(self) -> str:
        return str(self.about["digest"])


@dataclass(frozen=True)
class Cached:
    """A decoded data set. `mapped`: the images are a map of the file. `note`: what to warn of each time, or "". `digest`: of
    the images, if it is known."""

    images: Tensor  # uint8 [N, C, H, W]
    labels: Tensor  # int64 [N]
    class_names: tuple[str, ...]
    note: str = ""
    mapped: bool = False
    digest: str = ""


class Cache:
    """The place of one decoded data set: of what was asked for (`request`, JSON) and what there was then (`listing`, JSON).

    `source` (and which `split` of it) is what it was made of: when the listing has changed, what was made before is removed.
    A file that has its final name never changes or shrinks: others may have it mapped.
    """

    def __init__(
        self,
        data_root: Path,
        stem: str,
        request: object,
        listing: object = (),
        source: str | Path = "",
        split: str = "",
    ) -> None:
        kept.own_limit()  # not after hours of decoding
        key = hashlib.sha256(json.dumps([VERSION, request, listing]).encode()).hexdigest()[:20]
        safe = "".join(c if c.isalnum() else "-" for c in stem)[:40]
        self.folder = data_root / "cache"
        self.pixels = self.folder / f"{safe}-{key}.u8"
        self.description = self.pixels.with_suffix(".json")
        self._origin = {"source": str(source), "split": split, "request": request}
        self._key = key
        self._part: atomic.Part | None = None  # what is decoded into
        self._mapped = False  # whether the tensor that `create` gave is a map of it
        self._damaged: tuple[int, int] | None = None  # which file was found to be so

    def load_flat(self) -> Flat | None:
        """The pixels and their description, if they are there and whole. What is read into memory has its checksum
        verified."""
        self._damaged = None
        try:
            facts = self.pixels.stat()
            self._damaged = facts.st_ino, facts.st_mtime_ns
            about = json.loads(self.description.read_text("utf-8"))
            size = int(about["bytes"])
            if not 0 < size <= facts.st_size:
                return None
            mapped = too_large(size)
            flat = _mapped(self.pixels, size, shared=False) if mapped else _read(self.pixels, size)
            if not mapped and digest(flat) != about["digest"]:
                return None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError):
            return None  # not there, or damaged: it is made again
        self._damaged = None
        kept.touch(self.description)
        return Flat(flat, about, mapped)

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
            return Cached(
                found.flat.view(count, channels, height, width), labels, names, note, found.mapped, found.digest
            )
        except (ValueError, KeyError, TypeError, IndexError, RuntimeError, OverflowError):
            return None  # damaged

    def room(self, shape: Sequence[int]) -> tuple[Tensor, str]:
        """Room to decode into, uint8 of `shape`: on disk if that can be kept there, else in memory, and a warning that says
        so."""
        try:
            return self.create(shape), ""
        except OSError as error:
            return torch.empty(*shape, dtype=torch.uint8), self._not_kept(error)

    def keep_flat(self, flat: Tensor, about: Mapping[str, object]) -> str:
        """`commit_flat` of what `room` gave; gives the warning where it cannot be kept, unless `room` has given it."""
        if self._part is not None:
            try:
                self.commit_flat(flat, about)
            except OSError as error:
                return self._not_kept(error)
        return ""

    def keep(self, images: Tensor, labels: Tensor, class_names: Sequence[str], note: str = "") -> str:
        """The same for `commit`."""
        return self.keep_flat(images.flatten(), _about(images, labels, class_names, note))

    def _not_kept(self, error: OSError) -> str:
        return (
            f"{self.folder}: cannot be written ({atomic.reason(error)}); the images are decoded anew each time "
            "(--data-root says where to keep them)"
        )

    def create(self, shape: Sequence[int]) -> Tensor:
        """Room to decode into, uint8 of `shape`, in memory, or where that is too small a map of the file. What killed runs
        were decoding into is removed, and what was not used for long if there is no room else.

        Raises `OSError` where there is no room.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        kept.sweep(self.folder)
        size = math.prod(shape)
        self._mapped = too_large(size)
        self._part = atomic.Part(self.pixels)
        try:
            try:
                self._reserve(self._part.file, size)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                kept.make_room(self.folder, size)
                self._reserve(self._part.file, size)
            if not self._mapped:
                return torch.empty(*shape, dtype=torch.uint8)
            return _mapped(self._part.path, size, shared=True).view(*shape)
        except RuntimeError as error:  # a disk that knows no maps
            self.discard()
            raise OSError(errno.ENODEV, " ".join(str(error).split())) from error
        except OSError:
            self.discard()
            raise

    def _reserve(self, file: IO[bytes], size: int) -> None:
        """Take `size` bytes of the disk: with a map of what is not there a full disk would kill the process (SIGBUS)."""
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except AttributeError:
            pass  # not on this system
        except OSError as error:
            if error.errno not in atomic.CANNOT:
                raise
        free = room.free_disk_bytes(self.folder)
        if free is not None and free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._mapped:
            file.seek(0)
            for start in range(0, size, len(BLOCK)):
                file.write(BLOCK[: size - start])
            file.flush()

    def commit(self, images: Tensor, labels: Tensor, class_names: Sequence[str], note: str = "") -> None:
        """Make what was decoded into `create`'s tensor the data set. `images` may be its first rows. Raises `OSError`."""
        self.commit_flat(images.flatten(), _about(images, labels, class_names, note))

    def commit_flat(self, flat: Tensor, about: Mapping[str, object]) -> None:
        """As `commit`, for the first bytes of `create`'s tensor and any description (JSON). Raises `OSError`."""
        part = self._part
        if part is None:
            raise OSError(f"{self.folder}: there was no room to decode into")
        if not self._mapped:
            part.file.seek(0)
            part.file.write(flat.contiguous().numpy().data)
            part.file.flush()
            part.file.truncate(flat.numel())  # while it is mapped it must not shrink
        atomic.sync(part.file.fileno())
        said = json.dumps({**self._origin, **about, "bytes": flat.numel(), "digest": digest(flat)})
        if not self._is_there(said):
            try:
                part.put()
                atomic.write(self.description, [said.encode()])
            except GancliError as error:
                raise OSError(str(error)) from error
        self.discard()
        kept.tidy(self.folder, self.pixels.stem)

    def _is_there(self, said: str) -> bool:
        """Whether another run, which decoded at the same time, was faster: its file, which others may have mapped from the
        other side of a network, stays."""
        try:
            facts = self.pixels.stat()
            whole = self.description.read_text("utf-8") == said and facts.st_size >= json.loads(said)["bytes"]
            return whole and self._damaged != (facts.st_ino, facts.st_mtime_ns)
        except (OSError, ValueError):
            return False

    def store(self, images: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
        """Keep a data set that is in memory. Raises `OSError`."""
        try:
            place = self.create(images.shape)
            if self._mapped:
                place.copy_(images)
            self.commit(images, labels, class_names)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what `create` made and `commit` did not take."""
        if self._part is not None:
            self._part.discard()
            self._part = None


def _about(images: Tensor, labels: Tensor, class_names: Sequence[str], note: str) -> dict[str, object]:
    return {
        "shape": list(images.shape),
        "labels": labels.tolist(),
        "class_names": list(class_names),
        "note": note,
    }


def too_large(num_bytes: int) -> bool:
    """Whether a data set is mapped rather than read: above a quarter of this machine's memory, or what it may have of
    that."""
    return num_bytes > min([room.total_bytes(), *room.limits()]) / 4


def _mapped(path: Path, size: int, *, shared: bool) -> Tensor:
    return torch.from_file(str(path), shared=shared, size=size, dtype=torch.uint8)


def _read(path: Path, size: int) -> Tensor:
    flat = torch.empty(size, dtype=torch.uint8)
    with path.open("rb") as file:
        if file.readinto(flat.numpy().data) != size:
            raise OSError("cut short")
    return flat
