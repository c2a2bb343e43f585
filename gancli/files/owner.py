"""Who a process is, so that another one can find out whether it still runs; and names that say whose a file is.

A process id alone says little: two containers have equal ones, and after a restart they are given out again.
"""

import hashlib
import os
import re
import secrets
import socket
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PROC = Path("/proc")
LONGEST_NAME = 255  # bytes, nearly everywhere
SHORT_NAME = 80  # bytes that any name may have: where names must be shorter than 255, those beside them are no longer
CUT = "~"
_MARKED = re.compile(r"\.(.*)\.([0-9a-f]{8})-([0-9a-f]+)-([0-9a-f]+)-[0-9a-f]{8}\.([a-z]+)", re.DOTALL)


@dataclass(frozen=True)
class Owner:
    """A process. `machine`: what its id counts on, one boot of one machine and one container's numbering; `started`: in
    ticks of the clock since the boot. Where the system does not tell, `machine` is the host and `started` is 0."""

    machine: str  # 8 hexadecimal digits
    pid: int
    started: int

    @property
    def is_here(self) -> bool:
        """Whether its id counts where this process's does."""
        return self.machine == this_process().machine

    def has_ended(self) -> bool | None:
        """Whether it runs no more; None where that cannot be known from here."""
        return _has_ended(self.pid, self.started) if self.is_here else None


def this_process() -> Owner:
    return _described(os.getpid())


@lru_cache(1)
def _described(pid: int) -> Owner:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        place = f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except (OSError, ValueError):
        # Where Linux hides what its numbering is, other processes' ids say nothing.
        place = secrets.token_hex() if sys.platform == "linux" else socket.gethostname()
    _, started = _told(pid) or ("", 0)
    return Owner(hashlib.sha256(os.fsencode(place)).hexdigest()[:8], pid, started)


def _told(pid: int) -> tuple[str, int] | None:
    """State (a letter) and start of a process, from the fields 3 and 22 of `proc_pid_stat(5)`; None where not told."""
    try:
        _, _, after_name = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")
        fields = after_name.split()
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _has_ended(pid: int, started: int) -> bool | None:
    if sys.platform == "win32" or pid <= 0:  # there, `os.kill` would end the process
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OverflowError:  # no process has such an id
        return None
    except OSError:
        pass  # another user's
    state, began = _told(pid) or ("?", started)
    return state in "ZX" or bool(started and began != started)  # killed but not yet buried, or another with its id


def beside(target: Path, kind: str) -> Path:
    """A new name beside `target`'s, for a file of this process alone: hidden, ending in `kind`, and never too long."""
    mine = this_process()
    tail = f".{mine.machine}-{mine.pid:x}-{mine.started:x}-{secrets.token_hex(4)}.{kind}"
    room = min(LONGEST_NAME, max(SHORT_NAME, len(os.fsencode(target.name)))) - len(tail) - 1
    stem = target.name
    if len(os.fsencode(stem)) > room:
        stem = stem[: room - 1]
        while len(os.fsencode(stem)) >= room:  # cut between two letters: half of one is no name to some disks
            stem = stem[:-1]
        stem += CUT
    return target.with_name(f".{stem}{tail}")


@dataclass(frozen=True)
class Mark:
    """What `beside` says in a name. `stem`: the target's name, or "" where it was too long to stand in it."""

    stem: str
    owner: Owner
    kind: str


def mark_of(name: str) -> Mark | None:
    """Whose file it is; None for a name that `beside` did not make."""
    if (found := _MARKED.fullmatch(name)) is None:
        return None
    stem, machine, pid, started, kind = found.groups()
    return Mark("" if stem.endswith(CUT) else stem, Owner(machine, int(pid, 16), int(started, 16)), kind)
