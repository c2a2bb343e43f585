"""What only some systems have: modules of Python's own library, and what Windows tells of memory."""

import ctypes
import importlib
from typing import Any, ClassVar


def module(name: str) -> Any:
    """A module, or None where this system has none."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of sysinfoapi.h; bytes."""

    _fields_: ClassVar[Any] = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 5),
    ]


class ProcessMemory(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of psapi.h; bytes."""

    _fields_: ClassVar[Any] = [
        ("length", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("peak", ctypes.c_size_t),
        ("held", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 6),
    ]


def machine_memory() -> MemoryStatus | None:
    """What the machine has, and what of it is free; None but on Windows."""
    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    kernel = _kernel()
    return status if kernel is not None and kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def process_memory() -> ProcessMemory | None:
    """What this process holds, and the most it has held; None but on Windows."""
    counters = ProcessMemory(length=ctypes.sizeof(ProcessMemory))
    kernel = _kernel()
    if kernel is None:
        return None
    this = ctypes.c_void_p(-1)  # GetCurrentProcess's pseudo-handle
    found = kernel.K32GetProcessMemoryInfo(this, ctypes.byref(counters), counters.length)
    return counters if found else None


def _kernel() -> Any:
    return getattr(getattr(ctypes, "windll", None), "kernel32", None)
