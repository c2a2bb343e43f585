"""How much memory, disk and CPU time this process may use, and how much memory is left."""

import ctypes
import math
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `gan env` reads memory where torch cannot be imported
    import torch

ASSUMED_BYTES = 8 << 30  # memory of a machine that does not report it
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
MEMORY_STATUS = "=2I7Q"  # MEMORYSTATUSEX of sysinfoapi.h: length, load, total, available, …
PROCESS_MEMORY = "=2I8Q"  # PROCESS_MEMORY_COUNTERS of psapi.h on 64-bit Windows: length, faults, peak, current, …


def available_bytes(device: "torch.device") -> int:
    """Return the memory that this process may use on a device: free memory and its own. On a CPU at most the limit of a
    container or batch system."""
    if device.type == "cuda":
        import torch

        return free_bytes(device) + torch.cuda.memory_reserved(device)
    return min([_machine_free_bytes() + own_bytes(), *limits()])


def free_bytes(device: "torch.device") -> int:
    """Return how much of `available_bytes` this process does not use yet."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return max(0, available_bytes(device) - own_bytes())


def limits() -> Iterator[int]:
    """Yield the memory limits, in bytes, of this process's control group and of its parents (cgroup v1 and v2).

    Batch systems set them on a job or a step, which are parents of the process's own group.
    """
    for version, group in _groups("memory"):
        names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
        yield from (int(text) for name in names if (text := _read(group / name).strip()).isdecimal())


def cpu_limit() -> float:
    """Return the CPU seconds per second that control groups allow this process (`docker run --cpus 2`), or infinity."""
    quotas = [math.inf]
    for version, group in _groups("cpu"):
        if version == 2:
            quota, _, period = _read(group / "cpu.max").strip().partition(" ")
        else:
            quota, period = (_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        if quota.isdecimal() and period.isdecimal():
            quotas.append(int(quota) / max(1, int(period)))
    return min(quotas)


def _groups(controller: str) -> Iterator[tuple[int, Path]]:
    """Yield the cgroup version (2, or 1 for v1's `controller`) and folder of each control group of this process, the
    innermost first."""
    for line in _read(OWN_CGROUP).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            version, root = 2, CGROUPS
        elif controller in controllers.split(","):
            version, root = 1, CGROUPS / controller
        else:
            continue
        group = Path(path.lstrip("/"))
        yield from ((version, root / folder) for folder in (group, *group.parents))


def own_bytes() -> int:
    """Return the memory that this process uses, without file pages, which the system can reclaim; its peak where only that
    is known (macOS), else 0. On Linux the peak includes memory of the parent process."""
    if (used := _kilobytes(STATUS, "VmRSS")) is not None:
        return used - (_kilobytes(STATUS, "RssFile") or 0)
    return windows[3] if (windows := _windows_process()) else peak_bytes()


def peak_bytes() -> int:
    """Return the most memory that this process has used so far, or 0 where that is unknown."""
    if sys.platform == "win32":
        return windows[2] if (windows := _windows_process()) else 0
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def total_bytes() -> int:
    """Return the memory of this machine, free or not."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows, or a system that does not report it
        total = windows[2] if (windows := _windows_machine()) else 0
    return total if total > 0 else ASSUMED_BYTES


def free_disk_bytes(path: Path) -> int | None:
    """Return the free bytes of the disk that holds `path`, or None where they are unknown."""
    try:
        return shutil.disk_usage(path).free
    except (AttributeError, OSError):
        return None


def _machine_free_bytes() -> int:
    if (free := _kilobytes(MEMINFO, "MemAvailable")) is not None:
        return free
    return windows[3] if (windows := _windows_machine()) else total_bytes() // 2  # macOS: assumed


def _kilobytes(path: Path, name: str) -> int | None:
    """Return in bytes what a line `NAME: N kB` of one of the kernel's files says."""
    for line in _read(path).splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _windows_machine() -> tuple[int, ...] | None:
    """Return the fields of `MEMORY_STATUS`, or None on other systems."""
    return _filled(MEMORY_STATUS, lambda kernel, fields: kernel.GlobalMemoryStatusEx(fields))


def _windows_process() -> tuple[int, ...] | None:
    """Return the fields of `PROCESS_MEMORY`, or None on other systems."""
    current = ctypes.c_void_p(-1)  # the handle that GetCurrentProcess returns
    size = struct.calcsize(PROCESS_MEMORY)
    return _filled(PROCESS_MEMORY, lambda kernel, fields: kernel.K32GetProcessMemoryInfo(current, fields, size))


def _filled(layout: str, call: Callable[[Any, Any], int]) -> tuple[int, ...] | None:
    """Return the fields of a structure, of which the first is its size, that a function of kernel32 fills."""
    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    size = struct.calcsize(layout)
    fields = ctypes.create_string_buffer(struct.pack("=I", size), size)
    return struct.unpack(layout, fields.raw) if kernel is not None and call(kernel, fields) else None
