"""A run directory: what lies where, who writes in it, which states there are. Imports no torch."""

import contextlib
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gancli import atomic
from gancli.errors import GancliError, UsageError

STATE = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True)
class RunDirectory:
    """The names in a run directory."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / "ckpt.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint that measured best, with `--eval-every`."""
        return self.path / "best.safetensors"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def state(self, step: int) -> Path:
        return self.path / "state" / f"step-{step:08d}.safetensors"

    def samples(self, step: int) -> Path:
        return self.path / "samples" / f"step-{step:08d}.png"

    def states(self) -> list[Path]:
        """The saved states, newest first."""
        found = [(int(m[1]), p) for p in (self.path / "state").glob("*") if (m := STATE.fullmatch(p.name))]
        return [path for _, path in sorted(found, reverse=True)]

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` states."""
        for path in self.states()[keep:]:
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the unfinished files of a writer that was killed. Only for the one that holds the directory."""
        for folder in (self.path, self.path / "state", self.path / "samples"):
            for path in folder.glob(atomic.UNFINISHED):
                path.unlink(missing_ok=True)

    def discard_if_unused(self) -> None:
        """Remove the directory again if no run came about in it: it holds nothing but its empty folders."""
        if not self.holds_run:
            with contextlib.suppress(OSError):  # something lies there after all: it stays
                for folder in (self.path / "state", self.path / "samples", self.path):
                    folder.rmdir()

    @property
    def holds_run(self) -> bool:
        return self.config.exists()


def numbered(parent: Path, stem: str) -> RunDirectory:
    """Make `parent/stem-NNN` with the first free number. Raises `GancliError` where nothing can be made."""
    taken = [int(p.name[len(stem) + 1 :]) for p in parent.glob(f"{stem}-*") if p.name[len(stem) + 1 :].isdecimal()]
    number = max(taken, default=0) + 1
    while True:
        path = parent / f"{stem}-{number:03d}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            return prepared(path)
        except FileExistsError:
            number += 1  # another run of the same moment took it
        except OSError as error:
            raise GancliError(f"{path}: cannot be made ({error.strerror}); choose a place with --out") from error


def prepared(path: Path) -> RunDirectory:
    """`path` with its folders, made where they are missing. Raises `GancliError` if it cannot be written to."""
    try:
        for folder in (path, path / "state", path / "samples"):
            folder.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise GancliError(f"--out {path}: cannot be written to ({error.strerror})") from error
    return RunDirectory(path)


def fresh(path: Path) -> RunDirectory:
    """`path` for a new run. Raises `UsageError` if something lies there already: nothing is overwritten unasked."""
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            way_out = "go on with --resume auto, or choose another --out" if path.is_dir() else "choose another --out"
            raise UsageError(f"--out {path}: is there already; {way_out}")
    except OSError as error:
        raise GancliError(f"--out {path}: cannot be read ({error.strerror})") from error
    return prepared(path)


@contextlib.contextmanager
def locked(directory: RunDirectory) -> Iterator[None]:
    """Hold the directory for one writer. Raises `GancliError` with the other's host and pid if there is one.

    The kernel drops the lock with the process that holds it, so one that was killed leaves nothing to clean up.
    """
    path = directory.path / ".lock"
    with path.open("a+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise GancliError(f"{directory.path}: another run is writing there ({_owner(file.read(500))})") from None
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
            raise GancliError(f"{directory.path}: another run has just ended there; try again")
        directory.sweep()
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _owner(content: bytes) -> str:
    try:
        owner = json.loads(content)
        return f"pid {int(owner['pid'])} on {str(owner['host'])[:100]}"
    except (ValueError, KeyError, TypeError):
        return "its owner is not known"


def writer(directory: RunDirectory) -> str | None:
    """Who writes in the directory, as `pid 12 on host`, or None. Looks only: makes no file, and takes the lock for an
    instant at most, where the process that it names is there."""
    try:
        with (directory.path / ".lock").open("rb") as file:
            content = file.read(500)
            return _owner(content) if _alive(content) and _is_locked(file) else None
    except OSError:
        return None


def _alive(content: bytes) -> bool:
    """Whether the process that wrote a lock file may be running; of other machines nobody knows."""
    try:
        owner = json.loads(content)
        here, pid = owner["host"] == socket.gethostname(), int(owner["pid"])
    except (ValueError, KeyError, TypeError):
        return True
    if not here or os.name != "posix":  # elsewhere os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _is_locked(file: BinaryIO) -> bool:
    """Whether another process holds the lock; where the file system has none, the file's word is taken."""
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
