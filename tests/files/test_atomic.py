"""Files are whole or absent, on disks of all kinds."""

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.errors import GancliError
from gancli.files import atomic
from gancli.files.atomic import OLD, PART, temp_sibling


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


@pytest.mark.parametrize("code", ["EINVAL", "EACCES"])
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
    assert "unchanged" not in str(failure.value)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_disk_that_knows_no_flushing_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL))
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


@pytest.mark.parametrize("code", [errno.EEXIST, errno.EACCES])
def test_a_disk_that_does_not_rename_over_a_file_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    for call in ("replace", "rename"):
        monkeypatch.setattr(os, call, over_nothing(getattr(os, call), code))
    atomic.write(tmp_path / "a", [b"old"])
    atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_a_file_that_may_not_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic.write(tmp_path / "a", [b"old"])
    for call in ("replace", "rename"):
        monkeypatch.setattr(os, call, refusing(errno.EACCES))
    with pytest.raises(
        GancliError, match=r"a: cannot be written \(Permission denied\); the old file, if any, is unchanged"
    ):
        atomic.write(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


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
    for kind in (PART, OLD):
        hidden = os.fsencode(temp_sibling(tmp_path / name, kind).name)
        assert len(hidden) <= 255
        assert b"\xff" in hidden or hidden.decode("utf-8"), "no letter is cut in two"


def test_where_names_must_be_shorter_still_those_beside_them_are_no_longer(tmp_path: Path) -> None:
    """Encrypted disks take 143 bytes."""
    for length in (1, 143):
        assert len(temp_sibling(tmp_path / ("n" * length)).name) <= max(80, length)


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    first, second = atomic.Part(tmp_path / "a"), atomic.Part(tmp_path / "a")
    first.file.write(b"first")
    second.file.write(b"second")
    first.put()
    assert (tmp_path / "a").read_bytes() == b"first"
    second.put()
    assert (tmp_path / "a").read_bytes() == b"second"
    assert names(tmp_path) == ["a"]
