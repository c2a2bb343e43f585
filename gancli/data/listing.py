"""The images in a folder or zip, in a stable order, with their classes."""

import contextlib
import threading
import zipfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from gancli.data import manifest
from gancli.data.arrange import Arranger
from gancli.data.names import Split
from gancli.data.walk import Found, Mark, in_zip, walked
from gancli.errors import DataError, printable
from gancli.events import Event

MAX_ENTRIES = 5_000_000
MAX_FILE_BYTES = 1 << 28
MAX_INFLATION = 1032  # times its own size is the most that deflate unpacks to: beyond it, entries share their bytes
OnBad = Literal["fail", "skip"]


@dataclass(frozen=True)
class Entry:
    """One image file: its name relative to the folder or zip, its class (0 without classes), and what marks a change."""

    name: str
    label: int
    mark: Mark


class Listing:
    """The image files of a folder or zip; made by `listed`. As a context manager it closes the zip.

    `notes`: what the user should know about it, a line for each kind of thing.
    """

    def __init__(
        self, path: Path, archive: zipfile.ZipFile | None, found: Found, split: Split, with_classes: bool
    ) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._zip, self._members = archive, found.members
        arranger = Arranger(printable(f"--dataset {path}"), found, cache(self._manifest))
        arranged = arranger.arrange(split, with_classes)
        self.class_names = arranged.class_names
        self.notes = (*found.notes(), *arranged.notes)
        self.entries = [Entry(name, label, found.marks[name]) for name, label in arranged.labels.items()]

    def where(self, entry: Entry) -> str:
        """The file's name for messages."""
        return self._where(entry.name)

    def _where(self, name: str) -> str:
        return printable(f"{self.path}/{name}")

    def read(self, entry: Entry, limit: int | None = None) -> bytes:
        """The bytes of a file, or its first `limit`. Safe to call from several threads. Raises `DataError` naming it."""
        size = entry.mark[0]
        if size > MAX_FILE_BYTES:
            raise DataError(f"{self.where(entry)}: over the limit of {MAX_FILE_BYTES} bytes")
        return self._read(entry.name, min(size, limit or size))

    def _read(self, name: str, num_bytes: int) -> bytes:
        try:
            with contextlib.ExitStack() as held:
                if self._zip is None:
                    return held.enter_context((self.path / name).open("rb")).read(num_bytes)
                held.enter_context(self._lock)
                return held.enter_context(self._zip.open(self._members[name])).read(num_bytes)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
            raise DataError(f"{self._where(name)}: cannot be read ({' '.join(str(error).split())})") from None

    def _manifest(self, prefix: str) -> manifest.Manifest | None:
        """What the `dataset.json` of a folder says; None where there is none. Raises `DataError` for a damaged one."""
        name = f"{prefix}{manifest.NAME}"
        if name not in self._members if self._zip is not None else not (self.path / name).is_file():
            return None
        text = self._read(name, manifest.MAX_BYTES + 1)
        if len(text) > manifest.MAX_BYTES:
            raise DataError(f"{self._where(name)}: over the limit of {manifest.MAX_BYTES} bytes")
        return manifest.parsed(text, self._where(name))

    def __enter__(self) -> "Listing":
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()


def listed(
    path: Path, split: Split, on_bad: OnBad = "fail", with_classes: bool = True
) -> Generator[Event, None, Listing]:
    """List a folder or zip. `arrange.Arranger` says what its subfolders mean.

    Raises `DataError` for what is neither, holds no images of the split, or cannot be listed; with `on_bad` "skip" a
    subfolder that cannot be is passed over.
    """
    if path.is_dir():
        archive, found = None, (yield from walked(path, on_bad == "skip"))
    else:
        archive, found = _opened_zip(path)
    try:
        if not found.marks:
            more = "".join(f"; {note}" for note in found.notes())
            raise DataError(
                f"--dataset {path}: holds no images (.png .jpg .webp .bmp .gif .tif, also in subfolders){more}"
            )
        return Listing(path, archive, found, split, with_classes)
    except DataError:
        if archive is not None:
            archive.close()
        raise


def _opened_zip(path: Path) -> tuple[zipfile.ZipFile, Found]:
    if not path.is_file():
        raise DataError(f"--dataset {path}: neither a folder nor a zip of images (it is no regular file)")
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"--dataset {path}: neither a folder nor a zip of images ({error})") from None
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        archive.close()
        raise DataError(f"--dataset {path}: {len(infos)} entries are over the limit of {MAX_ENTRIES}")
    if sum(info.file_size for info in infos) > MAX_INFLATION * max(1, path.stat().st_size):
        archive.close()
        raise DataError(f"--dataset {path}: its entries claim to unpack to more than a zip of its size can hold")
    return archive, in_zip(archive)
