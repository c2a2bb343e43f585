"""`gan cache`: the decoded datasets in the cache, and clearing them. Imports no torch."""

import datetime
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import completing, console
from gancli.config import paths
from gancli.config.run import DATA_ROOT
from gancli.data import cache_entries
from gancli.data.cache_entries import CacheEntry
from gancli.errors import GancliError, PartlyFailedError, UsageError, did_you_mean, os_problem
from gancli.format import duration, size
from gancli.text import printable


def cache(
    name: Annotated[str | None, typer.Argument(metavar="NAME|PATH", show_default=False,
                                               autocompletion=completing.cached, help=(
        "Only the entries of one dataset: its name, folder or archive, or a file of the list."))] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the entries.")] = False,
    data_root: Annotated[str, typer.Option(envvar="GAN_DATA", metavar="DIR", help="The folder of datasets.")] = DATA_ROOT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    """List the decoded datasets in the data root, or clear them. Entries are recreated when needed.

    GAN_CACHE_SIZE (such as 20G; default: a quarter of the disk) limits the cache. The least recently used entries are
    removed first, but none that was used within a day.
    """
    folder = paths.data_root(data_root).path / "cache"
    entries = _entries(folder, name, clear)
    removed, failed = _clear(folder, entries) if clear else ([], {})
    if as_json:
        about = {"folder": str(folder), "limit_bytes": cache_entries.limit(folder)}
        rows = {"removed": _rows(removed), "failed": failed} if clear else {"kept": _rows(entries)}
        console.print_json(about | rows, indent=2)
    elif clear:
        freed = size(sum(entry.num_bytes for entry in removed))
        console.print_result(f"removed {len(removed)} of {len(entries)} from {folder}: {freed}")
    else:
        _show(folder, entries)
    if failed:
        first = next(iter(failed.values()))
        raise PartlyFailedError(f"{len(failed)} of {len(entries)} were not removed; the first: {first}")


def _entries(folder: Path, name: str | None, clear: bool) -> list[CacheEntry]:
    """Return the entries of a dataset, or all. Raises `UsageError` if there are none of that dataset."""
    cache_entries.own_limit()
    try:
        entries = cache_entries.list_entries(folder)
    except FileNotFoundError:
        entries = []
    except OSError as error:
        raise GancliError(os_problem(folder, "listed", error)) from error
    if name is None:
        return entries
    source = str(paths.expanded(Path(name), "NAME|PATH").resolve())
    chosen = [entry for entry in entries if name in _names(entry) or source == entry.source]
    if not chosen:
        hint = did_you_mean(name, {known for entry in entries for known in _names(entry)})
        raise UsageError(f"{'--clear ' if clear else ''}{name}: is not in the cache{hint}; gan cache lists all entries")
    return chosen


def _names(entry: CacheEntry) -> set[str]:
    return {entry.name, entry.files[0].name, entry.source, Path(entry.source).name} - {""}


def _clear(folder: Path, entries: list[CacheEntry]) -> tuple[list[CacheEntry], dict[str, str]]:
    """Remove entries. Returns those removed, and why the others were not, by name."""
    removed, failed = [], dict[str, str]()
    for entry in entries:
        try:
            entry.remove()
            removed.append(entry)
        except OSError as error:
            failed[entry.name] = os_problem(entry.files[0], "removed", error)
    cache_entries.sweep(folder)
    return removed, failed


def _rows(entries: list[CacheEntry]) -> list[dict[str, Any]]:
    return [
        {
            "file": str(entry.files[0]),
            "source": entry.source or None,
            "what": entry.what,
            "bytes": entry.num_bytes,
            "last_used": datetime.datetime.fromtimestamp(entry.last_used, datetime.UTC).isoformat(timespec="seconds"),
        }
        for entry in entries
    ]


def _show(folder: Path, entries: list[CacheEntry]) -> None:
    """Print a line for each entry, with its source last, as that may be long; then their total size."""
    out, now = console.out(), time.time()
    rows = [(size(entry.num_bytes), f"used {duration(now - entry.last_used)} ago", entry.what) for entry in entries]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for entry, row in zip(entries, rows, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.print(f"{cells}  {printable(entry.source or str(entry.files[0]))}", markup=False, soft_wrap=True)
    total, limit = size(sum(entry.num_bytes for entry in entries)), cache_entries.limit(folder)
    limited = "" if limit is None else f" of at most {size(limit)} ({cache_entries.SIZE_VARIABLE})"
    out.print(f"{folder}: {total}{limited}", markup=False, soft_wrap=True)
