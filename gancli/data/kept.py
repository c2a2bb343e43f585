"""What a cache holds: of which data sets, how large, when last used, by whom in use; and how it is kept small.

Everything in it can be made again, so whatever cannot be removed just stays. Imports no torch.
"""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.errors import UsageError
from gancli.files import atomic
from gancli.machine.compiler import COMPILED
from gancli.text import counted

SIZE_VARIABLE = "GAN_CACHE_SIZE"
SHARE = 1 / 4  # of the disk that a cache may fill, unless GAN_CACHE_SIZE says how much
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
OURS = re.compile(r"(?!\.).*-[0-9a-f]{20}\.(?:u8|json|safetensors)", re.DOTALL)
MAX_HEADER_BYTES = 1 << 16
YOUNG_S = 3600.0  # files that belong together come one after the other: they are left alone so long
DAY_S = 24 * 3600.0  # what was used within it stays: a run may have it mapped


@dataclass(frozen=True)
class Kept:
    """One data set, one classifier to measure with, or all compiled steps, which are a folder. `files`: the last one's time
    says when it was last used; `last_used`: seconds since 1970, never in the future."""

    name: str
    files: tuple[Path, ...]
    num_bytes: int
    last_used: float
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The folder, zip or named data set that it was made of; "" where that is not known."""
        return str(self.about.get("source") or self.about.get("dataset") or "")

    @property
    def origin(self) -> list[Any]:
        """What it was made of, as what."""
        return [self.about.get(key) for key in ("source", "split", "request")]

    @property
    def what(self) -> str:
        match self.about:
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


def kept(folder: Path) -> list[Kept]:
    """What lies in the cache `folder`, the last used first. Raises `OSError` where it cannot be listed."""
    stems: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # the pixels before their description
        if OURS.fullmatch(path.name):
            stems.setdefault(path.stem, []).append(path)
    found = [one for name, files in stems.items() if (one := _kept(name, files)) is not None]
    if (folder / COMPILED).is_dir():
        found.append(_compiled(folder / COMPILED))
    return sorted(found, key=lambda one: one.last_used, reverse=True)


def _kept(name: str, files: list[Path]) -> Kept | None:
    try:
        facts, now = [path.stat() for path in files], time.time()
        last = facts[-1].st_mtime
        if last > now:
            # The clock was wrong then, or is now; it counts as used just now, and grows old from here on.
            last = now
            with contextlib.suppress(OSError):
                os.utime(files[-1])
        return Kept(name, tuple(files), sum(each.st_size for each in facts), last, _about(files[-1]))
    except OSError:
        return None  # removed meanwhile


def _compiled(folder: Path) -> Kept:
    """What torch's compiler keeps; the folder's own time says when a run last used it."""
    num_bytes = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # removed meanwhile
            num_bytes += path.lstat().st_size
    return Kept(COMPILED, (folder,), num_bytes, min(time.time(), folder.stat().st_mtime), {"compiled": True})


def _about(path: Path) -> Mapping[str, Any]:
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
    """Note that what `path` describes is used now."""
    with contextlib.suppress(OSError):  # somebody else's cache
        os.utime(path)


def own_limit() -> int | None:
    """Bytes that GAN_CACHE_SIZE allows; None where it is not set. Raises `UsageError`."""
    text = os.environ.get(SIZE_VARIABLE, "").strip()
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?|\d{1,18}) ?([KMGT]?)B?", text.upper())
    if found is None:
        raise UsageError(f"{SIZE_VARIABLE}={text}: must be a size such as 500M or 20G")
    return int(float(found[1]) * UNITS[found[2]])


def limit(folder: Path) -> int | None:
    """Bytes that a cache may hold: GAN_CACHE_SIZE, else a quarter of its disk; None where the disk's size is not told."""
    if (own := own_limit()) is not None:
        return own
    try:
        return int(shutil.disk_usage(folder).total * SHARE)
    except (AttributeError, OSError):
        return None


def tidy(folder: Path, newest: str) -> None:
    """After `newest` was made: remove what was made of the same source for the same request before it changed, then what
    was not used for the longest time, until the cache is within its limit. Nothing that is in use, nor `newest`."""
    with contextlib.suppress(OSError):
        everything = kept(folder)
        own = next((one for one in everything if one.name == newest), None)
        if own is not None and own.about.get("source"):
            before = [one for one in everything if one is not own and one.origin == own.origin]
            _remove(before)
            everything = [one for one in everything if one not in before]
        most = limit(folder)
        surplus = 0 if most is None else sum(one.num_bytes for one in everything) - most
        _remove_oldest([one for one in everything if one is not own], surplus)


def make_room(folder: Path, num_bytes: int) -> None:
    """Remove so much of what was not used for the longest time, if there is so much."""
    with contextlib.suppress(OSError):
        unused = [one for one in kept(folder) if time.time() - one.last_used > DAY_S]
        if sum(one.num_bytes for one in unused) >= num_bytes:
            _remove_oldest(unused, num_bytes)


def _remove_oldest(everything: list[Kept], num_bytes: int) -> None:
    for one in reversed(everything):
        if num_bytes <= 0:
            return
        num_bytes -= _remove([one])


def _remove(them: Iterable[Kept]) -> int:
    """Remove what was not used for a day and can be; gives the bytes of that."""
    removed, now = 0, time.time()
    for one in them:
        if now - one.last_used < DAY_S:
            continue
        with contextlib.suppress(OSError):
            one.remove()
            removed += one.num_bytes
    return removed


def sweep(folder: Path) -> None:
    """Remove what killed runs were decoding into."""
    atomic.sweep(folder, YOUNG_S)
