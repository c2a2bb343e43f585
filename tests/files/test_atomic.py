"""Files are whole or absent, on disks of all kinds; what killed writers leave is removed, and what others write is not."""

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.files import atomic
from gancli.files.atomic import OLD, PART, temp_sibling
from gancli.files.lock import try_lock


def error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def refusing(code: int, only: Callable[..., bool] = lambda *_: True, call: Callable[..., Any] = print) -> Any:
    """A function that refuses with an error, or where `only` is False does what `call` does."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        if only(*args):
            raise error(code)
        return call(*args, **kwargs)

    return refuse


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    atomic.write(path, [b"old"])
    return path


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        atomic.write(tmp_path / "a", [b"x"])
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("calls", "code"), [(["fsync"], errno.ENOSPC), (["replace"], errno.ENOSPC), (["replace", "rename"], errno.EACCES)]
)
def test_a_disk_that_refuses_leaves_the_old_file_and_no_other(
    old: Path, monkeypatch: pytest.MonkeyPatch, calls: list[str], code: int
) -> None:
    for call in calls:
        monkeypatch.setattr(os, call, refusing(code))
    with pytest.raises(
        GancliError, match=rf"a: cannot be written \({os.strerror(code)}\); the old file, if any, is unch"
    ):
        atomic.write(old, [b"new"])
    assert old.read_bytes() == b"old"
    assert names(old.parent) == ["a"]


def test_an_interrupt_while_writing_leaves_the_old_file_and_no_other(old: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"ne"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.write(old, pieces())
    assert old.read_bytes() == b"old"
    assert names(old.parent) == ["a"]


def is_folder(handle: int) -> bool:
    return stat.S_ISDIR(os.fstat(handle).st_mode)


def exists(_: Path, target: Path) -> bool:
    return Path(target).exists()


@pytest.mark.parametrize(
    ("calls", "code", "only"),
    [
        (["fsync"], errno.EINVAL, is_folder),  # cannot flush folders
        (["fsync"], errno.EACCES, is_folder),
        (["fsync"], errno.EINVAL, lambda _: True),  # cannot flush anything
        (["open"], errno.EACCES, lambda path, *_: Path(path).is_dir()),  # Windows, and folders that cannot be listed
        (["replace", "rename"], errno.EEXIST, exists),  # cannot rename over a file
        (["replace", "rename"], errno.EACCES, exists),
    ],
)
def test_disks_with_fewer_abilities_are_written_to(
    old: Path, monkeypatch: pytest.MonkeyPatch, calls: list[str], code: int, only: Callable[..., bool]
) -> None:
    with monkeypatch.context() as patched:
        for call in calls:
            patched.setattr(os, call, refusing(code, only, getattr(os, call)))
        atomic.write(old, [b"new"])
    assert old.read_bytes() == b"new"
    assert names(old.parent) == ["a"]


def test_a_disk_that_fails_after_the_renaming_is_reported_as_it_is(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO, is_folder, os.fsync))
    with pytest.raises(GancliError, match=r"a: is written, but .* cannot be flushed to disk") as failure:
        atomic.write(old, [b"new"])
    assert "unchanged" not in str(failure.value)
    assert old.read_bytes() == b"new"


def test_a_file_that_is_not_durable_is_not_flushed(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    atomic.write(old, [b"new"], durable=False)
    assert old.read_bytes() == b"new"
    assert names(old.parent) == ["a"]


def test_on_windows_a_file_that_another_process_has_open_for_a_moment_is_replaced(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = iter((True, True, False))
    monkeypatch.setattr(os, "replace", refusing(errno.EACCES, lambda *_: next(tries), os.replace))
    monkeypatch.setattr(sys, "platform", "win32")
    atomic.write(old, [b"new"])
    assert old.read_bytes() == b"new"
    assert next(tries, None) is None


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "日" * 85, "x" * 250 + ".png", os.fsdecode(b"\xff" * 255)])
def test_names_as_long_as_a_disk_allows_can_be_written(tmp_path: Path, name: str) -> None:
    for content in (b"old", b"new"):
        atomic.write(tmp_path / name, [content])
    assert names(tmp_path) == [name]
    for kind in (PART, OLD):
        hidden = os.fsencode(temp_sibling(tmp_path / name, kind).name)
        assert len(hidden) <= 255
        assert b"\xff" in hidden or hidden.decode("utf-8"), "no character is cut in two"


def test_temporary_names_are_no_longer_than_an_encrypted_disk_allows(tmp_path: Path) -> None:
    for length in (1, 143):
        assert len(temp_sibling(tmp_path / ("n" * length)).name) <= max(80, length)


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    parts = [atomic.Part(tmp_path / "a") for _ in range(2)]
    for part, content in zip(parts, (b"first", b"second"), strict=True):
        part.file.write(content)
    for part, content in zip(parts, (b"first", b"second"), strict=True):
        part.put()
        assert (tmp_path / "a").read_bytes() == content
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["0123456789abcdef", "0a1b2c3d-f00-0-00000000"])  # the latter of an earlier version
def test_a_kill_while_a_file_is_replaced_in_two_steps_loses_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / f".ckpt.safetensors.{name}.{OLD}").write_bytes(b"old")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["ckpt.safetensors"]
    assert (tmp_path / "ckpt.safetensors").read_bytes() == b"old"


WRITING = """
import sys, time
from pathlib import Path
from gancli.files import atomic
part = atomic.Part(Path(sys.argv[1]))
print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("with_locks", [True, False])
def test_the_file_of_a_killed_writer_is_removed_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_locks: bool
) -> None:
    if not with_locks:
        monkeypatch.setattr(atomic, "try_lock", lambda _: None)
    (tmp_path / ".notes.12.part").write_text("the user's")
    (tmp_path / ".a.part").write_text("the user's")
    with subprocess.Popen([sys.executable, "-c", WRITING, str(tmp_path / "a")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        atomic.sweep(tmp_path)
        assert len(names(tmp_path)) == 3, "it is at work"
        writer.kill()
    atomic.sweep(tmp_path)
    assert len(names(tmp_path)) == (2 if with_locks else 3), "without locks, not before an hour"


def left(folder: Path, age_s: float = 0.0) -> Path:
    """A file that a process was writing, or that one on another machine is writing."""
    path = temp_sibling(folder / "a")
    path.write_bytes(b"some")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_locked_file_stays_and_a_young_one_where_others_may_have_locked_it(tmp_path: Path) -> None:
    path = left(tmp_path)
    with path.open("r+b") as file:
        assert try_lock(file.fileno())
        atomic.sweep(tmp_path)
        assert path.exists()
    atomic.sweep(tmp_path, patience_s=60)
    assert path.exists(), "the locks of some disks are not known on other machines"
    atomic.sweep(tmp_path)
    assert not path.exists()


@pytest.mark.parametrize(("age_s", "stays"), [(0, True), (1800, True), (4000, False), (-4000, False)])
def test_without_locks_a_file_is_removed_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, stays: bool
) -> None:
    monkeypatch.setattr(atomic, "try_lock", lambda _: None)
    path = left(tmp_path, age_s)
    atomic.sweep(tmp_path)
    assert path.exists() == stays
