"""Files are whole or absent, on disks of all kinds."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.files import atomic, locks
from gancli.files.owner import Owner, beside, mark_of, this_process

ELSEWHERE = Owner("0123abcd", 7, 99)


def refusing(number: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def of_directories_only(number: int) -> Callable[[int], None]:
    """`os.fsync` as on a disk that refuses it for directories."""
    fsync = os.fsync

    def some(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    return some


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        atomic.write(tmp_path / "a", [b"x"])
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a"
    atomic.write(path, [b"old"])

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(GancliError, match=r"a: cannot be written \(No space left on device\)"):
        atomic.write(path, [b"new"])
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_an_interrupt_while_writing_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a"
    atomic.write(path, [b"old"])

    def pieces() -> "object":
        yield b"ne"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.write(path, pieces())  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("code", ["EINVAL", "EBADF", "ENOTSUP", "EACCES", "ENOSYS"])
def test_a_disk_that_cannot_flush_a_directory_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(os, "fsync", of_directories_only(getattr(errno, code)))
    atomic.write(tmp_path / "a", [b"old"])
    atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_directory_that_cannot_be_opened_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, and in a directory that one may write in but not list."""
    really = os.open

    def of_files(path: Path, *args: Any, **kwargs: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return really(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", of_files)
    atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_disk_that_fails_after_the_renaming_is_told_without_a_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic.write(tmp_path / "a", [b"old"])
    monkeypatch.setattr(os, "fsync", of_directories_only(errno.EIO))
    with pytest.raises(GancliError, match=r"a: is written, but .* cannot be flushed to disk") as failure:
        atomic.write(tmp_path / "a", [b"new"])
    assert "untouched" not in str(failure.value)
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("code", ["EINVAL", "ENOTSUP", "ENOSYS"])
def test_a_disk_that_knows_no_flushing_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(getattr(errno, code)))
    atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"new"


def test_what_need_not_last_is_not_flushed_but_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    atomic.write(tmp_path / "a", [b"new"], durable=False)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def over_nothing(call: Callable[..., None], code: int) -> Callable[[Path, Path], None]:
    """A renaming as on a disk that does not rename over a file."""

    def only(source: Path, target: Path) -> None:
        if Path(target).exists():
            raise OSError(code, os.strerror(code))
        call(source, target)

    return only


@pytest.mark.parametrize("code", [errno.EEXIST, errno.EPERM, errno.EACCES])
def test_a_disk_that_does_not_rename_over_a_file_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    for call in ("replace", "rename"):
        monkeypatch.setattr(os, call, over_nothing(getattr(os, call), code))
    atomic.write(tmp_path / "a", [b"old"])
    atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_no_hard_links_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    atomic.write(tmp_path / "a", [b"old"])
    atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_file_that_may_not_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic.write(tmp_path / "a", [b"old"])
    for call in ("replace", "rename"):
        monkeypatch.setattr(os, call, refusing(errno.EACCES))
    with pytest.raises(GancliError, match=r"a: cannot be written \(Permission denied\); what was there is untouched"):
        atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_kill_between_the_two_steps_of_such_a_disk_loses_nothing(tmp_path: Path) -> None:
    """The old file was put aside, the new one is not in its place."""
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    aside = f".ckpt.safetensors.{this_process().machine}-{killed.pid:x}-0-00000000.old"
    (tmp_path / aside).write_bytes(b"old")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == [aside], "its owner is at work"
    killed.kill()
    killed.wait()
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["ckpt.safetensors"]
    assert (tmp_path / "ckpt.safetensors").read_bytes() == b"old"


def test_on_windows_a_file_that_another_has_open_for_a_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic.write(tmp_path / "a", [b"old"])
    really, tries = os.replace, list[Path]()

    def at_last(source: Path, target: Path) -> None:
        tries.append(source)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "Access is denied")
        really(source, target)

    monkeypatch.setattr(os, "replace", at_last)
    monkeypatch.setattr(sys, "platform", "win32")
    atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(tries) == 3


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "日" * 85, "x" * 250 + ".png", os.fsdecode(b"\xff" * 255)])
def test_names_as_long_as_a_disk_takes_can_be_written(tmp_path: Path, name: str) -> None:
    for content in (b"old", b"new"):
        atomic.write(tmp_path / name, [content])
    assert names(tmp_path) == [name]
    for kind in (atomic.PART, atomic.OLD):
        hidden = os.fsencode(beside(tmp_path / name, kind).name)
        assert len(hidden) <= 255
        assert b"\xff" in hidden or hidden.decode("utf-8"), "no letter is cut in two"


def test_where_names_must_be_shorter_still_those_beside_them_are_no_longer(tmp_path: Path) -> None:
    """Encrypted disks take 143 bytes."""
    for length in (1, 16, 80, 143):
        assert len(beside(tmp_path / ("n" * length), atomic.PART).name) <= max(80, length)


def test_processes_with_the_same_id_write_different_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in two containers: an id of its own is all that a process there knows."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    first, second = atomic.Part(tmp_path / "a"), atomic.Part(tmp_path / "a")
    first.file.write(b"first")
    second.file.write(b"second")
    first.put()
    assert (tmp_path / "a").read_bytes() == b"first"
    second.put()
    assert (tmp_path / "a").read_bytes() == b"second"
    assert names(tmp_path) == ["a"]


WRITING = """
import sys, time
from pathlib import Path
from gancli.files import atomic
part = atomic.Part(Path(sys.argv[1]))
print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("with_locks", [True, False])
def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_locks: bool
) -> None:
    if not with_locks:
        monkeypatch.setattr(locks, "fcntl", None)
    (tmp_path / ".notes.12.part").write_text("somebody's")
    (tmp_path / ".a.part").write_text("somebody's")
    writer = subprocess.Popen([sys.executable, "-c", WRITING, str(tmp_path / "a")], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    atomic.sweep(tmp_path)
    assert len(names(tmp_path)) == 3, "it is at work"
    writer.send_signal(signal.SIGKILL)
    while not _is_over(writer):
        time.sleep(0.01)
    atomic.sweep(tmp_path)  # though nobody has asked how it ended: it is a zombie
    assert names(tmp_path) == [".a.part", ".notes.12.part"]
    writer.communicate()


def _is_over(process: "subprocess.Popen[bytes]") -> bool:
    return (
        " Z " in Path(f"/proc/{process.pid}/stat").read_text() if Path("/proc").is_dir() else process.poll() is not None
    )


def left_elsewhere(folder: Path, age_s: float = 0.0) -> Path:
    """A file that a process of another machine is writing, or was."""
    path = folder / f".a.{ELSEWHERE.machine}-7-63-00000000.part"
    path.write_bytes(b"some")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_what_another_machine_s_process_has_locked_stays_and_what_it_left_goes(tmp_path: Path) -> None:
    path = left_elsewhere(tmp_path)
    assert mark_of(path.name) is not None
    with path.open("r+b") as file:
        assert locks.try_lock(file.fileno()) is locks.Outcome.HELD
        atomic.sweep(tmp_path)
        assert path.exists()
    atomic.sweep(tmp_path, patience_s=60)
    assert path.exists(), "some disks' locks reach no further than one machine"
    atomic.sweep(tmp_path)
    assert not path.exists()


@pytest.mark.parametrize(("age_s", "stays"), [(0, True), (1800, True), (4000, False), (-4000, False)])
def test_without_locks_another_machine_s_file_goes_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, stays: bool
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    path = left_elsewhere(tmp_path, age_s)
    atomic.sweep(tmp_path)
    assert path.exists() == stays
