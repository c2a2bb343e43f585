"""The images in a folder, a zip, tars or Parquet files, in a stable order, with their classes."""

import zipfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from gancli.config.paths import open_file
from gancli.data import patterns, shards
from gancli.data.arrange import Arranger
from gancli.data.container import MAX_FILE_BYTES, Container, Folder, Zip
from gancli.data.names import Split
from gancli.data.tar import BLOCK
from gancli.data.walk import Mark, walked
from gancli.errors import DataError, printable
from gancli.events import Event

OnBad = Literal["fail", "skip"]


@dataclass(frozen=True)
class Entry:
    """One image file: its name relative to the folder or zip, its class (0 without classes), and what marks a change."""

    name: str
    label: int
    mark: Mark


class Listing:
    """The image files of a container; made by `listed`. As a context manager it closes that.

    `notes`: what the user should know about it, a line for each kind of thing.
    """

    def __init__(self, container: Container, split: Split, with_classes: bool) -> None:
        self.path, self._container, found = container.path, container, container.found
        arranger = Arranger(printable(f"--dataset {self.path}"), found, cache(container.labels))
        arranged = arranger.arrange(split, with_classes)
        self.class_names = arranged.class_names
        self.notes = (*container.notes(), *arranged.notes)
        self.entries = [Entry(name, label, found.marks[name]) for name, label in arranged.labels.items()]

    def where(self, entry: Entry) -> str:
        """The file's name for messages."""
        return self._container.where(entry.name)

    def ready(self, room: Path) -> Generator[Event, None, None]:
        """To be gone through before the first is read; see `Container.ready`."""
        return self._container.ready(room)

    def read(self, entry: Entry, limit: int | None = None) -> bytes:
        """The bytes of a file, or its first `limit`. Safe to call from several threads. Raises `DataError` naming it."""
        size = entry.mark[0]
        if size > MAX_FILE_BYTES:
            raise DataError(f"{self.where(entry)}: over the limit of {MAX_FILE_BYTES} bytes")
        most = size if self._container.exact else MAX_FILE_BYTES
        return self._container.checked(entry.name, min(most, limit or most))

    def __enter__(self) -> "Listing":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


def listed(
    path: Path, split: Split, on_bad: OnBad = "fail", with_classes: bool = True
) -> Generator[Event, None, Listing]:
    """List a folder, a zip, or what `patterns` says. `arrange.Arranger` says what its subfolders mean.

    Raises `DataError` for what is none of them, holds no images of the split, or cannot be listed; with `on_bad` "skip" a
    subfolder that cannot be, or what follows on damage in a tar, is passed over.
    """
    container = yield from opened(path, on_bad == "skip")
    try:
        if not container.found.marks:
            more = "".join(f"; {note}" for note in container.notes())
            raise DataError(
                f"--dataset {path}: holds no images (.png .jpg .webp .bmp .gif .tif, also in subfolders){more}"
            )
        return Listing(container, split, with_classes)
    except DataError:
        container.close()
        raise


def opened(path: Path, skip: bool = False) -> Generator[Event, None, Container]:
    """What pictures lie in, to be closed by whoever has it. Raises `DataError` as `listed` does."""
    if path.is_dir():
        found = yield from walked(path, skip)
        if found.marks or not found.archives:
            return Folder(path, found)
        return (yield from _of_several(path, [path / name for name in found.archives], skip))
    if not path.exists() and (files := patterns.matching(path)):
        return (yield from _of_several(path, files, skip))
    if not path.is_file():
        raise DataError(
            f"--dataset {path}: neither a folder nor a zip, tar or Parquet file of images (it is no regular file)"
        )
    if (kind := patterns.kind_of(path.name) or _kind_inside(path)) is None:
        return Zip(path)
    return (yield from _of_kind(kind, path, [path], skip))


def _of_several(path: Path, files: Sequence[Path], skip: bool) -> Generator[Event, None, Container]:
    return (yield from _of_kind(patterns.only_kind(str(path), files), path, files, skip))


def _of_kind(kind: patterns.Kind, path: Path, files: Sequence[Path], skip: bool) -> Generator[Event, None, Container]:
    if kind == "tar":
        return (yield from shards.open_shards(path, files, skip))
    from gancli.data import table

    return (yield from table.open_table(path, files, skip))


def _kind_inside(path: Path) -> patterns.Kind | None:
    """What a file is whose name does not tell, by its first bytes; None: perhaps a zip."""
    try:
        with open_file(path) as file:
            head = file.read(BLOCK)
    except OSError:
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    return "tar" if head[257:262] == b"ustar" and not zipfile.is_zipfile(path) else None
