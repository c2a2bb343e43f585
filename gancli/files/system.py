"""What only some systems have: modules of Python's own library, and what Windows tells of memory."""

import ctypes
import importlib
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar


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


Answer = TypeVar("Answer", MemoryStatus, ProcessMemory)


def machine_memory() -> MemoryStatus | None:
    """What the machine has, and what of it is free; None but on Windows."""
    return _filled(MemoryStatus(), lambda kernel, status: kernel.GlobalMemoryStatusEx(status))


def process_memory() -> ProcessMemory | None:
    """What this process holds, and the most it has held; None but on Windows."""
    this = ctypes.c_void_p(-1)  # GetCurrentProcess's pseudo-handle
    size = ctypes.sizeof(ProcessMemory)
    return _filled(ProcessMemory(), lambda kernel, counters: kernel.K32GetProcessMemoryInfo(this, counters, size))


def _filled(answer: Answer, call: Callable[[Any, Any], int]) -> Answer | None:
    """`answer`, its length told and filled by a call of Windows's kernel; None where it refuses, or there is none."""
    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    answer.length = ctypes.sizeof(answer)
    return answer if kernel is not None and call(kernel, ctypes.byref(answer)) else None
