"""Decoded datasets on disk: for each an array, `KEY.npy`, and its description, `KEY.json`. What is damaged is made again."""

import contextlib
import errno
import hashlib
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.data import cache_entries
from gancli.data.fingerprint import digest
from gancli.data.source import Source
from gancli.errors import GancliError
from gancli.files import atomic
from gancli.machine import memory

VERSION = 5  # of the decoders and of the description
ZEROS = bytes(1 << 20)
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError)


@dataclass(frozen=True)
class PixelArray:
    """A decoded dataset of any shape. `pixels`: uint8; `info`: its description; `digest`: of the pixels. `mapped_file`: None
    if the pixels are in memory; if they are a memory map, the file whose time says that they are in use."""

    pixels: Tensor
    info: Mapping[str, Any]
    digest: str
    mapped_file: Path | None = None


class Cache:
    """The cache entry of one decoded dataset. `content` (JSON): everything that the decoded pixels depend on. `source`: what
    `gan cache` calls it.

    A file that has its final name never changes or shrinks: other processes may have it mapped.
    """

    def __init__(self, data_root: Path, stem: str, content: object, source: str | Path = "") -> None:
        cache_entries.own_limit()  # raises here rather than after hours of decoding
        key = hashlib.sha256(json.dumps([VERSION, content]).encode()).hexdigest()[:20]
        safe = "".join(c if c.isalnum() else "-" for c in stem)[:40]
        self.folder = data_root / "cache"
        self.array = self.folder / f"{safe}-{key}.npy"
        self.description = self.array.with_suffix(".json")
        self._source = str(source)
        self._part: atomic.Part | None = None  # the file that `allocate` mapped
        self._is_writable = True

    def load(self) -> PixelArray | None:
        """Return the entry if it is there and whole, and remove a damaged one. The digest of a map is not verified."""
        try:
            info = json.loads(self.description.read_text("utf-8"))
            found = self._read(info)
        except OSError:
            return None
        except DAMAGED:
            for path in (self.array, self.description):
                with contextlib.suppress(OSError):
                    path.unlink()
            return None
        cache_entries.touch(self.description)
        return found

    def _read(self, info: dict[str, Any]) -> PixelArray:
        """Raises `OSError`, or one of `DAMAGED`."""
        shape, size = tuple(info["shape"]), math.prod(info["shape"])
        mapped, header = is_too_large(size), _header(shape)
        with self.array.open("rb") as file:
            if file.read(len(header)) != header:
                raise ValueError("another shape")
            if mapped:
                pixels = torch.from_numpy(np.memmap(file, np.uint8, "c", len(header), shape))
            else:
                pixels = torch.from_numpy(np.fromfile(file, np.uint8, size).reshape(shape))
                if digest(pixels) != info["digest"]:
                    raise ValueError("other pixels")
        return PixelArray(pixels, info, str(info["digest"]), self.description if mapped else None)

    def load_source(self, name: str) -> Source | None:
        """Return the entry as a dataset of equal squares if it is there and whole."""
        if (found := self.load()) is None:
            return None
        try:
            info = found.info
            names, labels = tuple(map(str, info["class_names"])), torch.tensor(info["labels"], dtype=torch.int64)
            is_whole = found.pixels.dim() == 4 and labels.shape == (len(found.pixels),)
            if not is_whole or not 0 <= int(labels.min()) <= int(labels.max()) < max(1, len(names)):
                return None
            note = str(info["note"])
        except (*DAMAGED, RuntimeError):
            return None
        return Source(name, found.pixels, labels, names, found.mapped_file, found.digest, note=note)

    def allocate(self, shape: Sequence[int]) -> tuple[Tensor, str]:
        """Return a uint8 tensor of `shape` to decode into, and a warning or "".

        It is in memory or, if it is too large for that, a map of a file. Where the cache cannot be written, it is in memory,
        the warning says so, and `save` writes nothing.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not is_too_large(math.prod(shape)):
                atomic.check_writable(self.folder)
                return torch.empty(*shape, dtype=torch.uint8), ""
            self._part = self._created(shape)
            offset = len(_header(tuple(shape)))
            return torch.from_numpy(np.memmap(self._part.file, np.uint8, "r+", offset, tuple(shape))), ""
        except OSError as error:
            self.discard()
            self._is_writable = False
            return torch.empty(*shape, dtype=torch.uint8), self._warning(error)

    def save(self, pixels: Tensor, info: Mapping[str, object]) -> tuple[PixelArray, str]:
        """Make `pixels` the entry: the tensor of `allocate`, its first rows, or any other one in memory. Return them, and a
        warning or "". `info` (JSON): their description."""
        mapped_file = self.description if self._part else None
        about = {"source": self._source, **info, "shape": list(pixels.shape), "digest": digest(pixels)}
        found, text = PixelArray(pixels, about, str(about["digest"]), mapped_file), json.dumps(about)
        if not self._is_writable:
            return found, ""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._is_saved(text):
                self._write(pixels)
                atomic.write(self.description, [text.encode()])
        except (OSError, GancliError) as error:
            return found, self._warning(error)
        finally:
            self.discard()
        cache_entries.tidy(self.folder)
        return found, ""

    def save_source(self, source: Source) -> tuple[Source, str]:
        """The same as `save` for a dataset of equal squares."""
        info = {"labels": source.labels.tolist(), "class_names": source.class_names, "note": source.note}
        found, warning = self.save(source.images, info)
        return replace(source, mapped_file=found.mapped_file, digest=found.digest), warning

    def discard(self) -> None:
        """Remove what `allocate` made and `save` did not take."""
        if self._part is not None:
            self._part.discard()
            self._part = None

    def _is_saved(self, text: str) -> bool:
        """Whether another run that decoded the same was faster. Its file stays: others may have it mapped over a network."""
        try:
            return self.description.read_text("utf-8") == text and self.array.exists()
        except (OSError, ValueError):
            return False

    def _write(self, pixels: Tensor) -> None:
        """Raises `OSError`."""
        part, header = self._part, _header(tuple(pixels.shape))
        if part is None:
            self._part = part = self._created(pixels.shape)
            part.file.seek(len(header))
            part.file.write(pixels.contiguous().numpy().data)
        else:
            part.file.seek(0)
            part.file.write(header)  # fewer pictures than were allocated, perhaps; its length does not depend on that
        part.file.flush()
        atomic.sync(part.file.fileno())
        part.put()

    def _created(self, shape: Sequence[int]) -> atomic.Part:
        """A temporary file with the header of an array, whose size is taken of the disk, if need be from entries that were
        not used for long. Raises `OSError`."""
        header = _header(tuple(shape))
        part, size = atomic.Part(self.array), len(header) + math.prod(shape)
        try:
            try:
                _reserve(part, size)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                cache_entries.make_room(self.folder, size)
                _reserve(part, size)
            part.file.seek(0)
            part.file.write(header)
            part.file.flush()
        except OSError:
            part.discard()
            raise
        return part

    def _warning(self, error: OSError | GancliError) -> str:
        reason = atomic.reason(error) if isinstance(error, OSError) else str(error)
        return (
            f"{self.folder}: cannot be written ({reason}); the images are prepared anew each time "
            "(--data-root says where to keep them)"
        )


def is_too_large(num_bytes: int) -> bool:
    """Whether a dataset is mapped rather than read: above a quarter of the memory that this process may have."""
    return num_bytes > min([memory.total_bytes(), *memory.limits()]) / 4


def _header(shape: tuple[int, ...]) -> bytes:
    """What a `.npy` file of uint8 begins with."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _reserve(part: atomic.Part, size: int) -> None:
    """Take `size` bytes of the disk: writing to a map of what is not there would end the process on a full disk (SIGBUS).
    Raises `OSError`."""
    try:
        os.posix_fallocate(part.file.fileno(), 0, size)
        return
    except AttributeError:
        pass  # not on this system
    except OSError as error:
        if error.errno not in atomic.UNSUPPORTED:
            raise
    part.file.seek(0)
    for start in range(0, size, len(ZEROS)):
        part.file.write(ZEROS[: size - start])
    part.file.flush()
