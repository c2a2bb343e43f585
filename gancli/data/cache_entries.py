"""The entries of the cache: their datasets, sizes and times of use. The oldest are removed when there are too many.

Everything in the cache can be made again, so what cannot be removed stays. Imports no torch.
"""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.files import atomic
from gancli.format import size_variable
from gancli.text import counted

SIZE_VARIABLE = "GAN_CACHE_SIZE"
SHARE = 1 / 4  # of the disk that a cache may fill without GAN_CACHE_SIZE
FILE_NAME = re.compile(r"(?!\.).*-[0-9a-f]{20}\.(?:npy|u8|json|safetensors)", re.DOTALL)  # u8: of earlier versions
COMPILED = "compiled"  # the folder of compiled steps
MAX_HEADER_BYTES = 1 << 16
DAY_S = 24 * 3600.0  # an entry that was used within it is not removed: a run may have it mapped
WRITING_S = 600.0  # a file that was written to within it may belong to a run whose locks this machine does not see


@dataclass(frozen=True)
class CacheEntry:
    """A dataset, an evaluation classifier, or all compiled steps (a folder). `last_used`: seconds since 1970, never in the
    future."""

    name: str
    files: tuple[Path, ...]
    num_bytes: int
    last_used: float
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The folder, archive or named dataset that it was made of; "" if unknown."""
        return str(self.info.get("source") or self.info.get("dataset") or "")

    @property
    def what(self) -> str:
        """A description of its content."""
        match self.info:
            case {"shape": [int(count), int(channels), int(height), int(width)]}:
                return f"{counted(count, 'image', ',')} of {channels}×{height}×{width}"
            case {"sizes": list(sizes)}:
                return counted(len(sizes), "photograph", ",")
            case {"classifier": _}:
                return "evaluation classifier"
            case {"compiled": _}:
                return "compiled steps"
        return "unfinished or damaged"

    def remove(self) -> None:
        """Remove its files. Raises `OSError`."""
        for path in self.files:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def list_entries(folder: Path) -> list[CacheEntry]:
    """Return the entries of the cache `folder`, the most recently used first. Raises `OSError` if it cannot be listed."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # the pixels before their description
        if FILE_NAME.fullmatch(path.name) or path.name == COMPILED:
            files.setdefault(path.stem, []).append(path)
    entries = []
    for name, paths in files.items():
        with contextlib.suppress(OSError):  # removed meanwhile
            last_used = _in_the_past(max(path.stat().st_mtime for path in paths))
            entries.append(CacheEntry(name, tuple(paths), sum(map(_size, paths)), last_used, _info(paths[-1])))
    return sorted(entries, key=lambda entry: entry.last_used, reverse=True)


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder. Raises `OSError`."""
    num_bytes = path.stat().st_size
    for inner in path.rglob("*") if path.is_dir() else ():
        with contextlib.suppress(OSError):  # removed meanwhile
            num_bytes += inner.lstat().st_size
    return num_bytes


def _in_the_past(time_s: float) -> float:
    """Mirror a time in the future, of a clock that was wrong or is now, into the past: no entry stays for ever."""
    now = time.time()
    return now - abs(now - time_s)


def _info(path: Path) -> Mapping[str, Any]:
    """Return what a description, or the header of weights, says about an entry; {} if it is unfinished or damaged."""
    try:
        if path.name == COMPILED:
            read = {"compiled": True}
        elif path.suffix == ".json":
            read = json.loads(path.read_bytes())
        elif path.suffix == ".safetensors":
            with path.open("rb") as file:
                header = file.read(min(MAX_HEADER_BYTES, int.from_bytes(file.read(8), "little")))
            read = {"classifier": True, **json.loads(header).get("__metadata__", {})}
        else:
            return {}
    except (OSError, ValueError, RecursionError, AttributeError, TypeError):
        return {}
    return read if isinstance(read, dict) else {}


def touch(path: Path) -> None:
    """Record that the entry of this file is in use now."""
    with contextlib.suppress(OSError):  # another user's cache
        os.utime(path)


def own_limit() -> int | None:
    """Return the bytes that GAN_CACHE_SIZE allows; None if it is not set. Raises `UsageError`."""
    return size_variable(SIZE_VARIABLE)


def limit(folder: Path) -> int | None:
    """Return the bytes that a cache may have: GAN_CACHE_SIZE, else a quarter of its disk; None if that is unknown."""
    if (own := own_limit()) is not None:
        return own
    try:
        return int(shutil.disk_usage(folder).total * SHARE)
    except (AttributeError, OSError):
        return None


def sweep(folder: Path) -> None:
    """Remove the files that killed runs were decoding into."""
    atomic.sweep(folder, WRITING_S)


def tidy(folder: Path) -> None:
    """Remove the least recently used entries until the cache is within its limit."""
    with contextlib.suppress(OSError):
        allowed = limit(folder)
        excess = 0 if allowed is None else sum(entry.num_bytes for entry in list_entries(folder)) - allowed
        remove_oldest(folder, excess)


def remove_oldest(folder: Path, num_bytes: int) -> None:
    """Remove unfinished files, and `num_bytes` of the least recently used entries, but none that was used within a day."""
    sweep(folder)
    with contextlib.suppress(OSError):
        for entry in reversed(list_entries(folder)):
            if num_bytes <= 0 or time.time() - entry.last_used < DAY_S:
                return
            with contextlib.suppress(OSError):
                entry.remove()
                num_bytes -= entry.num_bytes
