"""Files that are either whole or absent, whatever happens: written beside their target, flushed, then renamed."""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from gancli.errors import GancliError
from gancli.files.lock import try_lock
from gancli.files.temp_names import OLD, PART, parse_temp_name, temp_sibling

Piece = bytes | memoryview
CANNOT = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})  # "there is no such thing here"
CANNOT_FLUSH_DIRECTORY = CANNOT | {errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}  # Windows does not open them
MAY_NOT_RENAME_OVER = CANNOT | {errno.EEXIST, errno.EACCES, errno.EPERM}
PAUSES_S = (0.01, 0.03, 0.1, 0.3, 1.0)  # for a virus scanner or an indexer, which on Windows keep others from renaming
AGE_S = 3600.0  # a file that was not written to for so long has no writer, where the disk has no locks
TRIES = 10


def write(path: Path, pieces: Iterable[Piece], *, durable: bool = True) -> None:
    """Write `path` atomically, with the mode the umask gives; unless `durable` is False it is on disk when this returns.

    The bytes go to a file beside the target, which is fsynced and renamed over it; then the directory is fsynced, where the
    disk can do so. Until it is renamed, on any failure the old file is untouched and the new one is removed. Raises
    `GancliError` naming the file for what the disk refuses (full, read-only, gone).
    """
    try:
        part = Part(path)
        try:
            for piece in pieces:
                part.file.write(piece)
            part.file.flush()
            if durable:
                sync(part.file.fileno())
            part.put()
        finally:
            part.discard()
    except OSError as error:
        raise GancliError(f"{path}: cannot be written ({reason(error)}); what was there is untouched") from error
    if durable:
        try:
            sync_directory(path.parent)
        except OSError as error:
            raise GancliError(
                f"{path}: is written, but {path.parent} cannot be flushed to disk ({reason(error)}): after a power cut "
                "what was there before may be back"
            ) from error


class Part:
    """A temporary file beside its target, open for writing and reading, and locked, so that `sweep` leaves it alone. Raises
    `OSError` where none can be made."""

    def __init__(self, target: Path) -> None:
        self.target = target
        for _ in range(TRIES):
            self.path = temp_sibling(target)
            self.file = self.path.open("xb+")
            # A process that sweeps may have locked it at this moment, and then removes it.
            if try_lock(self.file.fileno()) is not False and self.path.exists():
                return
            self.file.close()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def put(self) -> None:
        """Close it and make it the target. Raises `OSError`, the target being as it was."""
        self.file.close()  # before the renaming: some disks say only here that they are full
        replace(self.path, self.target)

    def discard(self) -> None:
        """Remove it, unless it was `put`."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def check_writable(folder: Path) -> None:
    """Raises `OSError` where no file can be made in `folder`."""
    Part(folder / "probe").discard()


def replace(source: Path, target: Path) -> None:
    """Rename a file over another one. Raises `OSError`, both being as they were.

    Where a disk does not rename over a file, the old one is put aside first: there it can happen that after a kill only
    `sweep` brings it back.
    """
    try:
        _rename_over(source, target)
    except OSError as refused:
        if refused.errno not in MAY_NOT_RENAME_OVER or not target.is_file():
            raise
        aside = temp_sibling(target, OLD)
        try:
            target.rename(aside)
        except OSError:
            raise refused from None
        try:
            source.rename(target)
        except OSError:
            _put_back(aside, target)
            raise refused from None
        with contextlib.suppress(OSError):
            aside.unlink()


def _put_back(aside: Path, target: Path) -> None:
    try:
        aside.rename(target)
    except OSError as error:
        raise GancliError(f"{target}: cannot be replaced ({reason(error)}); what was there is now {aside}") from error


def _rename_over(source: Path, target: Path) -> None:
    for pause_s in PAUSES_S if sys.platform == "win32" else ():
        with contextlib.suppress(PermissionError):
            os.replace(source, target)  # noqa: PTH105 - the call the tests make fail
            return
        time.sleep(pause_s)
    os.replace(source, target)  # noqa: PTH105


def is_removed(file: IO[bytes]) -> bool:
    """Whether an open file has no name any more. One that was renamed has."""
    return os.fstat(file.fileno()).st_nlink == 0


def sync(handle: int) -> None:
    """Have what was written to an open file taken to disk, where the disk knows of that. Raises `OSError`."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in CANNOT:
            raise


def sync_directory(directory: Path) -> None:
    """The same for the names in a directory. Raises `OSError`."""
    try:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH_DIRECTORY:
            raise


def sweep(folder: Path, patience_s: float = 0.0) -> None:
    """Remove the temporary files in `folder` that no process has locked, and that were not written to for `patience_s`
    (locks on some disks reach no further than one machine); where the disk has no locks, for an hour."""
    try:
        found = [(path, name) for path in folder.iterdir() if (name := parse_temp_name(path.name))]
    except OSError:
        return
    for path, name in found:
        whole = folder / name.target
        with contextlib.suppress(OSError):
            if not _is_abandoned(path, patience_s):
                continue
            if name.kind == PART or (name.target and whole.exists()):
                path.unlink()
            elif name.target:
                path.rename(whole)  # its writer was killed before the new file was in its place


def _is_abandoned(path: Path, patience_s: float) -> bool:
    """Whether no process has locked a temporary file, and it is old enough. Raises `OSError`."""
    with path.open("r+b") as file:
        locked = try_lock(file.fileno())
    age_s = abs(time.time() - path.stat().st_mtime)  # the clock of the disk or this one may be wrong
    return locked is not False and age_s >= (patience_s if locked else max(patience_s, AGE_S))
