"""`gan sample CKPT -i …`: files and folders of pictures enlarged, one after the other; a bad one does not stop the rest."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gancli import atomic, images
from gancli.cli import console
from gancli.config import paths
from gancli.data.decode import decode_layers, is_image
from gancli.errors import DataError, GancliError, PartlyFailedError, UsageError, did_you_mean

if TYPE_CHECKING:
    from gancli.engine.checkpoint import Model
    from gancli.sampling.upscale import Upscaler

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Job:
    """One picture to enlarge."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Done:
    input: str
    output: str
    width: int
    height: int


@dataclass
class Result:
    """What became of the jobs."""

    done: list[Done] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    source: Path
    output: str | None
    device: str
    tile: int | None
    recursive: bool
    skip_existing: bool
    as_json: bool


def upscale(model: "Model", wish: Wish) -> None:
    """Enlarge a file or a folder. Raises `PartlyFailedError` where some of several files failed."""
    from gancli.engine.machine import choose_device
    from gancli.sampling.upscale import Upscaler

    device = choose_device(wish.device)
    scale = model.variant.scale
    jobs, place = _jobs(wish, scale)
    model.variant.generator.to(device)
    result = _run(Upscaler(model.variant, device, wish.tile), jobs, wish, alone=not wish.source.is_dir())
    if wish.as_json:
        about = {"variant": model.facts.variant, "step": model.facts.step, "scale": scale, "skipped": result.skipped}
        files = {"files": [asdict(one) for one in result.done], "failed": result.failed}
        console.print_json(about | files)
    elif place is not None:
        console.print_path(place)
    if result.failed:
        first = next(iter(result.failed.values()))
        raise PartlyFailedError(f"{len(result.failed)} of {len(jobs)} pictures failed; the first: {first}")


def _run(upscaler: "Upscaler", jobs: Sequence[Job], wish: Wish, alone: bool) -> Result:
    result = Result()
    for number, job in enumerate(jobs, 1):
        if wish.skip_existing and job.target.exists():
            result.skipped.append(str(job.source))
            continue
        begun = time.monotonic()
        try:
            done = _one(upscaler, job, to_stdout=wish.output == "-")
        except DataError as error:
            if alone:
                raise
            result.failed[str(job.source)] = str(error)
            console.complain(str(error))
            continue
        result.done.append(done)
        if not alone:
            seconds = time.monotonic() - begun
            console.say(f"{number}/{len(jobs)}  {job.target}  {done.width}×{done.height}  {seconds:.1f} s")
    if result.skipped:
        console.say(f"{len(result.skipped)} of {len(jobs)} left alone: already there")
    return result


def _one(upscaler: "Upscaler", job: Job, to_stdout: bool) -> Done:
    from gancli.sampling.upscale import enlarge_layers

    try:
        data = paths.read_file(job.source)
    except OSError as error:
        raise DataError(f"{job.source}: cannot be read ({error.strerror})") from None
    picture = enlarge_layers(upscaler, decode_layers(data, str(job.source)))
    suffix = ".png" if to_stdout else job.target.suffix.lower()
    if picture.mode in ("LA", "RGBA") and suffix in (".jpg", ".jpeg"):
        raise UsageError(f"-o {job.target}: JPEG cannot hold the transparency of {job.source}; take .png or .webp")
    encoded = images.encode(picture, suffix)
    if to_stdout:
        stdout = console.binary_stdout()
        stdout.write(encoded)
        stdout.flush()
    else:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(job.target, [encoded])
    return Done(str(job.source), str(job.target), *picture.size)


def _jobs(wish: Wish, scale: int) -> tuple[list[Job], Path | None]:
    """The pictures to enlarge, and the path to tell at the end (None: stdout took it)."""
    source = wish.source
    if source.is_dir():
        return _folder_jobs(wish, scale)
    if not source.exists():
        if source.is_symlink():
            raise UsageError(f"-i {source}: a link to what does not exist")
        near = [p.name for p in source.parent.iterdir()] if source.parent.is_dir() else []
        raise UsageError(f"-i {source}: does not exist{did_you_mean(source.name, near)}")
    if wish.output == "-":
        console.binary_stdout()
        return [Job(source, source)], None
    target = (
        source.with_name(f"{source.stem}_x{scale}.png") if wish.output is None else paths.expanded(wish.output, "-o")
    )
    if target.is_dir():
        target = target / f"{source.stem}_x{scale}.png"
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {target}: must end in {' '.join(SUFFIXES)}, or be a directory that exists")
    if not target.parent.is_dir():
        raise GancliError(f"-o {target}: there is no directory {target.parent} to write it into")
    paths.check_output(target, "-o")
    asked_for = wish.output is not None and target == paths.expanded(wish.output, "-o")
    if target.exists() and (target.samefile(source) or not (asked_for or wish.skip_existing)):
        raise UsageError(f"-o {target}: is there already; give another name")
    return [Job(source, target)], target


def _folder_jobs(wish: Wish, scale: int) -> tuple[list[Job], Path]:
    source = wish.source
    named = source.with_name(f"{source.resolve().name}_x{scale}")
    place = named if wish.output is None else paths.expanded(wish.output, "-o")
    if place.is_file() or place.suffix.lower() in SUFFIXES or wish.output == "-":
        raise UsageError(f"-o {place}: must be a directory, as -i {source} is one")
    paths.check_output(place, "-o")
    inside = place.resolve()
    if inside == source.resolve():
        raise UsageError(f"-o {place}: is the folder of the originals; give another one")
    everything = sorted(source.rglob("*") if wish.recursive else source.iterdir())
    found = [
        path.relative_to(source)
        for path in everything
        if is_image(path.relative_to(source).as_posix()) and path.is_file() and inside not in path.resolve().parents
    ]
    if not found:
        more = "" if wish.recursive else "; --recursive looks into its subfolders too"
        raise DataError(f"-i {source}: holds no pictures{more}")
    same = Counter(name.with_suffix("") for name in found)
    targets = [n.with_suffix(".png") if same[n.with_suffix("")] == 1 else n.with_name(f"{n.name}.png") for n in found]
    jobs = [Job(source / name, place / target) for name, target in zip(found, targets, strict=True)]
    there = sum(job.target.exists() for job in jobs)
    if there and not wish.skip_existing:
        raise UsageError(f"-o {place}: has {there} of these {len(jobs)} pictures already; --skip-existing leaves them")
    return jobs, place
