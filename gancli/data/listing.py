"""The images in a folder or zip, in a stable order, with the classes that its subfolders are."""

import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType

from gancli.data.decode import is_image
from gancli.errors import DataError

MAX_ENTRIES = 5_000_000
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class Entry:
    """One image file: its name relative to the folder or zip, its class (0 without classes), and what marks a change."""

    name: str
    label: int
    mark: tuple[int, int]  # size in bytes; mtime in ns, or the CRC in a zip


class Listing:
    """The image files of a folder or zip. As a context manager it closes the zip."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._zip = None if path.is_dir() else _open_zip(path)
        found = _zip_files(path, self._zip) if self._zip else _folder_files(path)
        names = sorted(found)
        tops = {PurePosixPath(name).parts[0] for name in names if len(PurePosixPath(name).parts) > 1}
        self.class_names = tuple(sorted(tops)) if tops and all("/" in name for name in names) else ()
        order = {name: index for index, name in enumerate(self.class_names)}
        self.entries: Sequence[Entry] = [
            Entry(name, order.get(PurePosixPath(name).parts[0], 0), found[name]) for name in names
        ]

    def read(self, entry: Entry) -> bytes:
        """The bytes of a file. Safe to call from several threads. Raises `DataError` naming it."""
        where = f"{self.path}/{entry.name}"
        if entry.mark[0] > MAX_FILE_BYTES:
            raise DataError(f"{where}: over the limit of {MAX_FILE_BYTES} bytes")
        try:
            if self._zip is None:
                return (self.path / entry.name).read_bytes()
            with self._lock:
                return self._zip.read(entry.name)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise DataError(f"{where}: cannot be read ({error})") from None
        except Exception as error:
            if type(error).__name__ != "error":  # zlib.error
                raise
            raise DataError(f"{where}: cannot be unpacked ({error})") from None

    def __enter__(self) -> "Listing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zip is not None:
            self._zip.close()


def _folder_files(path: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for file in path.rglob("*"):
        name = file.relative_to(path)
        if is_image(name) and file.is_file():
            stat = file.stat()
            found[name.as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return found


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"--dataset {path}: neither a folder nor a zip of images ({error})") from None


def _zip_files(path: Path, opened: zipfile.ZipFile) -> dict[str, tuple[int, int]]:
    entries = opened.infolist()
    if len(entries) > MAX_ENTRIES:
        raise DataError(f"--dataset {path}: {len(entries)} entries are over the limit of {MAX_ENTRIES}")
    return {e.filename: (e.file_size, e.CRC) for e in entries if not e.is_dir() and is_image(e.filename)}
