"""Images in a folder or a zip, by name; `tars.py` and `parquet.py` have those in tars and in Parquet files.

They are read in two passes: opening a container lists the names, with `/` as of files below a folder; `read` yields the
bytes of the chosen ones, in the order in which they are stored. `layout.py` finds their classes and splits.
"""

import contextlib
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path

from gancli.config.paths import LFS_POINTER, PointerError, open_file
from gancli.data import label_files
from gancli.data.label_files import Labels
from gancli.data.options import Selection
from gancli.data.walk import FolderListing, Mark, name_in_archive, sort_files
from gancli.errors import DataError
from gancli.text import printable

MAX_ENTRIES = 5_000_000
MAX_FILE_BYTES = 1 << 28
MAX_INFLATION = 1032  # times its own size is the most that deflate unpacks to: beyond it, entries share their bytes
UTF8_NAME = 0x800
# Names, each with its bytes or with the error that names the unreadable file.
Contents = Generator[tuple[str, bytes | DataError], None, None]


class ImageFiles(ABC):
    """Images by their names, which are the keys of `found.marks`. A context manager that closes what is open.

    `own_labels`: labels that the container has besides label files, or None. `column`: of the images, if `--image-column`
    names it.
    """

    own_labels: Labels | None = None
    column = ""

    def __init__(self, path: Path, found: FolderListing) -> None:
        self.path, self.found = path, found
        self._label_files: dict[str, Labels | None] = {}

    @abstractmethod
    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        """Yield each of the named files once, in the fastest order, with at most its first `limit` bytes. Raises
        `DataError` if all that follows is lost."""

    @abstractmethod
    def holds(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def check_columns(self, selection: Selection) -> None:
        """Raises `UsageError` if a column is given, and this has none."""
        selection.reject_columns(str(self.path))

    def where(self, name: str) -> str:
        """Return a file's name for messages."""
        return printable(f"{self.path}/{name}")

    def notes(self) -> list[str]:
        """Return messages to the user, one for each kind."""
        return self.found.notes()

    def labels(self, prefix: str) -> Labels | None:
        """Return the labels of the images in the folder `prefix` ("" or "a/b/"): those that the container has, or of the
        label file in this folder or the nearest one above. Raises `DataError` for a damaged file."""
        if self.own_labels is not None:
            return self.own_labels.below(prefix)
        folder = prefix
        while True:
            if folder not in self._label_files:
                self._label_files[folder] = self._read_label_file(folder)
            found = self._label_files[folder]
            if not folder or found is not None:
                return None if found is None else found.below(prefix[len(folder) :])
            folder = folder[: folder[:-1].rfind("/") + 1]

    def _read_label_file(self, folder: str) -> Labels | None:
        for name in label_files.LABEL_FILES:
            if not self.holds(path := f"{folder}{name}"):
                continue
            [(_, text)] = self.read([path], label_files.MAX_FILE_BYTES + 1)
            if isinstance(text, DataError):
                raise text
            if len(text) > label_files.MAX_FILE_BYTES:
                raise DataError(f"{self.where(path)}: over the limit of {label_files.MAX_FILE_BYTES} bytes")
            if (found := label_files.read_label_file(text, self.where(path))) is not None:
                return found
        return None

    def content(self, name: str, read: Callable[[], bytes]) -> bytes | DataError:
        """Return the result of `read`, or the error that names the file."""
        if self.found.marks.get(name, (0, 0))[0] > MAX_FILE_BYTES:
            return DataError(f"{self.where(name)}: over the limit of {MAX_FILE_BYTES} bytes")
        try:
            data = read()
            if data.startswith(LFS_POINTER):
                raise PointerError
            return data
        except Exception as error:  # of a dozen kinds, depending on the file
            return self.unreadable(name, error)

    def unreadable(self, name: str, error: Exception) -> DataError:
        """Return the error that names the file."""
        return DataError(f"{self.where(name)}: cannot be read ({printable(' '.join(str(error).split()))[:200]})")

    def close(self) -> None:  # noqa: B027 - most have nothing open
        """Close what is open."""

    def __enter__(self) -> "ImageFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ImageFolder(ImageFiles):
    """Files in a folder and below."""

    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        def beginning(name: str) -> bytes:
            with (self.path / name).open("rb") as file:
                return file.read(min(limit, os.fstat(file.fileno()).st_size))

        for name in names:
            yield name, self.content(name, partial(beginning, name))

    def holds(self, name: str) -> bool:
        return (self.path / name).is_file()


class ImageZip(ImageFiles):
    """The entries of a zip. Raises `DataError` for a file that is not a zip, or that claims more than it can contain."""

    def __init__(self, path: Path) -> None:
        try:
            open_file(path).close()  # the error of a pipe, a device or a Git LFS pointer
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(
                f"--dataset {path}: neither a folder nor a zip, tar or Parquet file of images ({error})"
            ) from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        super().__init__(path, FolderListing())
        try:
            self._list()
        except DataError:
            self._zip.close()
            raise

    def _list(self) -> None:
        """List the entries. Of entries with one name the last counts, as in unpacking."""
        infos = self._zip.infolist()
        if len(infos) > MAX_ENTRIES:
            raise DataError(f"--dataset {self.path}: {len(infos)} entries are over the limit of {MAX_ENTRIES}")
        if sum(info.file_size for info in infos) > MAX_INFLATION * max(1, self.path.stat().st_size):
            raise DataError(f"--dataset {self.path}: its entries claim more bytes than a zip of its size can contain")
        from_windows = not any("/" in info.filename for info in infos)
        folders = set[str]()
        for info in infos:
            raw = _entry_name(info).replace("\\", "/" if from_windows else "\\")
            if (name := name_in_archive(raw)) is None:
                self.found.odd.append(raw)
            elif raw.endswith("/"):
                folders.add(name)
            else:
                self.found.duplicates += [name] if name in self._members else []
                self._members[name] = info
        marks: dict[str, Mark] = {n: (info.file_size, info.CRC) for n, info in sorted(self._members.items())}
        sort_files(self.found, marks, folders)

    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        def beginning(info: zipfile.ZipInfo) -> bytes:
            with self._zip.open(info) as entry:
                return entry.read(min(limit, info.file_size))

        for name in sorted(names, key=lambda name: self._members[name].header_offset):
            yield name, self.content(name, partial(beginning, self._members[name]))

    def holds(self, name: str) -> bool:
        return name in self._members

    def close(self) -> None:
        self._zip.close()


def _entry_name(info: zipfile.ZipInfo) -> str:
    """Return an entry's name. Old ones are in code page 437, but macOS writes UTF-8 without saying so."""
    if not info.flag_bits & UTF8_NAME:
        with contextlib.suppress(UnicodeError):
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename
