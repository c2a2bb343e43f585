"""`gan cache`: the decoded data sets that are kept, and clearing them. Imports no torch."""

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
from gancli.errors import GancliError, PartlyFailedError, UsageError, did_you_mean, printable
from gancli.files import atomic
from gancli.format import duration, size


def cache(
    name: Annotated[str | None, typer.Argument(metavar="NAME|PATH", show_default=False,
                                               autocompletion=completing.cached, help=(
        "Only what was made of one dataset: its name, folder or archive, or a file of the list."))] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is listed.")] = False,
    data_root: Annotated[str, typer.Option(envvar="GAN_DATA", metavar="DIR", help="Where data sets lie.")] = DATA_ROOT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    """List the decoded datasets that are kept in the data root, or clear them. Everything here is made again when needed.

    GAN_CACHE_SIZE (such as 20G; a quarter of the disk) limits how much is kept: what was not used for longest goes first,
    but nothing that was used within a day.
    """
    folder = paths.data_root(data_root).path / "cache"
    found = _chosen(_listed(folder), name, clear)
    removed, failed = _cleared(folder, found) if clear else ([], {})
    if as_json:
        console.print_json(_document(folder, removed if clear else found, failed, clear), indent=2)
    elif clear:
        freed = size(sum(one.num_bytes for one in removed))
        console.print_result(f"removed {len(removed)} of {len(found)} from {folder}: {freed}")
    else:
        _show(folder, found)
    if failed:
        first = next(iter(failed.values()))
        raise PartlyFailedError(f"{len(failed)} of {len(found)} stay; the first: {first}")


def _listed(folder: Path) -> list[CacheEntry]:
    cache_entries.own_limit()
    try:
        return cache_entries.list_entries(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise GancliError(f"{folder}: cannot be listed ({atomic.reason(error)})") from error


def _chosen(everything: list[CacheEntry], name: str | None, clear: bool) -> list[CacheEntry]:
    """What was made of `name`, or everything. Raises `UsageError` where nothing was."""
    if name is None:
        return everything
    place = paths.expanded(Path(name), "NAME|PATH")
    known = {word for one in everything for word in _words(one)}
    found = [one for one in everything if name in _words(one) or str(place.resolve()) == one.source]
    if not found:
        flag = "--clear " if clear else ""
        raise UsageError(f"{flag}{name}: nothing is kept of it{did_you_mean(name, known)}; gan cache lists what is")
    return found


def _words(one: CacheEntry) -> set[str]:
    """What something in the cache can be called by."""
    return {one.name, one.files[0].name, one.source, Path(one.source).name} - {""}


def _cleared(folder: Path, found: list[CacheEntry]) -> tuple[list[CacheEntry], dict[str, str]]:
    """Removes what can be; gives that, and why the others stay."""
    removed, failed = [], dict[str, str]()
    for one in found:
        try:
            one.remove()
            removed.append(one)
        except OSError as error:
            failed[one.name] = f"{one.files[0]}: cannot be removed ({atomic.reason(error)})"
    cache_entries.sweep(folder)
    return removed, failed


def _document(folder: Path, them: list[CacheEntry], failed: dict[str, str], clear: bool) -> dict[str, Any]:
    rows = [
        {
            "file": str(one.files[0]),
            "source": one.source or None,
            "what": one.what,
            "bytes": one.num_bytes,
            "last_used": datetime.datetime.fromtimestamp(one.last_used, datetime.UTC).isoformat(timespec="seconds"),
        }
        for one in them
    ]
    place = {"folder": str(folder), "limit_bytes": cache_entries.limit(folder)}
    return {**place, "removed": rows, "failed": failed} if clear else {**place, "kept": rows}


def _show(folder: Path, found: list[CacheEntry]) -> None:
    """Print a line for each entry, its source last, as that may be long; then their sum."""
    out, now = console.out(), time.time()
    rows = [
        (
            size(one.num_bytes),
            f"used {duration(now - one.last_used)} ago",
            one.what,
            printable(one.source or str(one.files[0])),
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, source in rows:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        out.print(f"{padded}  {source}", markup=False, soft_wrap=True)
    total, most = sum(one.num_bytes for one in found), cache_entries.limit(folder)
    room = "" if most is None else f" of at most {size(most)} ({cache_entries.SIZE_VARIABLE})"
    out.print(f"{folder}: {size(total)}{room}", markup=False, soft_wrap=True)
