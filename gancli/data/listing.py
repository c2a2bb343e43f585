"""The images in a folder or zip, in a stable order, with the classes that its subfolders are."""

import contextlib
import os
import stat
import threading
import zipfile
import zlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gancli.data.decode import is_image
from gancli.data.names import Split
from gancli.data.pace import Pace
from gancli.errors import DataError, printable
from gancli.events import Event, Preparing

MAX_ENTRIES = 5_000_000
MAX_FILE_BYTES = 1 << 28
MAX_INFLATION = 1032  # times its own size is the most that deflate unpacks to: beyond it, entries share their bytes
Marks = Mapping[str, tuple[int, int]]
SPLIT_FOLDERS: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}


@dataclass(frozen=True)
class Entry:
    """One image file: its name relative to the folder or zip, its class (0 without classes), and what marks a change."""

    name: str
    label: int
    mark: tuple[int, int]  # size in bytes; mtime in ns, or the CRC in a zip


class Listing:
    """The image files of a folder or zip; made by `listed`. As a context manager it closes the zip."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None, marks: Marks, split: Split) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._zip = archive
        prefix, self.class_names = arranged(marks, split)
        order = {name: index for index, name in enumerate(self.class_names)}
        self.entries = [
            Entry(name, order.get(name[len(prefix) :].split("/")[0], 0), marks[name])
            for name in sorted(marks)
            if name.startswith(prefix)
        ]

    def where(self, entry: Entry) -> str:
        """The file's name for messages."""
        return printable(f"{self.path}/{entry.name}")

    def read(self, entry: Entry, limit: int | None = None) -> bytes:
        """The bytes of a file, or its first `limit`. Safe to call from several threads. Raises `DataError` naming it."""
        size = entry.mark[0]
        if size > MAX_FILE_BYTES:
            raise DataError(f"{self.where(entry)}: over the limit of {MAX_FILE_BYTES} bytes")
        try:
            with contextlib.ExitStack() as held:
                if self._zip is None:
                    file = held.enter_context((self.path / entry.name).open("rb"))
                    return file.read(min(size, limit or size))
                held.enter_context(self._lock)
                member = held.enter_context(self._zip.open(entry.name))
                return member.read(min(size, limit or size))
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
            raise DataError(f"{self.where(entry)}: cannot be read ({' '.join(str(error).split())})") from None

    def __enter__(self) -> "Listing":
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()


def listed(path: Path, split: Split) -> Generator[Event, None, Listing]:
    """List a folder or zip. Raises `DataError` for what is neither, or cannot be listed."""
    if path.is_dir():
        marks = yield from _folder_files(path)
        return Listing(path, None, marks, split)
    if not path.is_file():
        raise DataError(f"--dataset {path}: neither a folder nor a zip of images (it is no regular file)")
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"--dataset {path}: neither a folder nor a zip of images ({error})") from None
    found = archive.infolist()
    if len(found) > MAX_ENTRIES:
        archive.close()
        raise DataError(f"--dataset {path}: {len(found)} entries are over the limit of {MAX_ENTRIES}")
    if sum(e.file_size for e in found) > MAX_INFLATION * max(1, path.stat().st_size):
        archive.close()
        raise DataError(f"--dataset {path}: its entries claim to unpack to more than a zip of its size can hold")
    marks = {e.filename: (e.file_size, e.CRC) for e in found if not e.is_dir() and is_image(e.filename)}
    return Listing(path, archive, marks, split)


def arranged(marks: Marks, split: Split) -> tuple[str, tuple[str, ...]]:
    """Where the images of `split` lie and what their classes are: a common prefix of names, and class names.

    Folders that hold everything are passed over (a zip of one folder). `train` beside `test` (or `val`) are splits, not
    classes; a folder without them is its own test split. Then subfolders are classes, if every image lies in one.
    """
    prefix = _descended("", marks)
    tops = _tops(prefix, marks)
    known = [folder for folders in SPLIT_FOLDERS.values() for folder in folders]
    if tops and {top.lower() for top in tops} <= set(known) and any(t.lower() in SPLIT_FOLDERS["train"] for t in tops):
        folders = [top for each in (split, "train") for top in sorted(tops) if top.lower() in SPLIT_FOLDERS[each]]
        prefix = _descended(f"{prefix}{folders[0]}/", marks)
        tops = _tops(prefix, marks)
    return prefix, tuple(sorted(tops))


def _tops(prefix: str, marks: Marks) -> set[str]:
    """The folders that all images below `prefix` lie in; none if some image lies in none."""
    rests = [name[len(prefix) :] for name in marks if name.startswith(prefix)]
    return {rest.split("/")[0] for rest in rests} if all("/" in rest for rest in rests) else set()


def _descended(prefix: str, marks: Marks) -> str:
    while len(tops := _tops(prefix, marks)) == 1:
        prefix = f"{prefix}{tops.pop()}/"
    return prefix


def _folder_files(root: Path) -> Generator[Event, None, dict[str, tuple[int, int]]]:
    """Size and mtime of every image below `root`. Links to folders are followed, each folder is visited once."""
    found: dict[str, tuple[int, int]] = {}
    visited: set[tuple[int, int]] = set()
    pace, todo = Pace(), [""]
    while todo:
        folder = todo.pop()
        try:
            here = (root / folder).stat()
            if (here.st_dev, here.st_ino) in visited:
                continue
            visited.add((here.st_dev, here.st_ino))
            with os.scandir(root / folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            raise DataError(f"{root / folder}: cannot be listed ({error.strerror})") from None
        for entry in inside:
            with contextlib.suppress(OSError):  # a dangling link, or a file removed meanwhile, is none
                facts = entry.stat()
                if stat.S_ISDIR(facts.st_mode) and not entry.name.startswith((".", "__MACOSX")):
                    todo.append(f"{folder}{entry.name}/")
                elif stat.S_ISREG(facts.st_mode) and is_image(entry.name):
                    found[f"{folder}{entry.name}"] = (facts.st_size, facts.st_mtime_ns)
            if pace.due():
                yield Preparing(f"listing {root.name}", len(found), 0, "images")
    return found
