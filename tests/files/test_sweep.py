"""What writers left behind is swept, and what they are writing is not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gancli.files import atomic, locks
from gancli.files.owner import Owner, mark_of, this_process

ELSEWHERE = Owner("0123abcd", 7, 99)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
