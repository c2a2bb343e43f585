"""One writer at a time, with the kernel's locks and where a disk has none."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.files.lock import exclusive, holder
from tests.files.test_atomic import names, refusing

HOLDING = """
import errno, fcntl, sys, time
from pathlib import Path
from gancli.files.lock import exclusive

def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")

if sys.argv[2] == "without":
    fcntl.flock = refuse
with exclusive(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture
def start(lock: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Starts another process that holds the lock, `with` the kernel's locks or `without`."""
    started: list[subprocess.Popen[str]] = []

    def one(way: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLDING, str(lock), way]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        started[-1].stdout.readline()
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_disk_without_locks_is_not_taken_for_another_run(
    lock: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("fcntl.flock", refusing(code))
    for _ in range(2):
        with exclusive(lock) as warning:
            assert "no file locks" in warning
            there = holder(lock)
            assert there is not None
            assert there.pid == os.getpid()
        assert names(lock.parent) == []


@pytest.mark.parametrize("ours", ["with", "without"])
@pytest.mark.parametrize("theirs", ["with", "without"])
def test_a_second_writer_is_told_who_the_first_is(
    lock: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[[str], Any], ours: str, theirs: str
) -> None:
    other = start(theirs)
    if ours == "without":
        monkeypatch.setattr("fcntl.flock", refusing(errno.ENOLCK))
    told = rf"another run is writing there \(pid {other.pid} on "
    with pytest.raises(GancliError, match=told) as refusal, exclusive(lock):
        pass
    by_kernel = ours == theirs == "with"
    assert ("delete" in str(refusal.value)) != by_kernel, "a way out where a file alone keeps the second out"
    other.kill()
    other.wait()
    if (theirs, ours) == ("with", "without"):  # from here nobody can tell that it has ended
        with pytest.raises(GancliError, match=r"delete .*\.lock\.json"), exclusive(lock):
            pass
        (lock.parent / ".lock.json").unlink()
    with exclusive(lock):
        pass
    assert names(lock.parent) == [], "the lock of a process that was killed is taken over"


@pytest.mark.parametrize("way", ["with", "without"])
def test_a_lock_is_held_until_its_process_has_ended(
    lock: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[[str], Any], way: str
) -> None:
    assert holder(lock) is None
    other = start(way)
    if way == "without":
        monkeypatch.setattr("fcntl.flock", refusing(errno.ENOLCK))
    assert str(holder(lock)).startswith(f"pid {other.pid} on ")
    other.kill()
    other.wait()
    assert (lock.parent / ".lock.json").exists(), "a test of nothing otherwise"
    assert holder(lock) is None


@pytest.mark.parametrize("content", ["", "[1]", "\0\xff", '{"host": "x"}', '{"pid": "' + "9" * 5000 + '", "host": 1}'])
def test_a_file_that_names_nobody_neither_hinders_nor_misleads(lock: Path, content: str) -> None:
    (lock.parent / ".lock.json").write_text(content)
    assert holder(lock) is None
    with exclusive(lock):
        (lock.parent / ".lock.json").write_text(content)
        with pytest.raises(GancliError, match=r"\(unknown process\); wait"), exclusive(lock):
            pass


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EISDIR])
def test_a_directory_that_cannot_be_written_to_is_one_true_line(
    lock: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    if code == errno.EISDIR:
        lock.mkdir()
    else:
        monkeypatch.setattr(os, "open", refusing(code))
    message = rf"\.lock: cannot be opened \({os.strerror(code)}\).*copy it or give --resume RUN --out ANOTHER"
    with pytest.raises(GancliError, match=message) as refusal, exclusive(lock):
        pass
    assert "another run" not in str(refusal.value)


def test_a_full_disk_is_reported_and_leaves_no_lock(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", refusing(errno.ENOSPC))
        with pytest.raises(GancliError, match=r"\.lock\.json: cannot be written \(No space left"), exclusive(lock):
            pass
    assert names(lock.parent) == []
    with exclusive(lock) as warning:
        assert warning == ""
