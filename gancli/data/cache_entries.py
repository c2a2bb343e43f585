"""The entries of the cache: of which datasets, how large, when last used. The oldest go when there are too many.

Everything in the cache can be made again, so what cannot be removed just stays. Imports no torch.
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

from gancli.errors import UsageError
from gancli.files import atomic
from gancli.format import parse_size
from gancli.text import counted

SIZE_VARIABLE = "GAN_CACHE_SIZE"
SHARE = 1 / 4  # of the disk that a cache may fill, unless GAN_CACHE_SIZE says how much
FILE_NAME = re.compile(r"(?!\.).*-[0-9a-f]{20}\.(?:npy|u8|json|safetensors)", re.DOTALL)  # u8: of earlier versions
COMPILED = "compiled"  # the folder of compiled steps
MAX_HEADER_BYTES = 1 << 16
DAY_S = 24 * 3600.0  # what was used within it is not removed: a run may have it mapped
WRITING_S = 600.0  # what was written to within it may belong to a run on a machine whose locks this one does not see


@dataclass(frozen=True)
class CacheEntry:
    """One dataset, one evaluation classifier, or all compiled steps, which are a folder. `last_used`: seconds since 1970,
    never in the future."""

    name: str
    files: tuple[Path, ...]
    num_bytes: int
    last_used: float
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The folder, archive or named dataset that it was made of; "" where that is not known."""
        return str(self.info.get("source") or self.info.get("dataset") or "")

    @property
    def what(self) -> str:
        match self.info:
            case {"shape": [int(count), int(channels), int(height), int(width)]}:
                return f"{counted(count, 'picture', ',')} of {channels}×{height}×{width}"
            case {"sizes": list(sizes)}:
                return counted(len(sizes), "photograph", ",")
            case {"classifier": _}:
                return "classifier to measure with"
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
    """Return the entries of the cache `folder`, the last used first. Raises `OSError` where it cannot be listed."""
    stems: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # the pixels before their description
        if FILE_NAME.fullmatch(path.name):
            stems.setdefault(path.stem, []).append(path)
    found = [entry for name, files in stems.items() if (entry := _entry(name, files)) is not None]
    if (folder / COMPILED).is_dir():
        found.append(_compiled(folder / COMPILED))
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def _entry(name: str, files: list[Path]) -> CacheEntry | None:
    try:
        facts = [path.stat() for path in files]
        last_used = _in_the_past(max(each.st_mtime for each in facts))
        return CacheEntry(name, tuple(files), sum(each.st_size for each in facts), last_used, _info(files[-1]))
    except OSError:
        return None  # removed meanwhile


def _compiled(folder: Path) -> CacheEntry:
    """What torch's compiler keeps; the folder's own time says when a run last used it."""
    num_bytes = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # removed meanwhile
            num_bytes += path.lstat().st_size
    return CacheEntry(COMPILED, (folder,), num_bytes, _in_the_past(folder.stat().st_mtime), {"compiled": True})


def _in_the_past(time_s: float) -> float:
    """A time of a clock that was wrong, or is now, counts as so long ago as it lies ahead: it keeps nothing for ever."""
    now = time.time()
    return now - abs(now - time_s)


def _info(path: Path) -> Mapping[str, Any]:
    try:
        if path.suffix == ".json":
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
    """Note that the entry of this file is in use now."""
    with contextlib.suppress(OSError):  # another user's cache
        os.utime(path)


def own_limit() -> int | None:
    """Return the bytes that GAN_CACHE_SIZE allows; None where it is not set. Raises `UsageError`."""
    text = os.environ.get(SIZE_VARIABLE, "").strip()
    if not text:
        return None
    if (limit := parse_size(text)) is None:
        raise UsageError(f"{SIZE_VARIABLE}={text}: must be a size such as 500M or 20G")
    return limit


def limit(folder: Path) -> int | None:
    """Return the bytes that a cache may hold: GAN_CACHE_SIZE, else a quarter of its disk; None where that is not known."""
    if (own := own_limit()) is not None:
        return own
    try:
        return int(shutil.disk_usage(folder).total * SHARE)
    except (AttributeError, OSError):
        return None


def sweep(folder: Path) -> None:
    """Remove what killed runs were decoding into."""
    atomic.sweep(folder, WRITING_S)


def tidy(folder: Path) -> None:
    """Remove what was not used for longest until the cache is within its limit."""
    sweep(folder)
    with contextlib.suppress(OSError):
        entries, most = list_entries(folder), limit(folder)
        if most is not None:
            _remove_oldest(entries, sum(entry.num_bytes for entry in entries) - most)


def make_room(folder: Path, num_bytes: int) -> None:
    """Remove so many bytes of what was not used for longest."""
    sweep(folder)
    with contextlib.suppress(OSError):
        _remove_oldest(list_entries(folder), num_bytes)


def _remove_oldest(entries: list[CacheEntry], num_bytes: int) -> None:
    """Remove `num_bytes` of `entries` from the end, where the oldest are, but nothing that was used within a day."""
    for entry in reversed(entries):
        if num_bytes <= 0 or time.time() - entry.last_used < DAY_S:
            return
        with contextlib.suppress(OSError):
            entry.remove()
            num_bytes -= entry.num_bytes
