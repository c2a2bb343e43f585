"""How much memory and disk this process may have, and how much of it is left."""

import math
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from gancli.files import system

resource = system.module("resource")  # not on Windows
ASSUMED_BYTES = 8 << 30  # memory of a machine that does not tell
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")


def available_bytes(device: torch.device) -> int:
    """Memory that this process may have on a device: what is free and what it has already. On a CPU what the machine has
    left, and no more than a container's or batch system's limit."""
    if device.type == "cuda":
        return free_bytes(device) + torch.cuda.memory_reserved(device)
    return min([_left_on_this_machine() + own_bytes(), *limits()])


def free_bytes(device: torch.device) -> int:
    """What of it this process has not taken yet."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return max(0, available_bytes(device) - own_bytes())


def limits() -> Iterator[int]:
    """The memory limits in bytes of this process's control group and of all that it lies in: cgroup v2, or v1's groups.

    Batch systems set them on a job or a step, above the group that the process itself is in.
    """
    for version, group in _groups("memory"):
        names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
        yield from (int(text) for name in names if (text := _read(group / name).strip()).isdecimal())


def cpu_limit() -> float:
    """CPU seconds per second that control groups allow this process (`docker run --cpus 2`); infinity without a limit."""
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
    """The control groups that this process is in, the innermost first: of cgroup v2 (2), or of v1's `controller` (1)."""
    for line in _read(OWN_CGROUP).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            version, root = 2, CGROUPS
        elif controller in controllers.split(","):
            version, root = 1, CGROUPS / controller
        else:
            continue
        group = Path(path.lstrip("/"))
        yield from ((version, root / place) for place in (group, *group.parents))


def own_bytes() -> int:
    """What this process holds, without pages of files, which the system takes back when it needs them; where that is not
    told (macOS), the most it has held; 0 where that is not told either. On Linux the most counts what the process that
    started it held, too."""
    if (held := _told(STATUS, "VmRSS")) is not None:
        return held - (_told(STATUS, "RssFile") or 0)
    if (ours := system.process_memory()) is not None:
        return int(ours.held)
    return peak_bytes()


def peak_bytes() -> int:
    """The most that this process has held; 0 where that is not told."""
    if resource is not None:
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
    ours = system.process_memory()
    return 0 if ours is None else int(ours.peak)


def total_bytes() -> int:
    """Memory of this machine, free or not."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows, or a system that does not tell
        status = system.machine_memory()
        total = 0 if status is None else int(status.total)
    return total if total > 0 else ASSUMED_BYTES


def free_disk_bytes(path: Path) -> int | None:
    """Room on the disk that `path` lies on; None where it does not tell."""
    try:
        return shutil.disk_usage(path).free
    except (AttributeError, OSError):
        return None


def _left_on_this_machine() -> int:
    if (left := _told(MEMINFO, "MemAvailable")) is not None:
        return left
    if (status := system.machine_memory()) is not None:
        return int(status.available)
    return total_bytes() // 2  # not told here (macOS): taken to be half


def _told(path: Path, name: str) -> int | None:
    """Bytes, of a line `NAME: N kB` of one of the kernel's files."""
    for line in _read(path).splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
