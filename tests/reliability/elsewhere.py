"""`python -m tests.reliability.elsewhere windows|bare|macos < COMMANDS`: `gan` where there is no Linux, as far as it can be
had on one.

COMMANDS is a JSON list of command lines; each runs in this process, one after the other. One that begins with `ctrl-c N` is
interrupted in its N-th stretch of steps; one with `beside DIR` runs while another run holds that directory. stdout gets a
JSON list of their exit codes and what they wrote.

Simulated of Windows: the modules, signals and calls of `os` that Python has not there; `sys.platform`; directories that
cannot be opened; names and last letters that it refuses; files that are open or mapped being neither removed nor renamed;
renaming over a file only by `os.replace`; its one kind of lock; text files whose encoding nobody said (an error here: there
it would be the system's code page). `bare` has no locks either. Of macOS: what it lacks, no `/proc`, `sys.platform`.

Not simulated: paths with backslashes, drive letters, other line ends, the console's code pages, processes started by
`spawn`. What is not ours (torch, rich, …) is imported before, as it knows of the real ones.
"""

import builtins
import contextlib
import errno
import io
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from types import ModuleType, SimpleNamespace
from typing import Any

NOT_OURS = (
    *("torch", "torch.fx.experimental.proxy_tensor", "safetensors.torch", "PIL.Image"),
    *("typer", "rich.live", "rich.progress", "rich.table", "zipfile", "tarfile", "urllib.request", "platform"),
)
NO_MODULE = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty")
SIGNALS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
NO_CALL_OF_SIGNAL = ("alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait")
NO_CALL_OF_OS = (
    *(
        "chown",
        "fchmod",
        "fork",
        "fstatvfs",
        "getegid",
        "geteuid",
        "getgid",
        "getloadavg",
        "getpgid",
        "getuid",
        "killpg",
    ),
    *(
        "lockf",
        "mkfifo",
        "nice",
        "pathconf",
        "posix_fadvise",
        "posix_fallocate",
        "pread",
        "pwrite",
        "sched_getaffinity",
    ),
    *(
        "sched_setaffinity",
        "sendfile",
        "setsid",
        "statvfs",
        "sync",
        "sysconf",
        "uname",
        "wait",
        "O_CLOEXEC",
        "O_NONBLOCK",
    ),
)
NOT_ON_MACOS = ("sched_getaffinity", "sched_setaffinity", "posix_fallocate", "posix_fadvise", "memfd_create")
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))}


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name` by `around(what it was, *arguments)`."""
    before = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(before, *args, **kwargs)

    setattr(owner, name, wrapped)


def take_away(owner: object, names: Iterable[str]) -> None:
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)


def refused(number: int, path: object) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def check_name(path: object) -> None:
    """Raises what Windows does for a name that it does not take."""
    if isinstance(path, str | PurePath):
        for part in PurePath(path).parts[1:]:
            odd = any(letter in '<>:"|?*' or ord(letter) < 32 for letter in part) or part[-1] in ". "
            if (odd and part != "..") or part.split(".")[0].upper() in DEVICES:
                raise refused(errno.EINVAL, path)


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


LISTDIR, READLINK, OPEN = os.listdir, os.readlink, builtins.open


def ours() -> bool:
    """Whether a file is being opened by `gancli`, perhaps through `pathlib`."""
    frame, seen = sys._getframe(2), 0
    while frame is not None and seen < 4:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == "gancli":
            return True
        frame, seen = frame.f_back, seen + 1  # type: ignore[assignment]
    return False


def files_of_windows() -> None:
    def opened(call: Callable[..., Any], path: Any, mode: str = "r", buffering: int = -1, encoding: Any = None,
               *rest: Any, **more: Any) -> Any:  # fmt: skip
        if ours():
            assert "b" in mode or encoding not in (None, "locale"), f"{path}: opened as text, and nobody said in what"
            hide_kernel(path)
        if any(letter in mode for letter in "wax+"):
            check_name(path)
        return call(path, mode, buffering, encoding, *rest, **more)

    def handle(call: Callable[..., int], path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if not isinstance(path, int) and os.path.isdir(path):  # noqa: PTH112
            raise refused(errno.EACCES, path)
        if flags & os.O_CREAT:
            check_name(path)
        return call(path, flags, *rest, **more)

    def moved(call: Callable[..., None], source: Any, target: Any, **more: Any) -> None:
        check_name(target)
        if in_use(source) or in_use(target):
            raise refused(errno.EACCES, target)
        if call is RENAME and os.path.exists(target):  # noqa: PTH110
            raise refused(errno.EEXIST, target)
        call(source, target, **more)

    def removed(call: Callable[..., None], path: Any, **more: Any) -> None:
        if in_use(path):
            raise refused(errno.EACCES, path)
        call(path, **more)

    def made(call: Callable[..., None], path: Any, *rest: Any, **more: Any) -> None:
        check_name(path)
        call(path, *rest, **more)

    def killed(_: Callable[..., None], number: int, which: int) -> None:
        raise AssertionError(f"os.kill({number}, {which}) would end that process on Windows")

    wrap(io, "open", opened)
    builtins.open = io.open
    wrap(os, "open", handle)
    for name, around in (("replace", moved), ("rename", moved), ("unlink", removed), ("remove", removed),
                         ("mkdir", made), ("kill", killed)):  # fmt: skip
        wrap(os, name, around)


RENAME = os.rename


def hide_kernel(path: object) -> None:
    if str(path).startswith(("/proc", "/sys/")):
        raise refused(errno.ENOENT, path)


def msvcrt() -> ModuleType:
    """Windows's lock: one byte, for one process, also against others of this process."""
    import fcntl

    flock, held = fcntl.flock, set[tuple[int, int]]()

    def locking(handle: int, mode: int, num_bytes: int) -> None:
        assert (mode, num_bytes) == (2, 1)
        held.add((handle, os.lseek(handle, 0, os.SEEK_CUR)))
        try:
            flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    module: Any = ModuleType("msvcrt")
    module.locking, module.LK_NBLCK = locking, 2
    return module  # type: ignore[no-any-return]


def windows(with_locks: bool) -> None:
    usage = shutil.disk_usage
    total, used, free = usage(tempfile.gettempdir())
    shutil.disk_usage = lambda _: SimpleNamespace(total=total, used=used, free=free)  # type: ignore[assignment,return-value]
    if with_locks:
        sys.modules["msvcrt"] = msvcrt()
    for name in NO_MODULE:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    take_away(signal, [n for n in dir(signal) if n[:3] == "SIG" and n[3:].isalnum() and n not in SIGNALS])
    take_away(signal, NO_CALL_OF_SIGNAL)
    files_of_windows()
    take_away(os, NO_CALL_OF_OS)
    sys.platform = "win32"


def macos() -> None:
    def opened(call: Callable[..., Any], path: Any, *rest: Any, **more: Any) -> Any:
        if ours():
            hide_kernel(path)
        return call(path, *rest, **more)

    take_away(os, NOT_ON_MACOS)
    wrap(io, "open", opened)
    sys.platform = "darwin"


PLACES: dict[str, Callable[[], None]] = {
    "windows": lambda: windows(with_locks=True),
    "bare": lambda: windows(with_locks=False),
    "macos": macos,
}


@contextlib.contextmanager
def interrupted(at: int) -> Iterator[None]:
    from gancli.steps.runner import Runner

    advance, calls = Runner.advance, itertools.count(1)

    def some(*args: Any) -> int:
        if next(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return advance(*args)

    Runner.advance = some  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Runner.advance = advance  # type: ignore[method-assign]


def circumstances(command: list[str]) -> tuple[contextlib.AbstractContextManager[object], list[str]]:
    from gancli.files import locks

    match command:
        case ["ctrl-c", number, *rest]:
            return interrupted(int(number)), rest
        case ["beside", directory, *rest]:
            return locks.only_writer(Path(directory, ".lock")), rest
    return contextlib.nullcontext(), command


def run(commands: list[list[str]]) -> list[dict[str, object]]:
    from gancli.cli.app import main

    done: list[dict[str, object]] = []
    for each in commands:
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        around, command = circumstances(each)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), around:
            code = main(command)
        written = []
        for stream in (out, err):
            stream.flush()
            written.append(stream.buffer.getvalue().decode("utf-8", "backslashreplace"))
        done.append({"command": each, "code": code, "out": written[0], "err": written[1]})
    return done


if __name__ == "__main__":
    for module in NOT_OURS:
        with contextlib.suppress(ImportError):
            __import__(module)
    assert not any(name.partition(".")[0] == "gancli" for name in sys.modules), "what is ours sees only what is left"
    PLACES[sys.argv[1]]()
    sys.stdout.write(json.dumps(run(json.load(sys.stdin))))
