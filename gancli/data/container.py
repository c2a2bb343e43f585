"""What pictures lie in: a folder, a zip; tars (`shards.py`) and Parquet files (`table.py`) are others.

A container knows names with `/`, as of files below a folder, and gives the bytes of each. What the names mean is not its
business (`arrange.py`), except that it may know labels of its own.
"""

import threading
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from pathlib import Path

from gancli.config.paths import LFS_POINTER, PointerError, open_file
from gancli.data import manifest
from gancli.data.walk import Found, in_zip
from gancli.errors import DataError, printable
from gancli.events import Event

MAX_ENTRIES = 5_000_000
MAX_FILE_BYTES = 1 << 28
MAX_INFLATION = 1032  # times its own size is the most that deflate unpacks to: beyond it, entries share their bytes


class Container(ABC):
    """Pictures by their names, `found.marks`. Reading is safe from several threads. `exact`: whether the marks have the true
    sizes, or an average."""

    exact = True

    def __init__(self, path: Path, found: Found) -> None:
        self.path, self.found = path, found

    @abstractmethod
    def read(self, name: str, num_bytes: int) -> bytes:
        """The first bytes of a file. Raises whatever the file, or a library that reads it, has to say."""

    @abstractmethod
    def holds(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def where(self, name: str) -> str:
        """A file's name for messages."""
        return printable(f"{self.path}/{name}")

    def notes(self) -> list[str]:
        """What the user should know of it, one line for each kind of thing."""
        return self.found.notes()

    def ready(self, room: Path) -> Generator[Event, None, None]:  # noqa: ARG002 - most unpack nothing
        """To be gone through before pictures are read: what cannot be read where it lies is unpacked, in `room` or in
        memory. Raises `DataError`."""
        yield from ()

    def labels(self, prefix: str) -> manifest.Manifest | None:
        """What a file of labels in the folder `prefix`, or one above it, or the container itself, says of classes; None
        where nothing is said. Raises `DataError` for what is damaged."""
        for own, parsed in manifest.PARSERS.items():
            if not self.holds(name := f"{prefix}{own}"):
                continue
            text = self.checked(name, manifest.MAX_BYTES + 1)
            if len(text) > manifest.MAX_BYTES:
                raise DataError(f"{self.where(name)}: over the limit of {manifest.MAX_BYTES} bytes")
            if (found := parsed(text, self.where(name))) is not None:
                return found
        if not prefix:
            return None
        above, slash, folder = prefix[:-1].rpartition("/")
        outer = self.labels(above + slash)
        return None if outer is None else outer.below(f"{folder}/")

    def checked(self, name: str, num_bytes: int) -> bytes:
        """As `read`. Raises `DataError` naming the file."""
        try:
            data = self.read(name, num_bytes)
            if data.startswith(LFS_POINTER):
                raise PointerError
            return data
        except DataError:
            raise
        except Exception as error:  # of a dozen kinds, by what the file is
            raise DataError(
                f"{self.where(name)}: cannot be read ({printable(' '.join(str(error).split()))[:200]})"
            ) from None

    def close(self) -> None:  # noqa: B027 - a folder has nothing open
        """Let go of what is open."""


class Folder(Container):
    """Files in a folder and below."""

    def read(self, name: str, num_bytes: int) -> bytes:
        with (self.path / name).open("rb") as file:
            return file.read(num_bytes)

    def holds(self, name: str) -> bool:
        return (self.path / name).is_file()


class Zip(Container):
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
        self._lock = threading.Lock()

    def read(self, name: str, num_bytes: int) -> bytes:
        with self._lock, self._zip.open(self._members[name]) as entry:
            return entry.read(num_bytes)

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
