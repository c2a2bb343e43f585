"""Whole pictures by their names, out of a folder, a zip, a tar or a Parquet file."""

import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gancli.config.paths import read_file
from gancli.data import listing
from gancli.data.container import MAX_FILE_BYTES, Container
from gancli.data.formats import is_image, is_other_picture
from gancli.data.names import source_names
from gancli.data.walk import Found
from gancli.errors import DataError, UsageError, did_you_mean
from gancli.events import Event


@dataclass(frozen=True)
class Album:
    """`names`: of the pictures, with `/` for folders. `read` gives the bytes of one, or raises `DataError`; `where` what it
    is called in messages. `notes`: what the user should know. To be closed."""

    names: Sequence[str]
    read: Callable[[str], bytes]
    where: Callable[[str], str]
    notes: Sequence[str] = ()
    close: Callable[[], None] = lambda: None

    def below(self, prefix: str) -> "Album":
        """The part of it in a folder."""
        return replace(self, names=[name for name in self.names if name.startswith(prefix)])


def opened(path: Path, flag: str) -> Generator[Event, None, Album]:
    """Open a folder, whose subfolders are passed over, or an archive, with all that lies in it, named by an option. Raises
    `DataError` for what is neither, and `UsageError` for the name of a data set."""
    if path.is_dir():
        return _folder(path)
    if not path.exists() and not path.is_symlink():
        if str(path) in source_names():
            raise UsageError(
                f"{flag} {path}: is a data set with a name; a folder, zip or tar of pictures is wanted here"
            )
        raise DataError(f"{flag} {path}: does not exist{did_you_mean(path.name, _neighbours(path))}")
    return (yield from archive(path, flag))


def archive(path: Path, flag: str) -> Generator[Event, None, Album]:
    """Open an archive named by an option, with all that lies in it. Raises `DataError`."""
    container: Container | None = None
    try:
        container = yield from listing.opened(path)
        yield from container.ready(Path(tempfile.gettempdir()))
    except BaseException as error:
        if container is not None:
            container.close()
        if isinstance(error, DataError):
            words, _, _ = str(error).removeprefix("--dataset ").partition("; --on-bad-image")
            raise DataError(f"{flag} {words}") from error
        raise
    marks = container.found.marks

    def read(name: str) -> bytes:
        size = marks[name][0] if container.exact else MAX_FILE_BYTES
        if size > MAX_FILE_BYTES:
            raise DataError(f"{container.where(name)}: over the limit of {MAX_FILE_BYTES} bytes")
        return container.checked(name, size)

    return Album(sorted(marks), read, container.where, container.notes(), container.close)


def _folder(path: Path) -> Album:
    try:
        files = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    except OSError as error:
        raise DataError(f"{path}: cannot be listed ({error.strerror})") from None

    def read(name: str) -> bytes:
        try:
            return read_file(path / name)
        except OSError as error:
            raise DataError(f"{path / name}: cannot be read ({error.strerror})") from None

    notes = Found(others=[name for name in files if is_other_picture(name)]).notes()
    return Album([name for name in files if is_image(name)], read, lambda name: str(path / name), notes)


def _neighbours(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []
