"""What writers that were killed left behind is removed, and what others are writing is not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gancli.files import atomic
from gancli.files.atomic import OLD, temp_sibling
from gancli.files.lock import try_lock

WRITING = """
import sys, time
from pathlib import Path
from gancli.files import atomic
part = atomic.Part(Path(sys.argv[1]))
print(flush=True)
time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancli.files.atomic.try_lock", lambda _: None)


def left(folder: Path, age_s: float = 0.0) -> Path:
    """A file that a process was writing, or that one on another machine is writing."""
    path = temp_sibling(folder / "a")
    path.write_bytes(b"some")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.mark.parametrize("name", ["0123456789abcdef", "0a1b2c3d-f00-0-00000000"])  # the latter by an earlier version
def test_a_kill_between_the_two_steps_of_a_disk_that_does_not_rename_over_a_file_loses_nothing(
    tmp_path: Path, name: str
) -> None:
    """The old file was put aside, the new one is not in its place."""
    (tmp_path / f".ckpt.safetensors.{name}.{OLD}").write_bytes(b"old")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["ckpt.safetensors"]
    assert (tmp_path / "ckpt.safetensors").read_bytes() == b"old"


@pytest.mark.parametrize("with_locks", [True, False])
def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_locks: bool
) -> None:
    if not with_locks:
        without_locks(monkeypatch)
    (tmp_path / ".notes.12.part").write_text("somebody's")
    (tmp_path / ".a.part").write_text("somebody's")
    with subprocess.Popen([sys.executable, "-c", WRITING, str(tmp_path / "a")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        atomic.sweep(tmp_path)
        assert len(names(tmp_path)) == 3, "it is at work"
        writer.kill()
    atomic.sweep(tmp_path)
    assert len(names(tmp_path)) == (2 if with_locks else 3), "without locks, not before an hour"


def test_a_locked_file_stays_and_a_young_one_where_others_may_have_locked_it(tmp_path: Path) -> None:
    path = left(tmp_path)
    with path.open("r+b") as file:
        assert try_lock(file.fileno())
        atomic.sweep(tmp_path)
        assert path.exists()
    atomic.sweep(tmp_path, patience_s=60)
    assert path.exists(), "some disks' locks reach no further than one machine"
    atomic.sweep(tmp_path)
    assert not path.exists()


@pytest.mark.parametrize(("age_s", "stays"), [(0, True), (1800, True), (4000, False), (-4000, False)])
def test_without_locks_a_file_goes_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, stays: bool
) -> None:
    without_locks(monkeypatch)
    path = left(tmp_path, age_s)
    atomic.sweep(tmp_path)
    assert path.exists() == stays
