"""Which images `gan sample CKPT -i …` enlarges, and where each result is written. Decided before the first is written."""

import contextlib
import hashlib
import os
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gancli.config import paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import EnlargeConfig
from gancli.data import walk
from gancli.data.formats import is_image
from gancli.data.image_files import ImageFiles
from gancli.data.listing import open_option
from gancli.data.patterns import dataset_stem, is_archive
from gancli.errors import DataError, GancliError, UsageError, did_you_mean, os_problem
from gancli.events import Emit, Warned
from gancli.files import atomic
from gancli.files.atomic import LONGEST_NAME
from gancli.text import counted

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Job:
    """One image to enlarge. `content`: of an image in an archive, its bytes, or the error of reading it."""

    source: Path
    target: Path
    content: bytes | DataError | None = None

    def is_done(self) -> bool:
        """Return whether the image was enlarged before. An empty file, as a power failure may leave it, does not count."""
        try:
            return self.target.is_file() and self.target.stat().st_size > 0
        except OSError:
            return False


@dataclass(frozen=True)
class EnlargePlan:
    """`place`: the path to print at the end (None: the image goes to stdout); `alone`: whether a single image was given;
    `refused`: the errors of what cannot be read, by path; `archive`: the one that contains the images."""

    jobs: list[Job]
    place: Path | None
    alone: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    archive: ImageFiles | None = None

    def in_turn(self, skip_existing: bool) -> Iterator[Job]:
        """Yield the jobs, those of an archive with their content unless they will be skipped."""
        if self.archive is None:
            yield from self.jobs
            return
        todo = {job.source.relative_to(self.archive.path).as_posix(): job for job in self.jobs}
        if skip_existing:
            done = {name: job for name, job in todo.items() if job.is_done()}
            yield from done.values()
            todo = {name: job for name, job in todo.items() if name not in done}
        for name, content in self.archive.read(todo):
            yield replace(todo[name], content=content)

    def close(self) -> None:
        """Close the archive."""
        if self.archive is not None:
            self.archive.close()


def plan(config: EnlargeConfig, output: str | None, scale: int, emit: Emit) -> EnlargePlan:
    """Return what to enlarge, for an image, a folder or an archive, and where to write it: to `output` (`-`: stdout; None:
    next to the input). Raises `UsageError`, and `DataError` if the input cannot be read."""
    assert config.input is not None
    source = paths.expanded(config.input, "-i")
    try:
        is_folder = stat.S_ISDIR(source.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        near: list[str] = []
        with contextlib.suppress(OSError):
            near = [path.name for path in source.parent.iterdir()]
        raise UsageError(f"-i {source}: does not exist{did_you_mean(source.name, near)}") from None
    except OSError as error:
        raise DataError(os_problem(f"-i {source}", "read", error)) from None
    ending = f"_x{scale}_compared" if config.compare else f"_x{scale}"
    if is_folder:
        return _folder_plan(config, source, output, ending, emit)
    if is_archive(source.name) or (not is_image(source.name) and zipfile.is_zipfile(source)):
        return _archive_plan(config, source, output, ending, emit)
    return _single_plan(config, source, output, f"{source.stem}{ending}.png")


def _single_plan(config: EnlargeConfig, source: Path, output: str | None, name: str) -> EnlargePlan:
    reject_unused_options(("--recursive", config.recursive), why=f"is for a folder, and -i {source} is none")
    reject_unused_options(("--skip-existing", config.skip_existing and output == "-"), why="has no effect on stdout")
    if output == "-":
        return EnlargePlan([Job(source, source)], None, alone=True)
    target = source.with_name(name) if output is None else paths.expanded(output, "-o")
    named = output is not None and not _is_directory(target)
    if _is_directory(target):
        target /= name
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {target}: must end in {' '.join(SUFFIXES)}, or be a directory that exists")
    if not _is_directory(target.parent):
        raise GancliError(f"-o {target}: the directory {target.parent} does not exist")
    if len(os.fsencode(target.name)) > LONGEST_NAME:
        raise UsageError(f"-o {target}: the file name is too long; choose another one with -o")
    paths.check_output(target, "-o")
    if _is_same(target, source):
        raise UsageError(f"-o {target}: is the input itself; choose another name")
    if os.path.lexists(target) and not (named or config.skip_existing):
        raise UsageError(
            f"{target}: already exists; name the output file with -o, or keep this one with --skip-existing"
        )
    return EnlargePlan([Job(source, target)], target, alone=True)


def _folder_plan(config: EnlargeConfig, source: Path, output: str | None, ending: str, emit: Emit) -> EnlargePlan:
    whole = source.resolve()
    parent = whole.parent if source.name in ("", "..") else source.parent
    place = _output_folder(output, parent / f"{whole.name}{ending}", f"-i {source} is one")
    if _is_same(place, source):
        raise UsageError(f"-o {place}: is the folder of the originals; choose another one")
    try:
        found = walk.list_folder(source, True, emit, deep=config.recursive, left_out=place)
    except DataError as error:
        raise DataError(f"-i {error}") from None
    refused = {
        str(source / name): f"{source / name}: {why}" for name, why in (found.unlistable | found.unreadable).items()
    }
    notes = walk.FolderListing(undecodable=found.undecodable, runs=found.runs).notes()
    if not found.marks:
        hints = [] if config.recursive else ["--recursive includes its subfolders"]
        raise _no_images(source, [*hints, *list(refused.values())[:1], *notes])
    jobs = _jobs(found.marks, source, place, config)
    for note in notes:
        emit(Warned(note))
    return EnlargePlan(jobs, place, refused=refused)


def _archive_plan(config: EnlargeConfig, source: Path, output: str | None, ending: str, emit: Emit) -> EnlargePlan:
    reject_unused_options(("--recursive", config.recursive), why=f"is for a folder; of {source} all images are used")
    default = source.with_name(f"{dataset_stem(source)}{ending}")
    place = _output_folder(output, default, f"-i {source} contains several images")
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(open_option("-i", source, emit))
        names = [name for name in archive.found.marks if "\0" not in name]
        if not names:
            raise _no_images(source, archive.notes())
        jobs = _jobs(names, source, place, config)
        for note in archive.notes():
            emit(Warned(note))
        stack.pop_all()  # the plan closes it
    return EnlargePlan(jobs, place, archive=archive)


def _no_images(source: Path, notes: Sequence[str]) -> DataError:
    return DataError("; ".join([f"-i {source}: contains no images", *notes]))


def _output_folder(output: str | None, default: Path, why: str) -> Path:
    place = default if output is None else paths.expanded(output, "-o")
    paths.check_output(place, "-o")
    if place.suffix.lower() in SUFFIXES or output == "-" or (os.path.lexists(place) and not _is_directory(place)):
        raise UsageError(f"-o {place}: must be a directory, as {why}")
    return place


def _jobs(names: Iterable[str], source: Path, place: Path, config: EnlargeConfig) -> list[Job]:
    """Return the jobs for the images of a folder or archive, and make the folder `place`. Raises `UsageError` if a file
    would be overwritten, and `GancliError`."""
    ordered = sorted(map(Path, names))
    jobs = [Job(source / name, place / target) for name, target in zip(ordered, targets(ordered), strict=True)]
    existing = sum(os.path.lexists(job.target) for job in jobs)
    if existing and not config.skip_existing:
        raise UsageError(
            f"-o {place}: already has {existing} of these {counted(len(jobs), 'file')}; --skip-existing keeps them"
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
        atomic.check_writable(place)
    except OSError as error:
        raise GancliError(os_problem(f"-o {place}", "written into", error)) from error
    return jobs


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
    """Return the path of each enlarged image in their folder, all different even where case is ignored.

    `a.jpg` becomes `a.png` if no other image of its folder is named `a` or `a.png`, with any suffix; otherwise `a.jpg.png`.
    If that is too long, or names differ only in case, digits of the SHA-256 of the name are added. A path depends only on
    the image's own name and on those similar to it.
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
    """Return what the names have in common that are one file where case and Unicode normalisation are ignored."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path.as_posix()).casefold())
