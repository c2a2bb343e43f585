"""Windows and macOS, as far as Linux can play them.

Of Windows: the modules, signals and calls of `os` that Python has not there; no `/proc`; `sys.platform`; directories that
cannot be opened; names and last letters that it refuses; renaming over a file only by `os.replace`;
`os.kill`, which ends a process; text files whose encoding nobody said (an error here: there it would be the system's code
page). `windows_holds`: also files that are open or mapped, which are neither removed nor renamed. Of macOS: what it
lacks, no `/proc`, `sys.platform`.

Not simulated: paths with backslashes, drive letters, other line ends, the console's code pages, processes started by
`spawn`. What is not ours (torch, rich, …) is imported before, as it knows of the real ones.
"""

import builtins
import contextlib
import errno
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

from tests.reliability.faults import away, refusal, wrapped

NOT_OURS = (
    *(
        "filelock._soft._exclusive",
        "torch",
        "torchvision",
        "torch.fx.experimental.proxy_tensor",
        "torch._dynamo",
        "typer.core",
        "rich.table",
    ),
    *(
        "rich.live",
        "rich.progress",
        "safetensors.torch",
        "PIL.Image",
        "zipfile",
        "tarfile",
        "urllib.request",
        "platform",
    ),
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
FLAGS_OF_OS = ("O_CLOEXEC", "O_DIRECT", "O_DIRECTORY", "O_DSYNC", "O_NOFOLLOW", "O_SYNC", "O_TMPFILE")
NOT_ON_MACOS = (
    *("sched_getaffinity", "sched_setaffinity", "posix_fallocate", "posix_fadvise", "memfd_create", "pidfd_open"),
    *("fdatasync", "eventfd", "splice", "O_DIRECT", "O_TMPFILE"),
)
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))}
LISTDIR, READLINK, OPEN = os.listdir, os.readlink, builtins.open


def windows() -> None:
    """As Windows is, but for what it does with open files."""
    _not_ours()
    total, used, free = shutil.disk_usage(tempfile.gettempdir())
    shutil.disk_usage = lambda _: SimpleNamespace(total=total, used=used, free=free)  # type: ignore[assignment,return-value]
    for module in NOT_ON_WINDOWS:
        sys.modules[module] = None  # type: ignore[assignment]  # importing it fails
    _without(
        signal, *(n for n in dir(signal) if n.startswith("SIG") and n[3:].isalnum() and n not in SIGNALS_OF_WINDOWS)
    )
    _without(signal, *CALLS_OF_SIGNAL)
    for place in ("/proc", "/sys"):
        away(place, "ENOENT")
    _files_of_windows()
    _without(os, *CALLS_OF_OS, *FLAGS_OF_OS)
    sys.platform = "win32"


def windows_holds() -> None:
    """As `windows`; and a file that this process has open, or mapped, is neither removed nor renamed."""
    windows()

    def unless_held(call: Callable[..., None], *paths: Any, **kwargs: Any) -> None:
        for path in paths:
            if in_use(path):
                raise PermissionError(errno.EACCES, "The process cannot access the file because it is in use", path)
        call(*paths, **kwargs)

    for name in ("unlink", "remove", "replace", "rename"):
        wrapped(os, name, unless_held)


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
    sys.platform = "darwin"


def _without(owner: object, *names: str) -> None:
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)


def _not_ours() -> None:
    for name in NOT_OURS:
        __import__(name)


def check_name(path: object) -> None:
    """Raises what Windows does for a name that it does not take."""
    if isinstance(path, str | PurePath):
        for part in PurePath(path).parts[1:]:
            odd = any(letter in '<>:"|?*' or ord(letter) < 32 for letter in part) or part[-1] in ". "
            if (odd and part != "..") or part.split(".")[0].upper() in DEVICES:
                raise refusal("EINVAL", str(path))


def in_use(path: object) -> bool:
    """Whether this process has a file open or mapped."""
    wanted = os.path.realpath(os.fspath(path))  # type: ignore[call-overload]
    with contextlib.suppress(OSError):
        for handle in LISTDIR("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if READLINK(f"/proc/self/fd/{handle}") == wanted:
                    return True
    with OPEN("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        return any(line.rstrip("\n").endswith(f" {wanted}") for line in maps)


def ours() -> bool:
    """Whether a file is being opened by `gancli`, perhaps through `pathlib`."""
    frame, seen = sys._getframe(2), 0
    while frame is not None and seen < 4:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == "gancli":
            return True
        frame, seen = frame.f_back, seen + 1  # type: ignore[assignment]
    return False


def _files_of_windows() -> None:
    def opened(call: Callable[..., Any], path: Any, mode: str = "r", buffering: int = -1, encoding: Any = None,
               *rest: Any, **more: Any) -> Any:  # fmt: skip
        if ours():
            assert "b" in mode or encoding not in (None, "locale"), f"{path}: opened as text, and nobody said in what"
        if any(letter in mode for letter in "wax+"):
            check_name(path)
        return call(path, mode, buffering, encoding, *rest, **more)

    def handle(call: Callable[..., int], path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if not isinstance(path, int) and os.path.isdir(path):  # noqa: PTH112
            raise refusal("EACCES", path)
        if flags & os.O_CREAT:
            check_name(path)
        return call(path, flags, *rest, **more)

    def moved(call: Callable[..., None], source: Any, target: Any, **more: Any) -> None:
        check_name(target)
        call(source, target, **more)

    def renamed(call: Callable[..., None], source: Any, target: Any, **more: Any) -> None:
        if os.path.exists(target):  # noqa: PTH110
            raise refusal("EEXIST", target)
        moved(call, source, target, **more)

    def made(call: Callable[..., None], path: Any, *rest: Any, **more: Any) -> None:
        check_name(path)
        call(path, *rest, **more)

    def killed(_: Callable[..., None], number: int, which: int) -> None:
        raise AssertionError(f"os.kill({number}, {which}) would end that process on Windows")

    wrapped(io, "open", opened)
    builtins.open = io.open
    for name, around in (("open", handle), ("replace", moved), ("rename", renamed), ("mkdir", made), ("kill", killed)):
        wrapped(os, name, around)
