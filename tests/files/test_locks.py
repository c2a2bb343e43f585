"""One writer at a time, with the kernel's locks and where a disk has none."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.files import locks
from gancli.files.locks import only_writer
from gancli.files.owner import Owner, this_process

NO_LOCKS = ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL", "EACCES", "EIO")
HOLDING = """
import sys, time
from pathlib import Path
from gancli.files import locks
if sys.argv[2] == "without":
    locks.fcntl = None
with locks.only_writer(Path(sys.argv[1])) as note:
    print(note, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture
def holder(lock: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Starts another process that holds the lock, `with` the kernel's locks or `without`."""
    started: list[subprocess.Popen[str]] = []

    def start(way: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLDING, str(lock), way]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        started[-1].stdout.readline()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def without_locks(monkeypatch: pytest.MonkeyPatch, code: str = "ENOLCK") -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setattr("fcntl.lockf", refuse)


def record(**changes: object) -> str:
    mine = this_process()
    facts = {"machine": mine.machine, "pid": mine.pid, "started": mine.started, "host": "here", "by_kernel": False}
    return json.dumps({**facts, "token": "x", **changes})


@pytest.mark.parametrize("code", NO_LOCKS)
def test_a_disk_without_locks_is_not_taken_for_another_run(
    lock: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    without_locks(monkeypatch, code)
    with only_writer(lock) as note:
        assert "no file locks" in note
        assert str(os.getpid()) in lock.read_text()
    assert not lock.exists()


@pytest.mark.parametrize("ours", ["with", "without"])
@pytest.mark.parametrize("theirs", ["with", "without"])
def test_a_second_writer_is_told_who_the_first_is(
    lock: Path, monkeypatch: pytest.MonkeyPatch, holder: Callable[[str], Any], ours: str, theirs: str
) -> None:
    other = holder(theirs)
    if ours == "without":
        without_locks(monkeypatch)
    told = rf"another run is writing there \(pid {other.pid} on "
    with pytest.raises(GancliError, match=told) as refusal, only_writer(lock):
        pass
    by_kernel = ours == theirs == "with"
    assert ("delete" in str(refusal.value)) != by_kernel, "a way out where a file alone keeps the second out"
    assert lock.exists()
    other.send_signal(signal.SIGKILL)
    while not Owner(this_process().machine, other.pid, 0).has_ended():
        time.sleep(0.01)
    assert lock.exists(), "a test of nothing otherwise"
    with only_writer(lock):
        assert str(os.getpid()) in lock.read_text(), "the lock of a dead process is taken over"


def test_an_id_given_out_again_is_not_taken_for_its_owner(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_locks(monkeypatch)
    mine = this_process()
    assert mine.started > 0
    lock.write_text(record(started=mine.started - 1))
    with only_writer(lock):
        pass
    lock.write_text(record())
    with pytest.raises(GancliError, match=f"pid {mine.pid} on here"), only_writer(lock):
        pass


def test_equal_ids_in_two_containers_are_two_runs(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one is not known to have ended, so it is refused; which file to delete is told."""
    without_locks(monkeypatch)
    lock.write_text(record(machine="0123abcd", pid=1, started=1, host="c7"))
    with pytest.raises(GancliError, match=rf"pid 1 on c7\); if it has ended, delete .*{lock.name}"), only_writer(lock):
        pass
    assert lock.exists()


@pytest.mark.parametrize("content", ["", "[1]", "\0\xff", '{"host": "x"}', '{"pid": "' + "9" * 5000 + '", "host": 1}'])
def test_without_locks_a_file_that_says_nothing_is_not_overruled(
    lock: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_S", 0.01)
    without_locks(monkeypatch)
    lock.write_text(content)
    with pytest.raises(GancliError, match=r"its owner is not known\); if it has ended, delete"), only_writer(lock):
        pass


TAKING_OVER = """
import os, sys, time
from pathlib import Path
from gancli.files import locks
from gancli.errors import GancliError

def attempt():
    ready.read(1)  # comes to all at once, with the end of the parent's pipe
    try:
        with locks.only_writer(lock):
            time.sleep(0.5)
        return 0
    except GancliError:
        return 1

locks.fcntl, lock = None, Path(sys.argv[1])
for _ in range(3):
    lock.write_text(sys.argv[2])
    ends = os.pipe()
    ready, children = os.fdopen(ends[0], "rb"), []
    for _ in range(12):
        children.append(os.fork())
        if children[-1] == 0:
            os.close(ends[1])
            os._exit(attempt())
    os.close(ends[1])
    print(sum(os.waitpid(child, 0)[1] == 0 for child in children), *os.listdir(lock.parent))
"""


def test_of_many_that_take_over_a_stale_file_at_once_one_gets_it(lock: Path) -> None:
    stale = record(started=1)
    done = subprocess.run(
        [sys.executable, "-c", TAKING_OVER, str(lock), stale], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["1", "1", "1"], done.stderr


def test_a_lock_file_that_another_user_wrote_counts_by_what_it_says(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be opened for writing; what is in it can be read, and the directory is ours."""
    really = os.open

    def foreign(path: Path, flags: int, *rest: Any) -> int:
        if Path(path) == lock and flags & os.O_RDWR and not flags & os.O_EXCL and "here" in lock.read_text():
            raise PermissionError(errno.EACCES, "Permission denied")
        return really(path, flags, *rest)

    monkeypatch.setattr(os, "open", foreign)
    lock.write_text(record(machine="0123abcd", pid=5))
    told = r"another run is writing there \(pid 5 on here\); if it has ended, delete"
    with pytest.raises(GancliError, match=told), only_writer(lock):
        pass
    lock.write_text(record(started=1))
    with only_writer(lock):
        assert str(os.getpid()) in lock.read_text()


@pytest.mark.parametrize("code", ["EACCES", "EROFS"])
def test_a_directory_that_cannot_be_written_to_is_one_true_line(
    lock: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(os, "open", refuse)
    told = r"\.lock: cannot be opened .*copy it, or give --resume RUN --out ANOTHER"
    with pytest.raises(GancliError, match=told) as refusal, only_writer(lock):
        pass
    assert "another run" not in str(refusal.value)


def test_a_full_disk_is_told_and_leaves_no_lock(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(GancliError, match=r"\.lock: cannot be written \(No space left"), only_writer(lock):
            pass
    assert not lock.exists()
    with only_writer(lock) as note:
        assert note == ""


def test_a_directory_in_the_lock_s_place_is_one_line(lock: Path) -> None:
    lock.mkdir()
    with pytest.raises(GancliError, match=r"\.lock: cannot be opened \(Is a directory\)"), only_writer(lock):
        pass


def test_windows_locks_one_byte_far_from_what_others_read(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, int]] = []

    def locking(handle: int, mode: int, num_bytes: int) -> None:
        assert (mode, num_bytes) == (2, 1)
        assert os.lseek(handle, 0, os.SEEK_CUR) == locks.FAR
        if taken:
            raise PermissionError(errno.EACCES, "Permission denied")
        taken.append((handle, mode))

    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(sys, "platform", "win32")
    with (lock.parent / "a").open("xb") as file:
        assert locks.try_lock(file.fileno()) is locks.Outcome.HELD
        file.write(b"some")
    taken.clear()
    assert (lock.parent / "a").read_bytes() == b"some", "what is written goes where it went before"
    with only_writer(lock) as note:
        assert note == ""
        told = rf"another run is writing there \(pid {os.getpid()} on "
        with pytest.raises(GancliError, match=told), only_writer(lock):
            pass
    assert not lock.exists()


def test_whether_a_process_has_ended_is_said_only_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = this_process()
    assert mine.has_ended() is False
    assert Owner(mine.machine, 2**22 + 1, 0).has_ended() is True, "no such id is given out"
    assert Owner(mine.machine, 10**30, 0).has_ended() is None
    assert Owner("0123abcd", mine.pid, mine.started).has_ended() is None
    assert Owner(mine.machine, -1, 0).has_ended() is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert Owner(mine.machine, 2**22 + 1, 0).has_ended() is None, "os.kill would end a process there"
