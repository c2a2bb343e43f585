"""Paths in options (`~` is a home directory), regular files to read, and the folder of datasets."""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gancli.config.run import DATA_ROOT
from gancli.errors import GancliError, UsageError, os_problem

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
MAX_POINTER_BYTES = 1024  # of which pointers have fewer


class PointerError(OSError):
    """A Git LFS pointer where a file should be: the repository was cloned without the files' contents."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "a Git LFS pointer, not the file itself; run `git lfs pull` in its repository")

    def __str__(self) -> str:
        return str(self.strerror)


class DataRoot(NamedTuple):
    """The folder of datasets, and a note about it, or `""`."""

    path: Path
    note: str


def expanded(path: str | Path, flag: str) -> Path:
    """`path` with `~` and `~user` replaced by that home. Raises `UsageError` naming `flag` if there is no such home, or if
    the path is empty, as from an unset variable of the shell."""
    if not str(path):
        raise UsageError(f"{flag}: is empty; give a path (the working directory is .)")
    try:
        return _with_home(Path(path))
    except RuntimeError:
        user = str(path).partition("/")[0][1:]
        if user:
            reason = f"no user {user}; for a folder of that name write ./{path}"
        else:
            reason = "no home directory is known, HOME is not set; write the whole path"
        raise UsageError(f"{flag} {path}: {reason}") from None


def _with_home(path: Path) -> Path:
    """`path` with its `~` replaced. Raises `RuntimeError` if there is no such home, or if HOME is empty."""
    if path.parts[:1] == ("~",) and os.environ.get("HOME") == "":
        raise RuntimeError("HOME is empty")
    return path.expanduser()


def check_working_directory() -> None:
    """Raises `GancliError` if the working directory was removed. MKL would abort the process with its own message."""
    try:
        Path.cwd()
    except OSError:
        raise GancliError("the working directory is gone; cd to one that exists") from None


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read. Raises `OSError` for a pipe or device, which might never end, and for a Git LFS
    pointer."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = (facts := os.fstat(descriptor)).st_mode
    if stat.S_ISREG(mode):
        file = os.fdopen(descriptor, "rb")
        if facts.st_size < MAX_POINTER_BYTES and file.peek(len(LFS_POINTER)).startswith(LFS_POINTER):
            file.close()
            raise PointerError
        return file
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_file(path: Path) -> bytes:
    """All of a regular file. Raises `OSError`."""
    with open_file(path) as file:
        return file.read()


def input_file(path: str | Path, flag: str) -> Path:
    """An expanded path to read from. Raises `UsageError` for a pipe or device."""
    place = expanded(path, flag)
    try:
        with open_file(place):
            return place
    except OSError as error:
        raise UsageError(os_problem(f"{flag} {path}", "read", error)) from None


def check_output(path: Path, flag: str) -> None:
    """Check before any work that a file can be written at `path`. Raises `UsageError` for a pipe, socket or device, and
    `GancliError` for a folder without write permission."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UsageError(f"{flag} {path}: exists and is not a regular file; give another name, or - for stdout")
    folder = path if path.is_dir() else path.parent
    if folder.is_dir() and not os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise GancliError(f"{flag} {path}: cannot be written (no write permission in {folder})")


def is_there(path: Path) -> bool:
    """Whether `path` exists, also as a broken link."""
    return os.path.lexists(path)


def free_name(stem: str, suffix: str) -> Path:
    """The first free name among `samples.png`, `samples-2.png`, …, so that a default name replaces nothing."""
    path, number = Path(stem + suffix), 1
    while os.path.lexists(path):
        number += 1
        path = Path(f"{stem}-{number}{suffix}")
    return path


def data_root(path: str | Path) -> DataRoot:
    """The folder of datasets. For the default one of a user without a home (in a container with any user id) it is in
    XDG_CACHE_HOME, else a temporary folder that belongs to this user alone. Raises `UsageError`."""
    if str(path) != DATA_ROOT:
        return DataRoot(expanded(path, "--data-root"), "")
    with contextlib.suppress(RuntimeError):
        return DataRoot(_with_home(Path(path)), "")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if Path(cache).is_absolute():
        return DataRoot(Path(cache, "gancli"), "")
    why = "no home directory is known, HOME is not set"
    place = _temporary()
    if place is None:
        raise UsageError(f"--data-root: {why}; give a folder for datasets with it or with GAN_DATA")
    return DataRoot(place, f"{why}: datasets are stored in {place}; --data-root or GAN_DATA changes that")


def _temporary() -> Path | None:
    """A temporary folder that only this user can write to; None if there is none, as somebody else may have made it."""
    try:
        place = Path(tempfile.gettempdir(), f"gancli-{os.getuid()}" if hasattr(os, "getuid") else "gancli")
        place.mkdir(mode=0o700, exist_ok=True)
        facts = place.lstat()
    except OSError:
        return None
    mine = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    return place if mine and stat.S_ISDIR(facts.st_mode) and not facts.st_mode & 0o022 else None
