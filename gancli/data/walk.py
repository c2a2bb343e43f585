"""List the images of a folder or an archive, its folders, and the files that are skipped."""

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gancli.data.formats import is_image, is_junk, is_unsupported_image
from gancli.data.patterns import is_archive, kind_of
from gancli.errors import DataError, os_problem
from gancli.events import Emit, Preparing, RateLimiter
from gancli.text import Note, counted, few

RUN_CONFIG, RUN_PARTS = "config.toml", ("state", "ckpt.safetensors", "best.safetensors", "metrics.jsonl")
MAX_DEPTH = 100  # folders in one another, in an archive
Mark = tuple[int, int]


@dataclass
class FolderListing:
    """Names relative to the folder or archive, with `/`. `marks`: for every image, what shows a change: its size in bytes,
    and its mtime in ns, or CRC in a zip. The lists are of what is skipped."""

    marks: dict[str, Mark] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    undecodable: list[str] = field(default_factory=list)  # images that cannot be decoded
    runs: list[str] = field(default_factory=list)  # run directories
    duplicates: list[str] = field(default_factory=list)  # links and entries that lead to the same
    odd: list[str] = field(default_factory=list)  # entries of an archive that are not plain files in it
    archives: list[str] = field(default_factory=list)
    unlistable: dict[str, str] = field(default_factory=dict)  # folders that cannot be listed, with the reason
    unreadable: dict[str, str] = field(default_factory=dict)  # named as images, but not readable files, with the reason

    def notes(self) -> list[str]:
        """Return messages, one for each kind."""
        kinds = ", ".join(sorted({PurePosixPath(name).suffix.lower() for name in self.undecodable}))
        heif = ", or install pillow-heif" if ".hei" in kinds else ""
        messages = (
            (self.undecodable, "image", f"left out: {kinds} cannot be decoded here; convert to .png or .jpg{heif}"),
            (self.runs, "folder", "skipped: run directories of gan, whose images are samples"),
            (self.duplicates, "name", "skipped: another link or entry leads to the same"),
            (self.odd, "entry", "skipped: a link, a device, a file with holes, or a name outside of the archive"),
            (list(self.unlistable), "folder", "skipped: cannot be listed"),
            (self.archives, "archive", "skipped: name it with --dataset to read it, and unpack it if it is in another"),
        )
        lines = [
            (names, f"{counted(len(names), noun)} {text} ({few(names)})") for names, noun, text in messages if names
        ]
        return [Note(line) if names is self.runs or names is self.duplicates else line for names, line in lines]


def list_folder(
    root: Path,
    skip_closed: bool,
    emit: Emit,
    *,
    most: int | None = None,
    deep: bool = True,
    left_out: Path | None = None,
) -> FolderListing:
    """List a folder and, if `deep`, its subfolders, without `left_out`; given `most`, until there are so many images. Links
    to folders are followed, and each folder is visited once, by its own name if it has one here. Raises `DataError` for a
    folder that cannot be listed; with `skip_closed`, for `root` only."""
    found, pace = FolderListing(), RateLimiter()
    visited = set[tuple[int, int]]()
    with contextlib.suppress(OSError):
        visited |= {(left_out.stat().st_dev, left_out.stat().st_ino)} if left_out else set()
    todo, links = [""], list[str]()
    while (todo or links) and (most is None or len(found.marks) < most):
        folder = todo.pop() if todo else links.pop(0)
        try:
            inside = _list_once(root / folder, visited)
        except OSError as error:
            if not folder or not skip_closed:
                remedy = "; --on-bad-image skip skips it" if folder else ""
                raise DataError(f"{os_problem(root / folder, 'listed', error)}{remedy}") from None
            found.unlistable[folder[:-1]] = f"cannot be listed ({error.strerror})"
            continue
        if inside is None:
            found.duplicates.append(folder[:-1])
            continue
        if is_run(entry.name for entry in inside):
            found.runs.append(folder[:-1] or "samples")
            inside = [] if folder else [entry for entry in inside if entry.name != "samples"]
        elif folder:
            found.folders.add(folder[:-1])
        folders = []
        for entry in inside:
            if _is_folder(entry, f"{folder}{entry.name}", found):
                folders.append(entry)
            if pace.due():
                emit(Preparing(f"listing {root.name}", len(found.marks), 0, "images"))
        for entry in reversed(folders if deep else []):
            (links if entry.is_symlink() else todo).append(f"{folder}{entry.name}/")
    found.undecodable.sort()
    found.archives.sort()
    return found


def _list_once(folder: Path, visited: set[tuple[int, int]]) -> "list[os.DirEntry[str]] | None":
    """Return the entries of a folder by name, or None if it was visited. Raises `OSError`."""
    here = folder.stat()
    if (here.st_dev, here.st_ino) in visited:
        return None
    visited.add((here.st_dev, here.st_ino))
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: "os.DirEntry[str]", name: str, found: FolderListing) -> bool:
    """Return whether an entry is a folder to list; add a file to `found`."""
    try:
        facts = entry.stat()
    except OSError as error:  # a dangling link, or a file removed meanwhile
        if is_image(entry.name):
            found.unreadable[name] = f"cannot be read ({error.strerror})"
        return False
    if stat.S_ISDIR(facts.st_mode):
        return not is_junk(entry.name)
    if not stat.S_ISREG(facts.st_mode):
        if is_image(entry.name):
            found.unreadable[name] = "is not a file"
    elif is_image(entry.name):
        found.marks[name] = (facts.st_size, facts.st_mtime_ns)
    elif is_unsupported_image(entry.name):
        found.undecodable.append(name)
    elif kind_of(entry.name) and not is_junk(entry.name):
        found.archives.append(name)
    return False


def is_run(names: Iterable[str]) -> bool:
    """Whether a folder with these names in it is a run directory, whose sample grids are not data."""
    there = set(names)
    return RUN_CONFIG in there and not there.isdisjoint(RUN_PARTS)


def name_in_archive(raw: str) -> str | None:
    """Return the name that unpacking gives to an archive's entry; None if that would be outside, or nested too deep."""
    parts = raw.split("/")
    if ".." in parts or len(parts) > MAX_DEPTH:
        return None
    return "/".join(part for part in parts if part not in ("", "."))


def sort_files(found: FolderListing, files: Mapping[str, Mark], folders: Iterable[str]) -> None:
    """Add the `files` of an archive, and the `folders` that it names, to `found`."""
    inside: dict[str, set[str]] = {}  # the names in each folder
    for name in (*files, *folders):
        while name and name not in inside.get(name.rpartition("/")[0], ()):
            inside.setdefault(name.rpartition("/")[0], set()).add(name.rpartition("/")[2])
            name = name.rpartition("/")[0]
    runs = {folder or "samples" for folder, names in inside.items() if is_run(names)}
    for name, mark in files.items():
        if is_image(name) and not (runs and any(str(parent) in runs for parent in PurePosixPath(name).parents)):
            found.marks[name] = mark
        elif is_unsupported_image(name):
            found.undecodable.append(name)
        elif is_archive(name) and not any(map(is_junk, name.split("/"))):
            found.archives.append(name)
    found.folders |= {*folders, *inside} - {""}
    found.runs, found.undecodable, found.archives = sorted(runs), sorted(found.undecodable), sorted(found.archives)
    found.duplicates = [name for name in found.duplicates if name in found.marks]
