"""Finds all runs in a folder and its subfolders. Imports no torch."""

import os
from pathlib import Path

from gancli.data.names import natural_order
from gancli.errors import GancliError, os_problem
from gancli.store import run_directory
from gancli.store.run_directory import RunDirectory
from gancli.store.run_info import RunInfo

MAX_DEPTH = 4  # of runs below the folder that is listed: runs/experiment/sweep/000-seed=0, and one more


def runs_under(folder: Path, unreadable: list[str] | None = None) -> list[RunInfo]:
    """Return all runs in a folder and its subfolders, in natural order, each once however many links lead there; the folder
    itself, if it is a run. Adds a message to `unreadable` for each subfolder that cannot be listed. Raises `GancliError` if
    `folder` cannot."""
    found: dict[str, RunDirectory] = {}
    seen: set[tuple[int, int] | None] = set()
    problems: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=problems.append, followlinks=True):
        path, identity = Path(place), _identity(place)
        is_new, is_run = identity not in seen, run_directory.is_run([*folders, *files])
        seen |= {identity} if identity else set()
        if is_new and is_run:
            found[place] = RunDirectory(path)
        descend = is_new and not is_run and len(path.relative_to(folder).parts) < MAX_DEPTH
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if descend else []
    for error in problems:
        if error.filename == str(folder):
            raise GancliError(os_problem(folder, "listed", error))
        if unreadable is not None and not isinstance(error, FileNotFoundError):
            unreadable.append(os_problem(error.filename, "listed", error))
    return [RunInfo(found[name]) for name in natural_order(found)]


def _identity(folder: str) -> tuple[int, int] | None:
    """Return what all links to a folder have in common; None if the disk does not say."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:  # removed meanwhile
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None
