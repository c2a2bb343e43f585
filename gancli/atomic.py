"""Files that are either whole or absent, whatever happens: written beside their target, flushed, then renamed."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from gancli.errors import GancliError

Piece = bytes | memoryview
UNFINISHED = ".*.*.part"  # a file beside its target, of a writer that is at work or was killed


def write(path: Path, pieces: Iterable[Piece], *, durable: bool = True) -> None:
    """Write `path` atomically, with the mode the umask gives; unless `durable` is False it is on disk when this returns.

    The bytes go to a file beside the target, which is fsynced and renamed over it; then the directory is fsynced. On any
    failure the old file is untouched and the new one is removed. Raises `GancliError` naming the file for what the disk
    refuses (full, read-only, gone).
    """
    beside = path.with_name(f".{path.name[-60:]}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(beside, path)  # noqa: PTH105 - the call the tests make fail
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        raise GancliError(f"{path}: cannot be written ({error.strerror}); what was there is untouched") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raises `OSError` where no file can be made in `folder`."""
    probe = folder / f".probe.{os.getpid()}.part"
    probe.open("wb").close()
    probe.unlink()


def sync_directory(directory: Path) -> None:
    """Have the names in a directory taken to disk. Raises `OSError`."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
