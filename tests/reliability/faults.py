"""What can be wrong with a machine, one function each, applied to this process: `apply(["locks:ENOSYS", "umask:077"])`.

Faults are patched into `os`, `fcntl`, `time` and the like, where the code under test looks them up, or set as limits of the
process. A fault that this process may not have (it needs root, say) raises `ImpossibleError`.
"""

import builtins
import ctypes
import errno
import io
import itertools
import os
import resource
import signal
import stat
import sysconfig
import time
from collections.abc import Callable, Iterable
from typing import Any

OF_PATHS = (
    *("open", "stat", "lstat", "mkdir", "rmdir", "listdir", "scandir", "unlink", "remove", "utime", "chmod", "access"),
    *("truncate", "readlink", "statvfs", "replace", "rename", "link", "symlink"),
)
DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1, 2, 3  # capabilities of linux/capability.h
CAPABILITY_VERSION_3 = 0x20080522


class ImpossibleError(Exception):
    """This process may not have that fault."""


def refusal(name: str, *about: object) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), *about)


def wrapped(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name` by `around(the original, *arguments)`."""
    original = getattr(owner, name)

    def patched(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, patched)


def locks(code: str = "ENOSYS") -> None:
    """A file system without locks, of whichever kind."""
    import fcntl

    def refuse(*_: Any, **__: Any) -> None:
        raise refusal(code)

    def some(call: Callable[..., Any], file: Any, command: int, *rest: Any) -> Any:
        lock_commands = {getattr(fcntl, name) for name in dir(fcntl) if name.endswith(("SETLK", "SETLKW"))}
        return refuse() if command in lock_commands else call(file, command, *rest)

    fcntl.lockf = fcntl.flock = refuse
    wrapped(fcntl, "fcntl", some)


def fsync(code: str = "EINVAL", what: str = "all") -> None:
    """`fsync` is refused: of directories, or of all."""

    def some(call: Callable[..., Any], file: Any) -> None:
        handle = file if isinstance(file, int) else file.fileno()
        if what == "all" or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise refusal(code)
        call(file)

    wrapped(os, "fsync", some)
    wrapped(os, "fdatasync", some)


def links() -> None:
    """No hard links."""

    def refuse(_: Any, source: Any, target: Any, **__: Any) -> None:
        raise refusal("EPERM", source, None, target)

    wrapped(os, "link", refuse)


def over(code: str = "EEXIST") -> None:
    """Nothing is renamed over a file that is there."""

    def some(call: Callable[..., Any], source: Any, target: Any, **kwargs: Any) -> None:
        if os.path.lexists(target):
            raise refusal(code, source, None, target)
        call(source, target, **kwargs)

    for name in ("replace", "rename"):
        wrapped(os, name, some)


def _paths(root: str, change: Callable[[str], str]) -> None:
    """All calls that take paths get those under `root` as `change` makes them."""

    def seen(path: Any) -> Any:
        if not isinstance(path, str | bytes | os.PathLike):
            return path
        whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - this must not ask the file system
        return change(whole) if whole == root or whole.startswith(f"{root}/") else path

    def around(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return call(*map(seen, args[:2]), *args[2:], **kwargs)

    def opening(call: Callable[..., Any], file: Any, *args: Any, **kwargs: Any) -> Any:
        return call(seen(file), *args, **kwargs)

    for name in OF_PATHS:
        wrapped(os, name, around if name in ("replace", "rename", "link", "symlink") else opening)
    wrapped(io, "open", opening)
    builtins.open = io.open


def caseless(root: str) -> None:
    """Under `root`, `A.png` and `a.png` are one file."""
    _paths(root, lambda whole: root + whole[len(root) :].lower())


def away(root: str, code: str = "ENOTCONN") -> None:
    """What lay under `root` can no longer be reached: a mount that is gone."""

    def refuse(whole: str) -> str:
        raise refusal(code, whole)

    _paths(root, refuse)


def dies(name: str) -> None:
    """Killed when it has written a file of that name, but not yet put it into its place."""

    def some(call: Callable[..., Any], source: Any, target: Any, **kwargs: Any) -> None:
        if os.fsdecode(target).endswith(name):
            os.kill(os.getpid(), signal.SIGKILL)
        call(source, target, **kwargs)

    for call in ("replace", "rename", "link"):
        wrapped(os, call, some)


def pid(number: str = "7") -> None:
    """The process id that the first process of every container has."""
    os.getpid = lambda: int(number)


def slow(milliseconds: str) -> None:
    """Pictures come from a slow disk."""
    from PIL import Image

    def late(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        time.sleep(int(milliseconds) / 1000)
        return call(*args, **kwargs)

    wrapped(Image, "open", late)


def nobody() -> None:
    """No entry in the password file is this user's, or anyone's."""
    import pwd

    def unknown(*about: object) -> None:
        raise KeyError(f"not found: {about[0]}")

    pwd.getpwuid = pwd.getpwnam = unknown  # type: ignore[assignment]


def house(path: str) -> None:
    """The user's home in the password file."""
    import pwd

    entry = pwd.getpwuid(os.getuid())
    own = pwd.struct_passwd((*entry[:5], path, entry[6]))
    pwd.getpwuid = lambda _: own


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
    if libc.capget(header, data):
        raise ImpossibleError("capabilities cannot be asked for")
    for index in range(3):
        data[index] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH | 1 << FOWNER)
    if libc.capset(header, data):
        raise ImpossibleError("capabilities cannot be dropped")


def user(number: str) -> None:
    """Run as somebody else."""
    if os.geteuid() != 0:
        raise ImpossibleError("only root becomes somebody else")
    os.setgroups([])
    os.setgid(int(number))
    os.setuid(int(number))
    if not all(os.access(path, os.R_OK) for path in (__file__, sysconfig.get_path("purelib"))):
        raise ImpossibleError("this Python is root's alone")


def limit(name: str, value: str) -> None:
    """A resource limit; `+N` for the address space is N MB above what is taken now."""
    number = int(value)
    if value.startswith("+"):
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            number = int(file.read().split()[0]) * resource.getpagesize() + number * 2**20
    kind = getattr(resource, f"RLIMIT_{name}")
    resource.setrlimit(kind, (number, resource.getrlimit(kind)[1]))


GROUPS = "/sys/fs/cgroup/memory"
GROUP = "gan-surroundings-{}"


def group() -> None:
    """Move into a control group of its own (version 1), so that `room` can limit it; it counts what is imported from now."""
    place = f"{GROUPS}/{GROUP.format(os.getpid())}"
    try:
        os.mkdir(place)  # noqa: PTH102
        with open(f"{place}/cgroup.procs", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(str(os.getpid()))
    except OSError:
        return  # `room` says so


def room(megabytes: str) -> None:
    """The control group may take so much more."""
    place = f"{GROUPS}/{GROUP.format(os.getppid())}"
    try:
        with open(f"{place}/memory.usage_in_bytes", encoding="ascii") as file:  # noqa: PTH123
            limit_bytes = int(file.read()) + int(megabytes) * 2**20
        with open(f"{place}/memory.limit_in_bytes", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(str(limit_bytes))
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("1000")  # this one, not the server
    except OSError as error:
        raise ImpossibleError(f"no control group of memory can be made ({error.strerror})") from None


def umask(octal: str) -> None:
    os.umask(int(octal, 8))


def ignored(name: str) -> None:
    """As nohup does."""
    signal.signal(getattr(signal, name), signal.SIG_IGN)


def cpus() -> None:
    """Nobody knows how many processors there are."""
    os.cpu_count = lambda: None


def killed(point: str, count: str) -> None:
    """Killed by SIGKILL at a point of writing its `count`-th file: see victim.py."""
    from gancli.files import atomic
    from tests.reliability.victim import doomed

    atomic.write = doomed(point, int(count))


def apply(faults: Iterable[str]) -> None:
    """Apply faults such as `locks:ENOLCK`, in that order: what comes after the colons are the function's arguments."""
    from tests.reliability import platforms

    for fault in faults:
        name, *args = fault.split(":")
        owner = platforms if hasattr(platforms, name) else globals()
        function = owner[name] if isinstance(owner, dict) else getattr(owner, name)
        function(*args)
