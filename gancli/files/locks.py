"""One writer at a time: a lock file held by the kernel, or, where a disk has no locks, by what stands in the file."""

import contextlib
import enum
import errno
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gancli.errors import GancliError
from gancli.files import system
from gancli.files.owner import Owner, beside, this_process

fcntl, msvcrt = system.module("fcntl"), system.module("msvcrt")  # not on Windows; only there
FAR = 1 << 30  # bytes; where Windows locks one byte: what is locked cannot be read by others
TRIES = 10
SETTLE_S = 0.1  # in which others that took over the same stale lock file have put theirs in its place
PATIENCE_S = 1.0  # for a file that was just made to be written


class Outcome(enum.Enum):
    HELD, TAKEN, NO_LOCKS = range(3)


def try_lock(handle: int) -> Outcome:
    """Lock an open file for this process as long as the file is open, without waiting.

    Whatever a disk answers but "another has it" (ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL, …; EACCES, which some say for either)
    means that its locks tell nothing.
    """
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Outcome.HELD
        if msvcrt is not None:
            return _try_lock_on_windows(handle)
    except OSError as error:
        return Outcome.TAKEN if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK) else Outcome.NO_LOCKS
    return Outcome.NO_LOCKS


def _try_lock_on_windows(handle: int) -> Outcome:
    here = os.lseek(handle, 0, os.SEEK_CUR)
    os.lseek(handle, FAR, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        return Outcome.TAKEN if error.errno in (errno.EACCES, errno.EDEADLK) else Outcome.NO_LOCKS
    finally:
        os.lseek(handle, here, os.SEEK_SET)
    return Outcome.HELD


@dataclass(frozen=True)
class Record:
    """What stands in a lock file. `by_kernel`: its writer held it by a lock, which ends with the process."""

    owner: Owner
    host: str
    by_kernel: bool
    token: str

    def dump(self) -> bytes:
        mine = {"machine": self.owner.machine, "pid": self.owner.pid, "started": self.owner.started}
        return json.dumps({**mine, "host": self.host, "by_kernel": self.by_kernel, "token": self.token}).encode()


def _parsed(content: bytes) -> Record | None:
    try:
        read = json.loads(content)
        owner = Owner(str(read.get("machine", "")), int(read["pid"]), int(read.get("started", 0)))
        host = str(read["host"])[:100]
        return Record(owner, host, bool(read.get("by_kernel", True)), str(read.get("token", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[str]:
    """Hold the lock file `path`, in the directory that it is for, against every other process. Gives what to warn of, or
    "". What a process that was killed left is taken over.

    Raises `GancliError` with the other's host and id, and the way out, or that says why the file cannot be used.
    """
    record, handle = _acquired(path)
    try:
        yield (
            ""
            if record.by_kernel
            else (f"{path.parent}: this disk has no file locks; what stands in {path.name} keeps a second run out")
        )
    finally:
        _release(path, record, handle)


def _acquired(path: Path) -> tuple[Record, int]:
    """The record as it stands in the file now; the handle that holds the lock, or -1 where the file alone does."""
    for _ in range(TRIES):
        try:
            handle, made = _opened(path)
        except OSError as error:
            if not (isinstance(error, FileNotFoundError) and path.parent.is_dir()):  # else its owner has just ended
                _give_way_if_foreign(path, error)
            continue
        outcome = try_lock(handle)
        if outcome is Outcome.NO_LOCKS and not made:
            os.close(handle)
            _give_way(path)
            continue
        there = None if made else _waited_for(path) if outcome is Outcome.TAKEN else _parsed(_read(handle))
        alive = outcome is Outcome.HELD and there is not None and not there.by_kernel and not there.owner.has_ended()
        if outcome is Outcome.TAKEN or alive:
            os.close(handle)
            raise _refusal(path, there, by_kernel=not alive)
        mine = Record(this_process(), socket.gethostname(), outcome is Outcome.HELD, secrets.token_hex(8))
        _write(path, handle, mine, made)
        if outcome is Outcome.NO_LOCKS:
            os.close(handle)
            handle = -1
            time.sleep(SETTLE_S)
        if (found := _peek(path)) is not None and found.token == mine.token:
            return mine, handle
        if handle >= 0:
            os.close(handle)  # another removed the file before it was locked
    raise GancliError(f"{path.parent}: another run has just begun or ended there; try again")


def _opened(path: Path) -> tuple[int, bool]:
    """A handle of the lock file, and whether it was made just now. Raises `OSError`."""
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, flags), False


def _read(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 2000)


def _peek(path: Path) -> Record | None:
    try:
        return _parsed(path.read_bytes()[:2000])
    except OSError:
        return None


def holder(path: Path) -> Record | None:
    """Who holds the lock file `path`; None where nobody does who runs, as far as can be told. Looks only: of a process that
    is not of this machine it asks for an instant whether its lock still holds."""
    there = _peek(path)
    if there is None or (ended := there.owner.has_ended()):
        return None
    if ended is None and there.by_kernel:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if try_lock(file.fileno()) is Outcome.HELD:
                return None
    return there


def named(there: Record | None) -> str:
    """`pid 12 on host`."""
    return "its owner is not known" if there is None else f"pid {there.owner.pid} on {there.host}"


def _waited_for(path: Path) -> Record | None:
    """What stands in a file that was perhaps made just now."""
    until = time.monotonic() + PATIENCE_S
    while (there := _peek(path)) is None and path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    return there


def _write(path: Path, handle: int, record: Record, made: bool) -> None:
    try:
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        rest = record.dump()
        while rest:  # what takes only a part says at the next try why
            rest = rest[os.write(handle, rest) :]
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(handle)
        raise GancliError(f"{path}: cannot be written ({error.strerror})") from error


def _release(path: Path, record: Record, handle: int) -> None:
    if handle >= 0 and sys.platform == "win32":
        os.close(handle)  # an open file cannot be removed there
        handle = -1
    with contextlib.suppress(OSError):
        if (found := _peek(path)) is not None and found.token == record.token:
            path.unlink()
    if handle >= 0:
        os.close(handle)


def _give_way_if_foreign(path: Path, error: OSError) -> None:
    """Where the file is there and not ours to write, what stands in it counts. Raises `GancliError`."""
    if error.errno not in (errno.EACCES, errno.EPERM) or not path.is_file():
        raise GancliError(
            f"{path}: cannot be opened ({error.strerror}): a run goes on only in a directory that it may write to; "
            "copy it, or give --resume RUN --out ANOTHER"
        ) from error
    _give_way(path)


def _give_way(path: Path) -> None:
    """Take a lock file of one that has ended out of the way. Raises `GancliError` unless that is certain."""
    there = _waited_for(path)
    if there is None and not path.exists():
        return
    if there is None or not there.owner.has_ended():
        raise _refusal(path, there, by_kernel=False)
    aside = beside(path, "part")
    try:
        path.rename(aside)
        moved = _peek(aside)
        if moved is None or moved.token == there.token:
            aside.unlink()
        else:
            aside.replace(path)  # another took it over meanwhile, and it is that one's
    except FileNotFoundError:
        return  # another took it out of the way
    except OSError as error:
        raise GancliError(
            f"{path}: is left of a run that has ended ({named(there)}) and cannot be removed ({error.strerror})"
        ) from error


def _refusal(path: Path, there: Record | None, by_kernel: bool) -> GancliError:
    way_out = "wait for it to end, or give another --out" if by_kernel else f"if it has ended, delete {path}"
    return GancliError(f"{path.parent}: another run is writing there ({named(there)}); {way_out}")
