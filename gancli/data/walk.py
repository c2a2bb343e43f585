"""What lies in a folder or an archive: its pictures, its folders, and what is passed over."""

import contextlib
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gancli.data.formats import is_image, is_junk, is_other_picture
from gancli.data.patterns import is_archive, kind_of
from gancli.errors import DataError
from gancli.events import Emit, Pace, Preparing
from gancli.text import Note, counted, few

RUN_CONFIG, RUN_PARTS = "config.toml", ("state", "ckpt.safetensors", "best.safetensors", "metrics.jsonl")
ON_WINDOWS = (0, 10, 11)  # FAT, NTFS and VFAT in a zip entry's `create_system`
UTF8_NAME = 0x800
MAX_DEPTH = 100  # folders in one another, in a zip
Mark = tuple[int, int]


@dataclass
class Found:
    """Names relative to the folder or archive, with `/`. `marks`: of every picture, what shows a change: its size in bytes,
    and its mtime in ns, or CRC in a zip. The lists are of what is passed over."""

    marks: dict[str, Mark] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)  # folders that hold nothing at all
    others: list[str] = field(default_factory=list)  # pictures that are not read here
    runs: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)  # folders that cannot be listed, with the reason
    broken: dict[str, str] = field(
        default_factory=dict
    )  # what is called as a picture is but is no file, with the reason
    archives: list[str] = field(default_factory=list)  # tars and Parquet files in a folder
    nested: list[str] = field(default_factory=list)  # archives in an archive
    odd: list[str] = field(default_factory=list)  # what is no plain file, in a tar

    def notes(self) -> list[str]:
        """What a user should know of, one line for each kind."""
        kinds = ", ".join(sorted({PurePosixPath(name).suffix.lower() for name in self.others}))
        heif = ", or install pillow-heif" if ".hei" in kinds else ""
        told = (
            (self.others, "picture", f"left out: {kinds} cannot be decoded here; convert to .png or .jpg{heif}"),
            (self.runs, "folder", "passed over: of runs of gan, whose pictures are samples"),
            (self.twice, "name", "passed over: another link or entry of the same leads there"),
            (self.outside, "entry", "left out: named to lie outside of the archive, or too deep in it"),
            (list(self.closed), "folder", "passed over: cannot be listed"),
            (self.archives, "archive", "passed over, beside the pictures: -d with its name, or a pattern, reads it"),
            (self.nested, "archive", "passed over: inside of another one; unpack it"),
            (self.odd, "entry", "passed over: a link, a device or a file with holes"),
        )
        lines = [(names, f"{counted(len(names), thing)} {what} ({few(names)})") for names, thing, what in told if names]
        return [Note(line) if names is self.runs or names is self.twice else line for names, line in lines]


def walked(
    root: Path,
    skip_closed: bool,
    emit: Emit,
    *,
    most: int | None = None,
    deep: bool = True,
    left_out: Path | None = None,
) -> Found:
    """Everything in a folder and, if `deep`, below it, but not in `left_out`; given `most`, no further than to so many
    pictures. Links to folders are followed, each folder is visited once, by its own name if it has one here. Raises
    `DataError` for a folder that cannot be listed, unless those below `root` are to be skipped."""
    found, pace = Found(), Pace()
    visited = set[tuple[int, int]]()
    with contextlib.suppress(OSError):
        visited |= {(left_out.stat().st_dev, left_out.stat().st_ino)} if left_out else set()
    todo, links = [""], list[str]()
    while (todo or links) and (most is None or len(found.marks) < most):
        folder = todo.pop() if todo else links.pop(0)
        try:
            here = (root / folder).stat()
            if (here.st_dev, here.st_ino) in visited:
                found.twice.append(folder[:-1])
                continue
            visited.add((here.st_dev, here.st_ino))
            with os.scandir(root / folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not folder or not skip_closed:
                way_out = "; --on-bad-image skip passes it over" if folder else ""
                raise DataError(f"{root / folder}: cannot be listed ({error.strerror}){way_out}") from None
            found.closed[folder[:-1]] = f"cannot be listed ({error.strerror})"
            continue
        if is_run(entry.name for entry in inside):
            found.runs.append(folder[:-1] or "samples")
            inside = [] if folder else [entry for entry in inside if entry.name != "samples"]
        elif folder:
            found.folders.add(folder[:-1])
            found.empty |= set() if any(not is_junk(entry.name) for entry in inside) else {folder[:-1]}
        folders = []
        for entry in inside:
            if _is_folder(entry, f"{folder}{entry.name}", found):
                folders.append(entry)
            if pace.due():
                emit(Preparing(f"listing {root.name}", len(found.marks), 0, "images"))
        for entry in reversed(folders if deep else []):
            (links if entry.is_symlink() else todo).append(f"{folder}{entry.name}/")
    found.others.sort()
    found.archives.sort()
    return found


def _is_folder(entry: "os.DirEntry[str]", name: str, found: Found) -> bool:
    """Whether to look into an entry; a file that is a picture is noted."""
    try:
        facts = entry.stat()
    except OSError as error:  # a dangling link, or a file removed meanwhile
        if is_image(entry.name):
            found.broken[name] = f"cannot be read ({error.strerror})"
        return False
    if stat.S_ISDIR(facts.st_mode):
        return not is_junk(entry.name)
    if not stat.S_ISREG(facts.st_mode):
        if is_image(entry.name):
            found.broken[name] = "is no file"
    elif is_image(entry.name):
        found.marks[name] = (facts.st_size, facts.st_mtime_ns)
    elif is_other_picture(entry.name):
        found.others.append(name)
    elif kind_of(entry.name) and not is_junk(entry.name):
        found.archives.append(name)
    return False


def is_run(names: Iterable[str]) -> bool:
    """Whether a folder that holds these names is a run directory, whose sample grids are no data."""
    there = set(names)
    return RUN_CONFIG in there and not there.isdisjoint(RUN_PARTS)


def in_zip(archive: zipfile.ZipFile) -> tuple[Found, dict[str, zipfile.ZipInfo]]:
    """Everything in a zip, made on whatever system, and its files by their names. Of entries with one name the last counts,
    as in unpacking."""
    found, infos = Found(), archive.infolist()
    slashes = any("/" in info.filename for info in infos)
    folders, members = set[str](), dict[str, zipfile.ZipInfo]()
    for info in infos:
        raw = _name_of(info)
        windows = info.create_system in ON_WINDOWS or not slashes
        name = within(raw.replace("\\", "/") if windows else raw)
        if name is None:
            found.outside.append(raw)
        elif raw.endswith("/") or (windows and raw.endswith("\\")):
            folders.add(name)
        else:
            found.twice += [name] if name in members else []
            members[name] = info
    sort_out(found, {name: (info.file_size, info.CRC) for name, info in sorted(members.items())}, folders)
    return found, members


def within(raw: str) -> str | None:
    """The name that unpacking gives to an archive's entry; None where that would lie outside, or too deep."""
    parts = raw.split("/")
    if ".." in parts or len(parts) > MAX_DEPTH:
        return None
    return "/".join(part for part in parts if part not in ("", "."))


def sort_out(found: Found, files: Mapping[str, Mark], named: set[str]) -> None:
    """Note in `found` what the `files` of an archive are, and its folders, of which some were `named`."""
    for name in files:
        _add_parents(name, found.folders)
    found.empty = {name for name in named - found.folders if name and not any(map(is_junk, name.split("/")))}
    found.folders |= found.empty
    runs = _runs(files)
    for name, mark in files.items():
        if is_image(name) and not (runs and _is_within(name, runs)):
            found.marks[name] = mark
        elif is_other_picture(name):
            found.others.append(name)
        elif is_archive(name) and not any(map(is_junk, name.split("/"))):
            found.nested.append(name)
    found.runs, found.others, found.nested = sorted(runs), sorted(found.others), sorted(found.nested)
    found.twice = [name for name in found.twice if name in found.marks]


def _name_of(info: zipfile.ZipInfo) -> str:
    """An entry's name. Old ones are in code page 437, but macOS writes UTF-8 without saying so."""
    if info.flag_bits & UTF8_NAME or info.filename.isascii():
        return info.filename
    with contextlib.suppress(UnicodeError):
        return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _add_parents(name: str, folders: set[str]) -> None:
    while (name := name.rpartition("/")[0]) and name not in folders:
        folders.add(name)


def _runs(names: Iterable[str]) -> set[str]:
    """The run directories among files: "" is the zip's own top, of which the samples alone are passed over."""
    inside: dict[str, set[str]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last == RUN_CONFIG or last in RUN_PARTS:
            inside.setdefault(folder, set()).add(last)
        if folder.rpartition("/")[2] == "state":
            inside.setdefault(folder.rpartition("/")[0], set()).add("state")
    return {folder or "samples" for folder, there in inside.items() if is_run(there)}


def tells_of_run(name: str) -> bool:
    """Whether a file is of those that a run directory is known by."""
    folder, _, last = name.rpartition("/")
    return last == RUN_CONFIG or last in RUN_PARTS or folder.rpartition("/")[2] == "state"


def _is_within(name: str, folders: set[str]) -> bool:
    while name := name.rpartition("/")[0]:
        if name in folders:
            return True
    return False
