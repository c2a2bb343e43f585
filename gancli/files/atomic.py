"""Write files that are either whole or absent: next to their target, under a temporary name, then flushed and renamed.

A temporary file is hidden, locked while it is written, and called `.TARGET.RANDOM.part`.
"""

import contextlib
import errno
import os
import re
import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

from gancli.errors import GancliError, os_problem
from gancli.files.lock import try_lock

Piece = bytes | memoryview
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
UNSUPPORTED_FOR_FOLDERS = UNSUPPORTED | {
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
}  # Windows opens no folders
CANNOT_REPLACE = UNSUPPORTED | {errno.EEXIST, errno.EACCES, errno.EPERM}
PAUSES_S = (0.01, 0.03, 0.1, 0.3, 1.0)  # on Windows, for a virus scanner or an indexer to close the target
AGE_S = 3600.0  # a file that was last written to so long ago has no writer, where the disk has no locks
TRIES = 10
PART, OLD = "part", "old"  # a file that is being written; one that is being replaced
LONGEST_NAME = 255  # bytes, on most disks
SHORT_NAME = 80  # bytes that any disk allows: a temporary name is at most as long, or as long as its target's
CUT = "~"  # ends the target's name in a temporary name where it was too long
TEMP_NAME = re.compile(rf"\.(.*)\.[0-9a-f-]{{16,}}\.({PART}|{OLD})", re.DOTALL)


def write(path: Path, pieces: Iterable[Piece], *, durable: bool = True) -> None:
    """Write `path` atomically, with the mode that the umask gives. If `durable`, it is on disk when this returns.

    If anything fails before the new file is renamed, the old one stays and the new one is removed. Raises `GancliError`
    naming the file if the disk is full, read-only or gone.
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
        raise GancliError(f"{os_problem(path, 'written', error)}; the old file, if any, is unchanged") from error
    if durable:
        try:
            sync_directory(path.parent)
        except OSError as error:
            raise GancliError(
                f"{path}: is written, but {path.parent} cannot be flushed to disk ({reason(error)}): after a power failure "
                "the old file may be there again"
            ) from error


class Part:
    """A temporary file next to `target`, open for writing and reading, and locked against `sweep`. Raises `OSError`."""

    def __init__(self, target: Path) -> None:
        self.target = target
        for _ in range(TRIES):
            self.path = temp_sibling(target)
            self.file = self.path.open("xb+")
            # A process that sweeps may have locked it just now, and then removes it.
            if try_lock(self.file.fileno()) is not False and self.path.exists():
                return
            self.file.close()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def put(self) -> None:
        """Close the file and rename it to the target. Raises `OSError`, and then leaves the target as it was."""
        self.file.close()  # before the renaming: some disks report only now that they are full
        replace(self.path, self.target)

    def discard(self) -> None:
        """Remove the file, unless it was `put`."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def check_writable(folder: Path) -> None:
    """Raises `OSError` if no file can be made in `folder`."""
    Part(folder / "probe").discard()


def replace(source: Path, target: Path) -> None:
    """Rename a file over another one. Raises `OSError`, and then leaves both as they were.

    If the disk cannot rename over a file, the old one is renamed first. A kill between the two leaves the old one for
    `sweep` to restore.
    """
    try:
        _rename_over(source, target)
    except OSError as refused:
        if refused.errno not in CANNOT_REPLACE or not target.is_file():
            raise
        old = temp_sibling(target, OLD)
        try:
            target.rename(old)
            source.rename(target)
        except OSError:
            _restore(old, target)
            raise refused from None
        with contextlib.suppress(OSError):
            old.unlink()


def _restore(old: Path, target: Path) -> None:
    try:
        if old.exists():
            old.rename(target)
    except OSError as error:
        raise GancliError(f"{os_problem(target, 'replaced', error)}; the old file is {old} now") from error


def _rename_over(source: Path, target: Path) -> None:
    for pause_s in PAUSES_S if sys.platform == "win32" else ():
        with contextlib.suppress(PermissionError):
            os.replace(source, target)  # noqa: PTH105 - the call the tests make fail
            return
        time.sleep(pause_s)
    os.replace(source, target)  # noqa: PTH105


def is_removed(file: IO[bytes]) -> bool:
    """Whether an open file was removed (not only renamed)."""
    return os.fstat(file.fileno()).st_nlink == 0


def sync(handle: int) -> None:
    """Flush an open file to disk, if the disk supports that. Raises `OSError`."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def sync_directory(directory: Path) -> None:
    """Flush the names in a directory to disk, if the disk supports that. Raises `OSError`."""
    try:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED_FOR_FOLDERS:
            raise


def sweep(folder: Path, patience_s: float = 0.0) -> None:
    """Remove the temporary files in `folder` of writers that have ended: those that are not locked and were not written to
    for `patience_s` (a lock may be unknown on other machines), or for an hour where the disk has no locks."""
    try:
        found = [(path, name) for path in folder.iterdir() if (name := parse_temp_name(path.name))]
    except OSError:
        return
    for path, name in found:
        target = folder / name.target
        with contextlib.suppress(OSError):
            if not _is_abandoned(path, patience_s):
                continue
            if name.kind == PART or (name.target and target.exists()):
                path.unlink()
            elif name.target:
                path.rename(target)  # its writer was killed before the new file was renamed


def _is_abandoned(path: Path, patience_s: float) -> bool:
    """Whether no process has locked a temporary file, and it is old enough. Raises `OSError`."""
    with path.open("r+b") as file:
        locked = try_lock(file.fileno())
    age_s = abs(time.time() - path.stat().st_mtime)  # the disk's clock or this machine's may be wrong
    return locked is not False and age_s >= (patience_s if locked else max(patience_s, AGE_S))


class TempName(NamedTuple):
    """The parts of a temporary name. `target`: the name of its target, or "" if that was cut."""

    target: str
    kind: str


def temp_sibling(target: Path, kind: str = PART) -> Path:
    """Return a new path for a temporary file in the folder of `target`."""
    tail = f".{secrets.token_hex(8)}.{kind}"
    max_bytes = min(LONGEST_NAME, max(SHORT_NAME, len(os.fsencode(target.name)))) - len(tail) - 1
    stem = target.name
    if len(os.fsencode(stem)) > max_bytes:
        stem = stem[: max_bytes - 1]
        while len(os.fsencode(stem)) >= max_bytes:  # cut between two characters: some disks refuse half of one
            stem = stem[:-1]
        stem += CUT
    return target.with_name(f".{stem}{tail}")


def parse_temp_name(name: str) -> TempName | None:
    """Return the parts of a name that `temp_sibling` made, or None for any other name."""
    if (found := TEMP_NAME.fullmatch(name)) is None:
        return None
    target, kind = found.groups()
    return TempName("" if target.endswith(CUT) else target, kind)
