"""What only some systems tell, and what is made of the others' silence."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gancli.data import folder
from gancli.engine import stop
from gancli.files import system
from gancli.machine import room
from gancli.report import lines
from gancli.store.rundir import RunDirectory

GB = 10**9


def kernel32(answers: bool = True) -> SimpleNamespace:
    """Windows's own calls, of a machine with 16 GB of which 3 are free, for a process that holds 1 and held 2."""

    def memory_status(pointer: Any) -> bool:
        assert pointer._obj.length == 64, "sizeof(MEMORYSTATUSEX)"
        pointer._obj.total, pointer._obj.available = 16 * GB, 3 * GB
        return answers

    def process_memory(handle: Any, pointer: Any, length: int) -> bool:
        assert (ctypes.c_void_p(-1).value, 72) == (handle.value, length), "sizeof(PROCESS_MEMORY_COUNTERS)"
        pointer._obj.held, pointer._obj.peak = 1 * GB, 2 * GB
        return answers

    return SimpleNamespace(GlobalMemoryStatusEx=memory_status, K32GetProcessMemoryInfo=process_memory)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system without /proc, `resource` and `os.sysconf`."""
    for name in ("CGROUPS", "OWN_CGROUP", "MEMINFO", "STATUS"):
        monkeypatch.setattr(room, name, tmp_path / "nowhere")
    monkeypatch.setattr(room, "resource", None)
    monkeypatch.delattr(os, "sysconf")


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="sizes of 64-bit Windows")
@pytest.mark.usefixtures("silent")
def test_windows_says_how_much_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32()), raising=False)
    assert room.total_bytes() == 16 * GB
    assert room.own_bytes() == 1 * GB
    assert room.peak_bytes() == 2 * GB
    assert room.available_bytes(torch.device("cpu")) == (3 + 1) * GB
    assert room.free_bytes(torch.device("cpu")) == 3 * GB


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("answers", [True, False])
def test_where_nothing_is_told_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    if not answers:
        monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32(answers=False)), raising=False)
    assert system.machine_memory() is None
    assert room.peak_bytes() == room.own_bytes() == 0
    assert lines.memory(room.peak_bytes()) == "memory unknown"
    assert room.total_bytes() == room.ASSUMED_BYTES
    assert room.free_bytes(torch.device("cpu")) == room.ASSUMED_BYTES // 2


def test_a_disk_that_does_not_tell_its_room_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert room.free_disk_bytes(tmp_path)
    assert room.free_disk_bytes(tmp_path / "nowhere") is None
    monkeypatch.delattr(shutil, "disk_usage")
    assert room.free_disk_bytes(tmp_path) is None


def test_only_signals_that_the_system_has_are_taken_over() -> None:
    there = "import signal; del signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2; signal.SIGBREAK = signal.SIGABRT"
    code = f"{there}; from gancli.engine.stop import SIGNALS; print(*(s.name for s in SIGNALS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["SIGINT", "SIGTERM", "SIGABRT"]


def test_a_handler_that_is_not_python_s_is_given_back_as_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, object]] = []
    monkeypatch.setattr(stop.signal, "signal", lambda *args: given.append(args))  # type: ignore[attr-defined]
    with stop.Stop():
        given.clear()
    assert (signal.SIGTERM, signal.SIG_DFL) in given


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="for Linux")
def test_cpus_taken_away_meanwhile_end_no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    folder._on_any_cpu()


@pytest.mark.parametrize("change", ["del os.sched_getaffinity", "os.sched_getaffinity = lambda _: open('/nowhere')"])
def test_where_affinity_is_not_told_all_cpus_count(change: str) -> None:
    code = f"import os; {change}; import gancli; print(len(gancli.CPUS) == os.cpu_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"


def test_an_old_state_that_cannot_be_removed_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path)
    directory.state(1).parent.mkdir()
    for step in (1, 2, 3):
        directory.state(step).write_bytes(b"")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        directory.prune(2)
    assert len(directory.states()) == 3
    directory.prune(2)
    assert len(directory.states()) == 2
