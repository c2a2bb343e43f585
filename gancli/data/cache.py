"""Decoded datasets on disk: for each an array, `KEY.npy`, and its description, `KEY.json`. Damaged ones are made again."""

import contextlib
import errno
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gancli.data import cache_entries
from gancli.data.dataset import Dataset, digest
from gancli.errors import GancliError, os_problem
from gancli.events import Emit, Warned
from gancli.files import atomic
from gancli.machine import memory

VERSION = 5  # of the decoders and of the description
ZEROS = bytes(1 << 20)
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError, RuntimeError)
T = TypeVar("T")


@dataclass(frozen=True)
class PixelArray:
    """A decoded dataset of any shape. `pixels`: uint8; `info`: its description; `digest`: of the pixels. `mapped_file`: None
    if the pixels are in memory; if they are a memory map, the file whose time says that they are in use."""

    pixels: Tensor
    info: Mapping[str, Any]
    digest: str
    mapped_file: Path | None = None


class Cache:
    """The cache entry of one decoded dataset. `content` (JSON): everything that the decoded pixels depend on. `source`: its
    name in `gan cache`.

    A file that has its final name never changes or shrinks: other processes may have it mapped. If the cache cannot be
    written, a warning says so, and nothing is saved.
    """

    def __init__(self, data_root: Path, stem: str, content: object, source: str | Path, emit: Emit) -> None:
        cache_entries.own_limit()  # raises here rather than after hours of decoding
        key = hashlib.sha256(json.dumps([VERSION, content]).encode()).hexdigest()[:20]
        safe = "".join(c if c.isalnum() else "-" for c in stem)[:40]
        self.folder = data_root / "cache"
        self.array = self.folder / f"{safe}-{key}.npy"
        self.description = self.array.with_suffix(".json")
        self._source, self._emit = str(source), emit
        self._part: atomic.Part | None = None  # the file that `allocate` mapped
        self._is_writable = True

    def load(self, build: Callable[[PixelArray], T]) -> T | None:
        """Return what `build` makes of the entry if it exists; remove it if it is damaged: if `build` raises one of
        `DAMAGED`, or the digest is wrong (which is not checked for a map)."""
        try:
            found = build(self._read(json.loads(self.description.read_text("utf-8"))))
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

    def load_source(self, name: str) -> Dataset | None:
        """Return the entry as a dataset of square images, as `load` does."""

        def build(found: PixelArray) -> Dataset:
            labels = torch.tensor(found.info["labels"], dtype=torch.int64)
            names = tuple(map(str, found.info["class_names"]))
            is_whole = found.pixels.dim() == 4 and labels.shape == (len(found.pixels),)
            if not is_whole or not 0 <= int(labels.min()) <= int(labels.max()) < max(1, len(names)):
                raise ValueError("other labels")
            note = str(found.info["note"])
            return Dataset(name, found.pixels, labels, names, found.mapped_file, found.digest, note=note)

        return self.load(build)

    @contextlib.contextmanager
    def allocate(self, shape: Sequence[int]) -> Iterator[Tensor]:
        """Provide a uint8 tensor of `shape` to decode into: in memory or, if it is too large for that, a map of a file,
        which is removed at the end unless it was saved."""
        try:
            yield self._allocated(tuple(shape))
        finally:
            self._discard()

    def _allocated(self, shape: tuple[int, ...]) -> Tensor:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if is_too_large(math.prod(shape)):
                self._part = self._created(shape)
                return torch.from_numpy(np.memmap(self._part.file, np.uint8, "r+", len(_header(shape)), shape))
            atomic.check_writable(self.folder)
        except OSError as error:
            self._discard()
            self._give_up(error)
        return torch.empty(*shape, dtype=torch.uint8)

    def save(self, pixels: Tensor, info: Mapping[str, object]) -> PixelArray:
        """Make `pixels` the entry, and return them: the tensor of `allocate`, its first rows, or any other one in memory.
        `info` (JSON): their description."""
        mapped_file = self.description if self._part else None
        described = {"source": self._source, **info, "shape": list(pixels.shape), "digest": digest(pixels)}
        found, text = PixelArray(pixels, described, str(described["digest"]), mapped_file), json.dumps(described)
        if self._is_writable:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                if not self._is_saved(text):
                    self._write(pixels)
                    atomic.write(self.description, [text.encode()])
                cache_entries.tidy(self.folder)
            except (OSError, GancliError) as error:
                self._give_up(error)
            finally:
                self._discard()
        return found

    def save_source(self, source: Dataset) -> Dataset:
        """Make a dataset of square images the entry, as `save` does."""
        info = {"labels": source.labels.tolist(), "class_names": source.class_names, "note": source.note}
        found = self.save(source.images, info)
        return replace(source, mapped_file=found.mapped_file, digest=found.digest)

    def _discard(self) -> None:
        if self._part is not None:
            self._part.discard()
            self._part = None

    def _is_saved(self, text: str) -> bool:
        """Whether another run has decoded the same already. Its file stays: others may have it mapped over a network."""
        try:
            return self.description.read_text("utf-8") == text and self.array.exists()
        except (OSError, ValueError):
            return False

    def _write(self, pixels: Tensor) -> None:
        """Raises `OSError`."""
        header, is_mapped = _header(tuple(pixels.shape)), self._part is not None
        part = self._part = self._part or self._created(pixels.shape)
        part.file.seek(0)
        part.file.write(header)  # as long as that of the allocated shape, of which these may be the first rows
        if not is_mapped:
            part.file.write(pixels.contiguous().numpy().data)
        part.file.flush()
        atomic.sync(part.file.fileno())
        part.put()

    def _created(self, shape: Sequence[int]) -> atomic.Part:
        """Create a temporary file for an array, whose size is reserved on the disk, if necessary by removing old entries.
        Raises `OSError`."""
        part, size = atomic.Part(self.array), len(_header(tuple(shape))) + math.prod(shape)
        try:
            try:
                _reserve(part, size)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                cache_entries.remove_oldest(self.folder, size)
                _reserve(part, size)
        except OSError:
            part.discard()
            raise
        return part

    def _give_up(self, error: OSError | GancliError) -> None:
        """Save nothing, and warn."""
        self._is_writable = False
        problem = os_problem(self.folder, "written", error) if isinstance(error, OSError) else str(error)
        advice = "the images are prepared again each time (--data-root selects another directory)"
        self._emit(Warned(f"{problem}; {advice}"))


def is_too_large(num_bytes: int) -> bool:
    """Return whether a dataset is mapped rather than read: above a quarter of the memory that this process may have."""
    return num_bytes > min([memory.total_bytes(), *memory.limits()]) / 4


def _header(shape: tuple[int, ...]) -> bytes:
    """Return what a `.npy` file of uint8 begins with. Its length is the same for fewer rows."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _reserve(part: atomic.Part, size: int) -> None:
    """Reserve `size` bytes of the disk: on a full one, writing to a map of a hole would kill the process (SIGBUS). Raises
    `OSError`."""
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
