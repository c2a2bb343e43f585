"""Windows and macOS, as far as Linux can play them: what they lack is taken away from this process.

What is not ours (torch and the like) is imported before, as it knows of the real ones. `windows_holds` adds what Windows
does with open files: they are neither removed nor replaced.
"""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.reliability.faults import away, wrapped

NOT_OURS = (
    *("torch", "torchvision", "torch.fx.experimental.proxy_tensor", "torch._dynamo", "typer.core", "rich.table"),
    *("rich.live", "rich.progress", "safetensors.torch", "PIL.Image"),
)
NOT_ON_WINDOWS = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
SIGNALS_OF_WINDOWS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
CALLS_OF_SIGNAL = (
    "alarm",
    "pause",
    "pthread_kill",
    "pthread_sigmask",
    "setitimer",
    "siginterrupt",
    "sigpending",
    "sigwait",
)
CALLS_OF_OS = (
    *(
        "chown",
        "confstr",
        "ctermid",
        "eventfd",
        "fchdir",
        "fchmod",
        "fchown",
        "fdatasync",
        "fork",
        "forkpty",
        "fpathconf",
    ),
    *("fstatvfs", "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority"),
    *(
        "getresuid",
        "getsid",
        "getuid",
        "killpg",
        "lchown",
        "lockf",
        "major",
        "memfd_create",
        "minor",
        "mkfifo",
        "mknod",
    ),
    *(
        "nice",
        "openpty",
        "pathconf",
        "pidfd_open",
        "posix_fadvise",
        "posix_fallocate",
        "posix_spawn",
        "pread",
        "preadv",
    ),
    *(
        "pwrite",
        "pwritev",
        "register_at_fork",
        "sched_getaffinity",
        "sched_setaffinity",
        "sendfile",
        "setpgid",
        "setsid",
    ),
    *(
        "setuid",
        "splice",
        "statvfs",
        "sync",
        "sysconf",
        "sysconf_names",
        "tcgetpgrp",
        "ttyname",
        "uname",
        "wait",
        "wait3",
    ),
)
FLAGS_OF_OS = ("O_CLOEXEC", "O_DIRECT", "O_DIRECTORY", "O_DSYNC", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "O_TMPFILE")
NOT_ON_MACOS = (
    *("sched_getaffinity", "sched_setaffinity", "posix_fallocate", "posix_fadvise", "memfd_create", "pidfd_open"),
    *("fdatasync", "eventfd", "splice", "O_DIRECT", "O_TMPFILE"),
)


def _without(owner: object, *names: str) -> None:
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)


def _not_ours() -> None:
    for name in NOT_OURS:
        __import__(name)


def windows() -> None:
    """No fcntl, resource, SIGUSR1, SIGHUP, os.sysconf, …; directories cannot be opened."""
    _not_ours()
    sys.modules["msvcrt"] = _msvcrt()
    for module in NOT_ON_WINDOWS:
        sys.modules[module] = None  # type: ignore[assignment]  # importing it fails
    _without(
        signal, *(n for n in dir(signal) if n.startswith("SIG") and n[3:].isalnum() and n not in SIGNALS_OF_WINDOWS)
    )
    _without(signal, *CALLS_OF_SIGNAL)
    _without(os, *CALLS_OF_OS, *FLAGS_OF_OS)

    def of_files(call: Callable[..., int], path: Any, *args: Any, **kwargs: Any) -> int:
        if not isinstance(path, int) and os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return call(path, *args, **kwargs)

    wrapped(os, "open", of_files)


def windows_holds() -> None:
    """As `windows`; and a file that this process has open, or mapped, is neither removed nor replaced."""
    windows()
    readlink, listdir = os.readlink, os.listdir

    def held() -> set[str]:
        found = set()
        for handle in listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                found.add(readlink(f"/proc/self/fd/{handle}"))
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
            return found | {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if line.count(" /")}

    def unless_held(call: Callable[..., None], *paths: Any, **kwargs: Any) -> None:
        open_now = held()
        for path in paths:
            if os.path.realpath(os.fsdecode(path)) in open_now:
                raise PermissionError(errno.EACCES, "The process cannot access the file because it is in use", path)
        call(*paths, **kwargs)

    for name in ("unlink", "remove", "replace", "rename"):
        wrapped(os, name, unless_held)


def _msvcrt() -> ModuleType:
    """Windows's own locks, by those of Linux."""
    import fcntl

    flags = {0: fcntl.LOCK_UN, 1: fcntl.LOCK_EX, 2: fcntl.LOCK_EX | fcntl.LOCK_NB}
    module: Any = ModuleType("msvcrt")
    module.LK_UNLCK, module.LK_LOCK, module.LK_NBLCK = flags
    lockf = fcntl.lockf

    def locking(handle: int, mode: int, num_bytes: int) -> None:
        lockf(handle, flags[mode], num_bytes, os.lseek(handle, 0, os.SEEK_CUR))

    module.locking = locking
    return module  # type: ignore[no-any-return]


def macos() -> None:
    """No affinity, no posix_fallocate, no /proc; sysconf does not know the memory."""
    _not_ours()
    _without(os, *NOT_ON_MACOS)

    def some(call: Callable[..., int], name: Any) -> int:
        if name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"):
            raise ValueError("unrecognized configuration name")
        return call(name)

    wrapped(os, "sysconf", some)
    for place in ("/proc", "/sys"):
        away(place, "ENOENT")
