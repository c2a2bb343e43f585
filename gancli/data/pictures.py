"""What pictures lie in: a folder, a zip; tars (`tars.py`) and Parquet files (`parquet.py`) are others.

They are read in two passes: opening one lists the names, with `/` as of files below a folder; `read` gives the bytes of the
wanted ones, one after the other, in the order in which they lie there. What the names mean is decided elsewhere
(`arrange.py`), except that a container may know labels of its own.
"""

import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from pathlib import Path

from gancli.config.paths import LFS_POINTER, PointerError, open_file
from gancli.data import manifest
from gancli.data.walk import Found, in_zip
from gancli.errors import DataError
from gancli.text import printable

MAX_ENTRIES = 5_000_000
MAX_FILE_BYTES = 1 << 28
MAX_INFLATION = 1032  # times its own size is the most that deflate unpacks to: beyond it, entries share their bytes
# Names, each with its bytes or with what makes them unreadable.
Contents = Generator[tuple[str, bytes | DataError], None, None]


class Pictures(ABC):
    """Pictures by their names, which are the keys of `found.marks`. As a context manager it closes what is open.
    `column`: of the pictures, if `--image-column` names it."""

    column = ""

    def __init__(self, path: Path, found: Found) -> None:
        self.path, self.found = path, found

    @abstractmethod
    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        """Yield each of the named files once, in the order that is fastest here, with its bytes, at most the first `limit`.
        Raises `DataError` where all that follows is lost."""

    @abstractmethod
    def holds(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def where(self, name: str) -> str:
        """A file's name for messages."""
        return printable(f"{self.path}/{name}")

    def notes(self) -> list[str]:
        """What the user should know of it, one line for each kind of thing."""
        return self.found.notes()

    def labels(self, prefix: str) -> manifest.Manifest | None:
        """What a file of labels in the folder `prefix`, or one above it, or the container itself, says of classes; None
        where nothing is said. Raises `DataError` for what is damaged."""
        for own, parsed in manifest.PARSERS.items():
            if not self.holds(name := f"{prefix}{own}"):
                continue
            [(_, text)] = self.read([name], manifest.MAX_BYTES + 1)
            if isinstance(text, DataError):
                raise text
            if len(text) > manifest.MAX_BYTES:
                raise DataError(f"{self.where(name)}: over the limit of {manifest.MAX_BYTES} bytes")
            if (found := parsed(text, self.where(name))) is not None:
                return found
        if not prefix:
            return None
        above, slash, folder = prefix[:-1].rpartition("/")
        outer = self.labels(above + slash)
        return None if outer is None else outer.below(f"{folder}/")

    def content(self, name: str, read: Callable[[], bytes]) -> bytes | DataError:
        """What `read` gives, or the error that names the file."""
        if self.found.marks.get(name, (0, 0))[0] > MAX_FILE_BYTES:
            return DataError(f"{self.where(name)}: over the limit of {MAX_FILE_BYTES} bytes")
        try:
            data = read()
            if data.startswith(LFS_POINTER):
                raise PointerError
            return data
        except Exception as error:  # of a dozen kinds, by what the file is
            return self.unreadable(name, error)

    def unreadable(self, name: str, error: Exception) -> DataError:
        """The error that names the file."""
        return DataError(f"{self.where(name)}: cannot be read ({printable(' '.join(str(error).split()))[:200]})")

    def close(self) -> None:  # noqa: B027 - most have nothing open
        """Close what is open."""

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Folder(Pictures):
    """Files in a folder and below."""

    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        def beginning(name: str) -> bytes:
            with (self.path / name).open("rb") as file:
                return file.read(min(limit, os.fstat(file.fileno()).st_size))

        for name in names:
            yield name, self.content(name, partial(beginning, name))

    def holds(self, name: str) -> bool:
        return (self.path / name).is_file()


class Zip(Pictures):
    """The entries of a zip. Raises `DataError` for what is none, or claims what it cannot hold."""

    def __init__(self, path: Path) -> None:
        try:
            open_file(path).close()  # what is no regular file, or a Git LFS pointer, says so
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(
                f"--dataset {path}: neither a folder nor a zip, tar or Parquet file of images ({error})"
            ) from None
        try:
            infos = self._zip.infolist()
            if len(infos) > MAX_ENTRIES:
                raise DataError(f"--dataset {path}: {len(infos)} entries are over the limit of {MAX_ENTRIES}")
            if sum(info.file_size for info in infos) > MAX_INFLATION * max(1, path.stat().st_size):
                raise DataError(
                    f"--dataset {path}: its entries claim to unpack to more than a zip of its size can hold"
                )
            found, self._members = in_zip(self._zip)
        except DataError:
            self._zip.close()
            raise
        super().__init__(path, found)

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


def labelled(
    own: Mapping[str, int | str], found: Found, prefix: str, place: str, reasons: Mapping[str, str] | None
) -> manifest.Manifest | None:
    """The labels of a container's `own` pictures, by name, below `prefix`; None where there are none, and where everything
    there lies in one folder further down. `place` says where labels stand; given `reasons` why some are missing, none may
    be missing."""
    below = [name[len(prefix) :] for name in found.marks if name.startswith(prefix)]
    heads = {name.partition("/")[0] if "/" in name else "" for name in below}
    labels = {name: own[prefix + name] for name in below if prefix + name in own}
    if not labels or (len(heads) == 1 and "" not in heads):
        return None
    return manifest.Manifest(labels, place=place, whole=reasons is not None, reasons=reasons or {})
