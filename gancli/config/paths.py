"""Paths as people write them: `~` is a home directory, in every option that takes a path."""

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
    """Where data sets lie, and what to warn of once, or `""`."""

    path: Path
    note: str


def expanded(path: str | Path, flag: str) -> Path:
    """`path` with `~` and `~user` replaced by that home. Raises `UsageError` naming `flag` where there is no such home, and
    for an empty path, which mostly is a shell's variable that was never set, and would be the working directory."""
    if not str(path):
        raise UsageError(f"{flag}: is empty; a path is wanted (the working directory is .)")
    try:
        return _with_home(Path(path))
    except RuntimeError:
        user = str(path).partition("/")[0][1:]
        if user:
            reason = f"there is no user {user} here; a folder of that name is ./{path}"
        else:
            reason = "no home directory is known, HOME is not set; write the path out"
        raise UsageError(f"{flag} {path}: {reason}") from None


def _with_home(path: Path) -> Path:
    """`path` with its `~` replaced. Raises `RuntimeError` where there is no such home, an empty HOME included, which Python
    takes for the root of the disk."""
    if path.parts[:1] == ("~",) and os.environ.get("HOME") == "":
        raise RuntimeError("HOME is empty")
    return path.expanduser()


def check_standing() -> None:
    """Raises `GancliError` where the working directory was removed: MKL, in torch, would end the process at its first word,
    in words of its own."""
    try:
        Path.cwd()
    except OSError:
        raise GancliError("the working directory is gone; cd to one that exists") from None


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to read. Raises `OSError` for what is none: a pipe may be silent for ever, a device endless; and
    for a Git LFS pointer."""
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
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


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
    """To be asked before the work whose result goes to `path`. Raises `UsageError` for a pipe, a socket or a device, whose
    place a file would take, and `GancliError` where nothing can be written."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UsageError(f"{flag} {path}: is there, and no regular file; give another name, or - for stdout")
    folder = path if path.is_dir() else path.parent
    if folder.is_dir() and not os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise GancliError(f"{flag} {path}: cannot be written, as nothing can in {folder}")


def is_there(path: Path) -> bool:
    """Whether there is anything of that name, a link that leads nowhere too."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def free(stem: str, suffix: str) -> Path:
    """`samples.png`, or `samples-2.png`, …: a name that the user did not choose replaces nothing."""
    path, number = Path(stem + suffix), 1
    while is_there(path):
        number += 1
        path = Path(f"{stem}-{number}{suffix}")
    return path


def data_root(path: str | Path) -> DataRoot:
    """Where data sets lie. The default one has a place even where nobody has a home (a container with a user id of its
    own): XDG_CACHE_HOME, else a folder for temporary files that belongs to this user alone. Raises `UsageError`."""
    if str(path) != DATA_ROOT or _home_is_known():
        return DataRoot(expanded(path, "--data-root"), "")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if Path(cache).is_absolute():
        return DataRoot(Path(cache, "gancli"), "")
    why = "no home directory is known, HOME is not set"
    place = _temporary()
    if place is None:
        raise UsageError(f"--data-root: {why}; say with it, or with GAN_DATA, where data sets may lie")
    return DataRoot(place, f"{why}: data sets lie in {place}; --data-root or GAN_DATA says where else")


def _home_is_known() -> bool:
    try:
        _with_home(Path("~"))
    except RuntimeError:
        return False
    return True


def _temporary() -> Path | None:
    """A folder that nobody else writes to, though anybody may have made one of its name before; None if there is none."""
    try:
        place = Path(tempfile.gettempdir(), f"gancli-{os.getuid()}" if hasattr(os, "getuid") else "gancli")
        place.mkdir(mode=0o700, exist_ok=True)
        facts = place.lstat()
    except OSError:
        return None
    mine = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    return place if mine and stat.S_ISDIR(facts.st_mode) and not facts.st_mode & 0o022 else None
