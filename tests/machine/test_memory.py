"""Memory that a process may have, as machines and batch systems tell it."""

import ctypes
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gancli.machine import device, memory
from gancli.report import lines

CPU = torch.device("cpu")
OWN = 300_000_000
GB = 10**9


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree of control groups; the file `own` says which this process is in."""
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(memory, "own_bytes", lambda: OWN)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        # A batch job's limits are set above the process's own group.
        ("0::/job/step", {"job/step/memory.max": "max", "job/memory.max": 2 * GB, "job/memory.high": GB}, [GB, 2 * GB]),
        ("0::/", {"memory.max": 10_000_000}, [10_000_000]),  # a container, whose limit is exceeded already
        ("4:memory:/u/job\n1:name=systemd:/a:b\n0::/", {"memory/u/memory.limit_in_bytes": 3 * GB}, [3 * GB]),  # v1
        ("0::/", {}, []),
    ],
)
def test_limits_of_containers_and_batch_jobs_count(
    own: str, files: dict[str, object], expected: list[int], cgroups: Path
) -> None:
    write(cgroups / "own", own + "\n")
    for name, limit in files.items():
        write(cgroups / name, f"{limit}\n")
    assert sorted(memory.limits()) == expected
    if expected:
        assert memory.available_bytes(CPU) == expected[0]
        assert memory.free_bytes(CPU) == max(0, expected[0] - OWN)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/docker/a", {"docker/a/cpu.max": "150000 100000"}, 1.5),
        ("0::/slurm/step", {"slurm/step/cpu.max": "max 100000", "slurm/cpu.max": "400000 100000"}, 4),
        ("4:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, math.inf),
    ],
)
def test_threads_are_no_more_than_a_container_s_cpus(
    own: str, files: dict[str, str], expected: float, cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `docker run --cpus 2` sets them; one thread at least."""
    monkeypatch.setattr(device, "CPUS", frozenset(range(8)))
    write(cgroups / "own", own + "\n")
    for name, text in files.items():
        write(cgroups / name, text + "\n")
    assert memory.cpu_limit() == expected
    assert device.choose_threads(None, 1e12) == min(8, int(min(expected, 8)))


@pytest.mark.usefixtures("cgroups")
def test_without_limits_the_machine_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half of it, where its free memory is unknown."""
    assert memory.cpu_limit() == math.inf
    assert OWN < memory.available_bytes(CPU) < 2**48
    assert memory.free_bytes(CPU) == pytest.approx(memory.available_bytes(CPU) - OWN, rel=0.1)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "nowhere")
    assert memory.free_bytes(CPU) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


HOLDING = """
import torch
from gancli.machine import memory
before = memory.own_bytes()
held = torch.ones(2**26)
print(before, held.nbytes, memory.own_bytes())
"""


def test_what_a_process_holds_is_its_own() -> None:
    """In a process of its own, which holds little to begin with, though the one that starts it may hold much."""
    ours = torch.ones(2**28)  # 1 GiB
    done = subprocess.run([sys.executable, "-c", HOLDING], capture_output=True, text=True, check=True)
    before, held, after = map(int, done.stdout.split())
    assert before < ours.nbytes
    assert max(before, held) < after < before + 1.1 * held


def kernel32(answers: bool = True) -> SimpleNamespace:
    """Windows's functions, on a machine with 16 GB, of which 3 are free, for a process that uses 1 and used 2."""

    def memory_status(fields: Any) -> bool:
        assert struct.unpack_from("=I", fields)[0] == len(fields) == 64, "sizeof(MEMORYSTATUSEX)"
        struct.pack_into("=2Q", fields, 8, 16 * GB, 3 * GB)
        return answers

    def process_memory(handle: Any, fields: Any, size: int) -> bool:
        assert (ctypes.c_void_p(-1).value, 72) == (handle.value, size), "sizeof(PROCESS_MEMORY_COUNTERS)"
        struct.pack_into("=2Q", fields, 8, 2 * GB, 1 * GB)
        return answers

    return SimpleNamespace(GlobalMemoryStatusEx=memory_status, K32GetProcessMemoryInfo=process_memory)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system without /proc, `resource` and `os.sysconf`."""
    for name in ("CGROUPS", "OWN_CGROUP", "MEMINFO", "STATUS"):
        monkeypatch.setattr(memory, name, tmp_path / "nowhere")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "sysconf")


@pytest.mark.usefixtures("windows")
def test_windows_reports_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32()), raising=False)
    assert memory.total_bytes() == 16 * GB
    assert (memory.own_bytes(), memory.peak_bytes()) == (1 * GB, 2 * GB)
    assert (memory.available_bytes(CPU), memory.free_bytes(CPU)) == (4 * GB, 3 * GB)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("answers", [True, False])
def test_unknown_memory_is_shown_as_unknown(monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    if not answers:
        monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32(answers=False)), raising=False)
    assert memory.peak_bytes() == memory.own_bytes() == 0
    assert lines.memory(memory.peak_bytes()) == "memory unknown"
    assert memory.total_bytes() == memory.ASSUMED_BYTES
    assert memory.free_bytes(CPU) == memory.ASSUMED_BYTES // 2


def test_an_unknown_free_disk_space_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.free_disk_bytes(tmp_path)
    assert memory.free_disk_bytes(tmp_path / "nowhere") is None
    monkeypatch.delattr(shutil, "disk_usage")
    assert memory.free_disk_bytes(tmp_path) is None
