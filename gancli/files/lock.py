"""Allow one writer at a time in a directory, by a lock of the kernel, or a marker file where the disk has no locks.

Next to the lock file `NAME`, `NAME.json` names the process that holds it, for messages. The marker file is `NAME.soft`.
"""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout, lock_descriptor

from gancli.errors import GancliError, os_problem

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})
PATIENCE_S = 0.5  # to wait for another process that is ending, or that only checks whether the lock is held


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock. `by_kernel`: whether the kernel releases it when the process ends."""

    pid: int
    host: str
    by_kernel: bool

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[str]:
    """Hold the lock file `path` against all other processes, and yield a warning or "".

    The lock of a process that was killed is free; where the disk has no locks, only if that process ran on this host. Raises
    `GancliError` that names the process that holds the lock, or says why the file cannot be used.
    """
    try:
        locks = _acquired(path)
    except Timeout as taken:
        raise _refusal(path, Path(taken.lock_file)) from None
    except OSError as error:
        raise GancliError(
            f"{os_problem(path, 'opened', error)}; to resume a run from a read-only directory, copy it or give "
            "--resume RUN --out ANOTHER"
        ) from error
    by_kernel = path == Path(locks[0].lock_file)
    mine = Holder(os.getpid(), socket.gethostname()[:100], by_kernel)
    warning = f"{path.parent}: this disk has no file locks; the file {path.name}.soft keeps other runs out instead"
    try:
        try:
            _holder_file(path).write_text(json.dumps(asdict(mine)), "utf-8")
        except OSError as error:
            raise GancliError(os_problem(_holder_file(path), "written", error)) from error
        yield "" if by_kernel else warning
    finally:
        # Removed while the lock is held, which a process that waits for it notices. In a directory that replaced this one
        # they belong to another run.
        if locks[0].is_locked and _read_holder(path) in (mine, None):
            for file in (_holder_file(path), path):
                with contextlib.suppress(OSError):
                    file.unlink()
        for lock in locks:
            lock.release()


def holder(path: Path) -> Holder | None:
    """Return the process that holds the lock file `path`, or None. If the lock cannot be opened, its `.json` file counts."""
    found = _read_holder(path)
    return None if found is None or _is_free(path, found) else found


def try_lock(handle: int) -> bool | None:
    """Lock an open file until it is closed, without waiting. Returns False if another process has locked it, and None if the
    disk has no locks."""
    try:
        return lock_descriptor(handle, blocking=False)
    except OSError:
        return None


def _acquired(path: Path) -> list[BaseFileLock]:
    """Acquire the kernel's lock, the marker file, or both, and return them. Raises `Timeout` if another process holds one,
    and `OSError`."""
    kernel = FileLock(path, PATIENCE_S, thread_local=False, fallback_to_soft=False)
    marker = SoftFileLock(_marker(path), PATIENCE_S, thread_local=False)
    try:
        kernel.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        marker.acquire()
        if (other := _read_holder(path)) is not None and other.by_kernel:  # on a host where this disk has locks
            marker.release()
            raise Timeout(str(_holder_file(path))) from None
        return [marker]
    if not _marker(path).exists():
        return [kernel]
    try:
        marker.acquire()
    except OSError:
        kernel.release()
        raise
    return [kernel, marker]


def _is_free(path: Path, holder: Holder) -> bool:
    try:
        if not holder.by_kernel:
            with SoftFileLock(_marker(path), 0):
                return True
        with path.open("r+b" if os.access(path, os.W_OK) else "rb") as file:
            return lock_descriptor(file.fileno(), blocking=False)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.soft")


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_holder(path: Path) -> Holder | None:
    try:
        found = json.loads(_holder_file(path).read_bytes())
        return Holder(int(found["pid"]), str(found["host"])[:100], bool(found["by_kernel"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _refusal(path: Path, taken: Path) -> GancliError:
    remedy = "wait for it to end, or give another --out" if taken == path else f"if it has ended, delete {taken}"
    who = _read_holder(path) or "unknown process"
    return GancliError(f"{path.parent}: another run is writing there ({who}); {remedy}")
