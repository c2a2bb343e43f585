"""Decoded data sets, kept: one raw uint8 file and a small description beside it. Never trusted, rebuilt if odd."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli import atomic
from gancli.errors import GancliError

VERSION = 1


@dataclass(frozen=True)
class Cached:
    """A decoded data set. `mapped`: the images are a map of the file."""

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    mapped: bool


class Cache:
    """The place of one decoded data set, for one content and image size."""

    def __init__(self, data_root: Path, stem: str, content: object) -> None:
        key = hashlib.sha256(json.dumps([VERSION, content]).encode()).hexdigest()[:20]
        self.pixels = data_root / "cache" / f"{stem}-{key}.u8"
        self.description = self.pixels.with_suffix(".json")
        self._beside = self.pixels.with_name(f".{self.pixels.name}.{os.getpid()}.part")

    def load(self) -> Cached | None:
        """The data set, if it is there and whole."""
        try:
            found = json.loads(self.description.read_text("utf-8"))
            shape, labels, names = found["shape"], found["labels"], found["class_names"]
            count = shape[0] * shape[1] * shape[2] * shape[3]
            if self.pixels.stat().st_size != count or len(labels) != shape[0]:
                return None
            mapped = too_large(count)
            if mapped:
                flat = torch.from_file(str(self.pixels), shared=False, size=count, dtype=torch.uint8)
            else:
                flat = torch.frombuffer(bytearray(self.pixels.read_bytes()), dtype=torch.uint8)
            return Cached(flat.view(shape), torch.tensor(labels, dtype=torch.int64), tuple(names), mapped)
        except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError):
            return None  # not there, or damaged: it is made again

    def create(self, shape: Sequence[int]) -> Tensor:
        """Room to decode into, on disk: uint8 of `shape`. Raises `OSError` where there is none."""
        self.pixels.parent.mkdir(parents=True, exist_ok=True)
        count = shape[0] * shape[1] * shape[2] * shape[3]
        with self._beside.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, count)
        return torch.from_file(str(self._beside), shared=True, size=count, dtype=torch.uint8).view(*shape)

    def commit(self, images: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
        """Make what was decoded into `create`'s tensor the data set. `images` may be its first rows. Raises `OSError`."""
        with self._beside.open("r+b") as file:
            file.truncate(images.numel())
            os.fsync(file.fileno())
        self._beside.replace(self.pixels)
        text = json.dumps({"shape": list(images.shape), "labels": labels.tolist(), "class_names": list(class_names)})
        try:
            atomic.write(self.description, [text.encode()])
        except GancliError as error:
            raise OSError(str(error)) from error

    def discard(self) -> None:
        """Remove what `create` made and `commit` did not take."""
        self._beside.unlink(missing_ok=True)


def too_large(num_bytes: int) -> bool:
    """Whether a data set is mapped rather than read: above a quarter of this machine's memory."""
    return num_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4
