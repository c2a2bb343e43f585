"""Which pictures `gan sample CKPT -i …` enlarges, and where each one goes: decided before the first is written."""

import contextlib
import hashlib
import os
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gancli.config import paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import EnlargeConfig
from gancli.data import walk
from gancli.data.formats import is_image
from gancli.data.image_files import Pictures
from gancli.data.listing import opened_for
from gancli.data.patterns import is_archive, stem
from gancli.errors import DataError, GancliError, UsageError, did_you_mean, os_problem
from gancli.events import Emit
from gancli.files import atomic
from gancli.files.atomic import LONGEST_NAME
from gancli.text import counted

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Job:
    """One picture to enlarge. Where `source` is no file of its own but lies in an archive, `name` is what it is called
    there, and `content` its bytes, or why it cannot be read, as soon as its turn has come."""

    source: Path
    target: Path
    name: str = ""
    content: bytes | DataError | None = None

    def is_done(self) -> bool:
        """Whether the picture was enlarged before. A file of no bytes is what a power cut may leave."""
        try:
            return self.target.is_file() and self.target.stat().st_size > 0
        except OSError:
            return False


@dataclass(frozen=True)
class Plan:
    """`place`: the path to tell at the end (None: stdout takes the picture); `alone`: whether one picture was asked for;
    `refused`: what cannot be read, with the reason; `pictures`: the archive in which they lie. To be closed."""

    jobs: list[Job]
    place: Path | None
    alone: bool
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()  # what to warn of beforehand
    pictures: Pictures | None = None

    def in_turn(self, skip_existing: bool) -> Iterator[Job]:
        """The jobs as their pictures are read; those out of an archive with their content, unless they are to be skipped."""
        if self.pictures is None:
            yield from self.jobs
            return
        todo = {job.name: job for job in self.jobs}
        if skip_existing:
            there = {name: job for name, job in todo.items() if job.is_done()}
            yield from there.values()
            todo = {name: job for name, job in todo.items() if name not in there}
        for name, content in self.pictures.read(todo):
            yield replace(todo[name], content=content)

    def close(self) -> None:
        """Close the archive."""
        if self.pictures is not None:
            self.pictures.close()


def plan(wish: EnlargeConfig, output: str | None, scale: int, emit: Emit) -> Plan:
    """What is to be done for a picture, a folder or an archive, enlarged to `output` (-: stdout; None: beside it). Raises
    `UsageError`, or `DataError` for what cannot be read at all."""
    assert wish.input is not None
    source = paths.expanded(wish.input, "-i")
    try:
        is_folder = stat.S_ISDIR(source.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if source.is_symlink():
            raise UsageError(f"-i {source}: a link to what does not exist") from None
        near: list[str] = []
        with contextlib.suppress(OSError):
            near = [path.name for path in source.parent.iterdir()]
        raise UsageError(f"-i {source}: does not exist{did_you_mean(source.name, near)}") from None
    except OSError as error:
        raise DataError(os_problem(f"-i {source}", "read", error)) from None
    if is_folder:
        return _folder_plan(wish, source, output, scale, emit)
    if is_archive(source.name) or (not is_image(source.name) and zipfile.is_zipfile(source)):
        return _archive_plan(wish, source, output, scale, emit)
    return _single_plan(wish, source, output, scale)


def _single_plan(wish: EnlargeConfig, source: Path, output: str | None, scale: int) -> Plan:
    reject_unused_options(("--recursive", wish.recursive), why=f"is for a folder, and -i {source} is none")
    reject_unused_options(("--skip-existing", wish.skip_existing and output == "-"), why="has no effect on stdout")
    if output == "-":
        return Plan([Job(source, source)], None, alone=True)
    name = f"{source.stem}{_ending(wish, scale)}.png"
    target = source.with_name(name) if output is None else paths.expanded(output, "-o")
    if _is_directory(target):
        target = target / name
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {target}: must end in {' '.join(SUFFIXES)}, or be a directory that exists")
    if not _is_directory(target.parent):
        raise GancliError(f"-o {target}: there is no directory {target.parent} to write it into")
    if len(os.fsencode(target.name)) > LONGEST_NAME:
        raise UsageError(f"-o {target}: is too long a name; give another one with -o")
    paths.check_output(target, "-o")
    if _is_same(target, source):
        raise UsageError(f"-o {target}: is the input itself; give another name")
    named = output is not None and target == paths.expanded(output, "-o")
    if paths.is_there(target) and not (named or wish.skip_existing):
        raise UsageError(
            f"{target}: already exists; name the output file with -o, or keep this one with --skip-existing"
        )
    return Plan([Job(source, target)], target, alone=True)


def _ending(wish: EnlargeConfig, scale: int) -> str:
    """What is added to a name that nobody has given."""
    return f"_x{scale}_compared" if wish.compare else f"_x{scale}"


def _folder_plan(wish: EnlargeConfig, source: Path, output: str | None, scale: int, emit: Emit) -> Plan:
    whole = source.resolve()
    beside = whole.parent if source.name in ("", "..") else source.parent
    place = beside / f"{whole.name}{_ending(wish, scale)}" if output is None else paths.expanded(output, "-o")
    _check_folder(place, output, f"-i {source} is one")
    if _is_same(place, source):
        raise UsageError(f"-o {place}: is the folder of the originals; give another one")
    try:
        found = walk.walked(source, True, emit, deep=wish.recursive, left_out=place)
    except DataError as error:
        raise DataError(f"-i {error}") from None
    names = sorted(map(Path, found.marks))
    refused = {str(source / name): f"{source / name}: {why}" for name, why in (found.closed | found.broken).items()}
    notes = walk.Found(others=found.others, runs=found.runs).notes()
    if not names:
        more = "" if wish.recursive else "; --recursive looks into its subfolders too"
        broken = f"; {next(iter(refused.values()))}" if refused else ""
        raise DataError("; ".join([f"-i {source}: holds no pictures{more}{broken}", *notes]))
    jobs = [Job(source / name, place / target) for name, target in zip(names, targets(names), strict=True)]
    _make_room(jobs, place, wish)
    return Plan(jobs, place, alone=False, refused=refused, notes=notes)


def _archive_plan(wish: EnlargeConfig, source: Path, output: str | None, scale: int, emit: Emit) -> Plan:
    """All pictures of an archive, whose folders are kept."""
    reject_unused_options(("--recursive", wish.recursive), why=f"is for a folder; of {source} all pictures are taken")
    place = (
        source.with_name(f"{stem(source)}{_ending(wish, scale)}") if output is None else paths.expanded(output, "-o")
    )
    _check_folder(place, output, f"-i {source} holds several pictures")
    pictures = opened_for("-i", source, emit)
    try:
        names = [Path(name) for name in sorted(pictures.found.marks) if "\0" not in name]
        if not names:
            raise DataError("; ".join([f"-i {source}: holds no pictures", *pictures.notes()]))
        jobs = [
            Job(source / name, place / target, name.as_posix())
            for name, target in zip(names, targets(names), strict=True)
        ]
        _make_room(jobs, place, wish)
    except BaseException:
        pictures.close()
        raise
    return Plan(jobs, place, alone=False, notes=pictures.notes(), pictures=pictures)


def _check_folder(place: Path, output: str | None, why: str) -> None:
    paths.check_output(place, "-o")
    if place.suffix.lower() in SUFFIXES or output == "-" or (paths.is_there(place) and not _is_directory(place)):
        raise UsageError(f"-o {place}: must be a directory, as {why}")


def _make_room(jobs: Sequence[Job], place: Path, wish: EnlargeConfig) -> None:
    """Make the folder of enlarged pictures, if nothing in it would be overwritten. Raises `UsageError` and `GancliError`."""
    there = sum(paths.is_there(job.target) for job in jobs)
    if there and not wish.skip_existing:
        raise UsageError(
            f"-o {place}: already has {there} of these {counted(len(jobs), 'file')}; --skip-existing keeps them"
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
        atomic.check_writable(place)
    except OSError as error:
        raise GancliError(os_problem(f"-o {place}", "written into", error)) from error


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def targets(names: Sequence[Path]) -> list[Path]:
    """Where in the folder of enlarged pictures each goes: to a place of its own, also on a disk where case does not count.

    `a.jpg` becomes `a.png` where no other picture of its folder is called `a` or `a.png`, whatever the ending; else
    `a.jpg.png`. Where that is too long, or names differ in case only, some digits of the name's SHA-256 make the
    difference. So a picture's place depends on nothing but its own name and those like it.
    """
    forms = [(name.with_suffix(".png"), name.with_name(f"{name.name}.png"), _numbered(name)) for name in names]
    longer = Counter(_key(form) for _, *rest in forms for form in rest)
    longer.update({_key(parent) for name in names for parent in name.parents})
    shortest = Counter(_key(short) for short, *_ in forms)
    chosen = []
    for short, long, numbered in forms:
        if shortest[_key(short)] == 1 and not longer[_key(short)]:
            chosen.append(short)
        elif longer[_key(long)] == 1 and len(os.fsencode(long.name)) <= LONGEST_NAME:
            chosen.append(long)
        else:
            chosen.append(numbered)
    return chosen


def _numbered(name: Path) -> Path:
    digits = hashlib.sha256(os.fsencode(name.as_posix())).hexdigest()[:12]
    stem = name.name
    while len(os.fsencode(f"{stem}.{digits}.png")) > LONGEST_NAME:
        stem = stem[:-1]
    return name.with_name(f"{stem}.{digits}.png")


def _key(path: Path) -> str:
    """Equal for what is one name on a disk where neither case counts nor how an accent is written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path.as_posix()).casefold())
