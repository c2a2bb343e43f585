"""`python -m tests.reliability.faults FAULT... -- ARGS...`: runs `gan ARGS` on a machine with these faults.

A fault is a function of this file, with its arguments after colons (`locks:ENOLCK`). Faults are patched into `os`, `fcntl`
and the like, where the code under test looks them up, or set as limits of the process.
"""

import builtins
import ctypes
import errno
import functools
import importlib
import io
import itertools
import os
import resource
import runpy
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

OF_PATHS = (
    "open", "stat", "lstat", "mkdir", "rmdir", "listdir", "scandir", "unlink", "remove", "utime", "chmod", "access",
    "truncate", "readlink", "statvfs", "replace", "rename", "link", "symlink",
)  # fmt: skip
OF_TWO_PATHS = ("replace", "rename", "link", "symlink")
DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1, 2, 3  # capabilities of linux/capability.h
CAPABILITY_VERSION_3 = 0x20080522
KILL_POINTS = ("writing", "written", "flushed", "renamed")
NOT_OURS = (
    "torch", "torchvision", "torch._dynamo", "torch.fx.experimental.proxy_tensor", "safetensors.torch", "typer.core",
    "rich.table", "rich.live", "rich.progress", "PIL.Image", "platform", "tarfile", "zipfile",
)  # fmt: skip
NOT_ON_WINDOWS = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
SIGNALS_OF_WINDOWS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
OS_OF_LINUX = (
    "sched_getaffinity", "sched_setaffinity", "posix_fallocate", "posix_fadvise", "memfd_create", "fdatasync",
)  # fmt: skip
OS_OF_UNIX = (
    "chown", "fork", "fchmod", "fchown", "fstatvfs", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getpgrp",
    "getsid", "getuid", "killpg", "lchown", "lockf", "mkfifo", "nice", "openpty", "pread", "pwrite", "register_at_fork",
    "sendfile", "setpgid", "setsid", "setuid", "statvfs", "sync", "sysconf", "tcgetpgrp", "ttyname", "uname", "wait",
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_SYNC",
)  # fmt: skip


def os_error(name: str, *paths: object) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), *paths)


def refusing(error: Exception) -> Callable[..., Any]:
    """A function that raises this error, whatever it is given."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name` by `around(the original, *arguments)`."""
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(functools.partial(around, original)))


def locks(code: str) -> None:
    """A file system without locks of any kind."""
    import fcntl

    fcntl.lockf = fcntl.flock = refusing(os_error(code))


def fsync(code: str, what: str = "all") -> None:
    """`fsync` is refused: of directories, or of all."""

    def around(call: Callable[..., Any], file: Any) -> None:
        handle = file if isinstance(file, int) else file.fileno()
        if what == "all" or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise os_error(code)
        call(file)

    wrap(os, "fsync", around)


def links() -> None:
    """No hard links."""
    os.link = refusing(os_error("EPERM"))


def over(code: str) -> None:
    """Nothing is renamed over an existing file."""

    def around(call: Callable[..., Any], source: Any, target: Any, **kwargs: Any) -> None:
        if os.path.lexists(target):
            raise os_error(code, source, None, target)
        call(source, target, **kwargs)

    for name in ("replace", "rename"):
        wrap(os, name, around)


def away(root: str, code: str = "ENOTCONN") -> None:
    """What is under `root` can no longer be reached: a mount that is gone."""

    def checked(path: Any) -> Any:
        if isinstance(path, str | bytes | os.PathLike):
            whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - this must not ask the file system
            if whole == root or whole.startswith(f"{root}/"):
                raise os_error(code, whole)
        return path

    def around(count: int, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return call(*map(checked, args[:count]), *args[count:], **kwargs)

    for name in filter(functools.partial(hasattr, os), OF_PATHS):
        wrap(os, name, functools.partial(around, 2 if name in OF_TWO_PATHS else 1))
    wrap(io, "open", functools.partial(around, 1))
    builtins.open = io.open


def nobody() -> None:
    """The password file has no entry for this user, or anyone."""
    import pwd

    pwd.getpwuid = pwd.getpwnam = refusing(KeyError("not found"))


def no_directory() -> None:
    """The working directory is deleted."""
    os.rmdir(os.getcwd())  # noqa: PTH106, PTH109 - it must be the system's own


def clock(seconds: str = "86400") -> None:
    """The clock jumps forth and back each time it is read."""
    leaps = itertools.cycle((0, int(seconds), -int(seconds)))
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + next(leaps)
    time.time_ns = lambda: now_ns() + 10**9 * next(leaps)


def threads() -> None:
    """No more threads can be started."""
    import _thread
    import threading

    refuse = refusing(RuntimeError("can't start new thread"))
    _thread.start_new_thread = threading._start_new_thread = refuse  # type: ignore[attr-defined]


def bits() -> None:
    """Permission bits bind root, too: the capabilities that override them are dropped."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then their upper halves
    assert libc.capget(header, data) == 0
    for index in range(3):
        data[index] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH | 1 << FOWNER)
    assert libc.capset(header, data) == 0


def limit(name: str, value: str) -> None:
    """A resource limit."""
    kind = getattr(resource, f"RLIMIT_{name}")
    resource.setrlimit(kind, (int(value), resource.getrlimit(kind)[1]))


def umask(octal: str) -> None:
    os.umask(int(octal, 8))


def cpus() -> None:
    """The number of processors is unknown."""
    os.cpu_count = lambda: None


def killed(point: str, count: str) -> None:
    """Killed by SIGKILL when it writes its `count`-th file: amid it, before or after it is synced to disk, or renamed before
    its directory is synced."""
    from gancli.files import atomic

    calls = itertools.count(1)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def dying(call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if point in ("flushed", "renamed"):
            call(*args, **kwargs)
        die()

    def half(pieces: Iterable[Any]) -> Iterator[Any]:
        for piece in pieces:
            yield piece[: len(piece) // 2]
            die()

    def last(write: Callable[..., Any], path: Any, pieces: Any, **options: Any) -> Any:
        if next(calls) == int(count):
            if point == "writing":
                pieces = half(pieces)
            else:
                wrap(os, "replace" if point == "renamed" else "fsync", dying)
        return write(path, pieces, **options)

    wrap(atomic, "write", last)


def macos() -> None:
    """Without what macOS lacks: some calls of `os`, `/proc` and `/sys`."""
    import fcntl

    readlink, get_path = os.readlink, -1

    def around(call: Callable[..., Any], handle: int, command: int, *rest: Any) -> Any:
        return os.fsencode(readlink(f"/proc/self/fd/{handle}")) if command == get_path else call(handle, command, *rest)

    fcntl.F_GETPATH = get_path  # type: ignore[attr-defined]  # what it has instead of /proc/self/fd
    wrap(fcntl, "fcntl", around)
    _without(OS_OF_LINUX, "darwin")


def windows() -> None:
    """Without what Windows lacks, too: modules, signals and locks. Paths, code pages and held files are not simulated."""
    importlib.import_module("gancli.files.lock")  # what filelock imports when it is first used differs on Windows
    usage = shutil.disk_usage("/")
    shutil.disk_usage = lambda path: usage  # noqa: ARG005
    _without((*OS_OF_LINUX, *OS_OF_UNIX), "win32")
    for name in NOT_ON_WINDOWS:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    signals = {name for name in dir(signal) if name.startswith("SIG") and name[3:].isalnum()}
    for name in signals - {*SIGNALS_OF_WINDOWS}:
        delattr(signal, name)


def _without(names: Iterable[str], platform: str) -> None:
    """Removes these names of `os`, `/proc` and `/sys`, once what is not ours is imported."""
    for name in NOT_OURS:
        importlib.import_module(name)
    for name in filter(functools.partial(hasattr, os), names):
        delattr(os, name)
    for place in ("/proc", "/sys"):
        away(place, "ENOENT")
    sys.platform = platform


if __name__ == "__main__":
    sys.dont_write_bytecode = True  # where files cannot grow, Python 3.11 leaves cut ones that no later import can read
    at = sys.argv.index("--")
    for fault in sys.argv[1:at]:
        function, *arguments = fault.split(":")
        globals()[function](*arguments)
    sys.argv = ["gan", *sys.argv[at + 1 :]]
    runpy.run_module("gancli", run_name="__main__", alter_sys=True)
