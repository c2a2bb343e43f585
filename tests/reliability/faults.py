"""`python -m tests.reliability.faults FAULT... -- ARGS...`: runs `gan ARGS` on a machine that has those faults.

Faults are patched into `os`, `fcntl` and the like, where the code under test looks them up, or set as limits of the process.
What comes after the colons of a fault (`locks:ENOLCK`) are its function's arguments.
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
    *("open", "stat", "lstat", "mkdir", "rmdir", "listdir", "scandir", "unlink", "remove", "utime", "chmod", "access"),
    *("truncate", "readlink", "statvfs", "replace", "rename", "link", "symlink"),
)
DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1, 2, 3  # capabilities of linux/capability.h
CAPABILITY_VERSION_3 = 0x20080522
KILL_POINTS = ("writing", "written", "flushed", "renamed")
NOT_OURS = (
    *("torch", "torchvision", "torch._dynamo", "torch.fx.experimental.proxy_tensor", "safetensors.torch"),
    *("typer.core", "rich.table", "rich.live", "rich.progress", "PIL.Image", "platform", "tarfile", "zipfile"),
)
NOT_ON_WINDOWS = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
SIGNALS_OF_WINDOWS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
OS_OF_LINUX = (
    "sched_getaffinity",
    "sched_setaffinity",
    "posix_fallocate",
    "posix_fadvise",
    "memfd_create",
    "fdatasync",
)
OS_OF_UNIX = (
    "chown", "fork", "fchmod", "fchown", "fstatvfs", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getpgrp",
    "getsid", "getuid", "killpg", "lchown", "lockf", "mkfifo", "nice", "openpty", "pread", "pwrite", "register_at_fork",
    "sendfile", "setpgid", "setsid", "setuid", "statvfs", "sync", "sysconf", "tcgetpgrp", "ttyname", "uname", "wait",
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_SYNC",
)  # fmt: skip


def refusal(name: str, *about: object) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), *about)


def wrapped(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name` by `around(the original, *arguments)`."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def patched(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, patched)


def locks(code: str) -> None:
    """A file system without locks of any kind."""
    import fcntl

    def refuse(*_: Any, **__: Any) -> None:
        raise refusal(code)

    fcntl.lockf = fcntl.flock = refuse


def fsync(code: str, what: str = "all") -> None:
    """`fsync` is refused: of directories, or of all."""

    def some(call: Callable[..., Any], file: Any) -> None:
        handle = file if isinstance(file, int) else file.fileno()
        if what == "all" or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise refusal(code)
        call(file)

    wrapped(os, "fsync", some)


def links() -> None:
    """No hard links."""

    def refuse(_: Any, source: Any, target: Any, **__: Any) -> None:
        raise refusal("EPERM", source, None, target)

    wrapped(os, "link", refuse)


def over(code: str) -> None:
    """Nothing is renamed over a file that is there."""

    def some(call: Callable[..., Any], source: Any, target: Any, **kwargs: Any) -> None:
        if os.path.lexists(target):
            raise refusal(code, source, None, target)
        call(source, target, **kwargs)

    for name in ("replace", "rename"):
        wrapped(os, name, some)


def away(root: str, code: str = "ENOTCONN") -> None:
    """What lay under `root` can no longer be reached: a mount that is gone."""

    def checked(path: Any) -> Any:
        if isinstance(path, str | bytes | os.PathLike):
            whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - this must not ask the file system
            if whole == root or whole.startswith(f"{root}/"):
                raise refusal(code, whole)
        return path

    def around(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        two = call.__name__ in ("replace", "rename", "link", "symlink")
        return call(*map(checked, args[: 2 if two else 1]), *args[2 if two else 1 :], **kwargs)

    for name in filter(functools.partial(hasattr, os), OF_PATHS):
        wrapped(os, name, around)
    wrapped(io, "open", around)
    builtins.open = io.open


def nobody() -> None:
    """No entry in the password file is this user's, or anyone's."""
    import pwd

    def unknown(*about: object) -> None:
        raise KeyError(f"not found: {about[0]}")

    pwd.getpwuid = pwd.getpwnam = unknown  # type: ignore[assignment]


def no_directory() -> None:
    """The working directory is deleted."""
    os.rmdir(os.getcwd())  # noqa: PTH106, PTH109 - it must be the system's own


def clock(seconds: str = "86400") -> None:
    """The clock goes forth and back between any two looks at it."""
    leaps = itertools.cycle((0, int(seconds), -int(seconds)))
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + next(leaps)
    time.time_ns = lambda: now_ns() + 10**9 * next(leaps)


def threads() -> None:
    """No more threads can be started."""
    import _thread
    import threading

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("can't start new thread")

    _thread.start_new_thread = threading._start_new_thread = refuse  # type: ignore[attr-defined, assignment]


def bits() -> None:
    """Permission bits bind, for root too: the capabilities that override them are dropped."""
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
    """Nobody knows how many processors there are."""
    os.cpu_count = lambda: None


def killed(point: str, count: str) -> None:
    """Killed by SIGKILL at a point of writing its `count`-th file: amid it, before or after it is flushed to disk, or
    renamed with its directory not yet flushed."""
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
            if point in ("written", "flushed"):
                wrapped(os, "fsync", dying)
            elif point == "renamed":
                wrapped(os, "replace", dying)
            else:
                pieces = half(pieces)
        return write(path, pieces, **options)

    wrapped(atomic, "write", last)


def macos() -> None:
    """Without what macOS lacks: some calls of `os`, `/proc` and `/sys`. What is not ours is imported before."""
    import fcntl

    readlink, get_path = os.readlink, -1

    def asked(call: Callable[..., Any], handle: int, command: int, *rest: Any) -> Any:
        return os.fsencode(readlink(f"/proc/self/fd/{handle}")) if command == get_path else call(handle, command, *rest)

    fcntl.F_GETPATH = get_path  # type: ignore[attr-defined]  # what it has instead of /proc/self/fd
    wrapped(fcntl, "fcntl", asked)
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
    for name in NOT_OURS:
        __import__(name)
    for name in names:
        if hasattr(os, name):
            delattr(os, name)
    for place in ("/proc", "/sys"):
        away(place, "ENOENT")
    sys.platform = platform


if __name__ == "__main__":
    sys.dont_write_bytecode = (
        True  # where files cannot grow, Python 3.11 leaves cut ones, which no later import can read
    )
    at = sys.argv.index("--")
    for fault in sys.argv[1:at]:
        function, *arguments = fault.split(":")
        globals()[function](*arguments)
    sys.argv = ["gan", *sys.argv[at + 1 :]]
    runpy.run_module("gancli", run_name="__main__", alter_sys=True)
