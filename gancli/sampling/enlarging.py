"""Files and folders of pictures enlarged, one after the other; a bad one does not stop the rest."""

import contextlib
import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from gancli import images
from gancli.config import paths
from gancli.data.decode import add_remarks, decode_layers, read_shape, remarks
from gancli.errors import DataError, GancliError, UsageError, os_problem
from gancli.events import Emit, Event, Preparing, Warned
from gancli.files import atomic
from gancli.machine.contention import yield_cpus
from gancli.machine.cpu_tuning import keep_freed_memory
from gancli.sampling.jobs import Job, Plan
from gancli.sampling.upscale import Upscaler, check_file, check_memory, enlarge_layers
from gancli.text import Note
from gancli.variant import Variant

Deliver = Callable[[bytes], None]
Told = dict[str, list[str]]  # the names of pictures by what is to be told of them
# What makes a file's picture: of a model, a job, the suffix, and what is told of all, to add to.
Make = Callable[[Upscaler, Job, str, Told, Emit], Image.Image]
# What a disk says when it will take no other file either: full, or gone.
NO_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENOTCONN, errno.ESTALE})


@dataclass(frozen=True)
class PictureDone(Event):
    """A picture is enlarged and written: the `number`th of `count`, `width`×`height` pixels, in `seconds`."""

    number: int
    count: int
    target: Path
    width: int
    height: int
    seconds: float


@dataclass(frozen=True)
class PictureFailed(Event):
    """A picture cannot be enlarged; the others go on."""

    message: str


@dataclass(frozen=True)
class Done:
    """A picture that was enlarged: the files, and its size in pixels now."""

    input: str
    output: str
    width: int
    height: int


@dataclass
class Result:
    """What became of the jobs; `end`: what made all others pointless."""

    done: list[Done] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    told: Told = field(default_factory=dict)
    end: GancliError | None = None


def ready(variant: Variant, device: torch.device, tile: int | None) -> Upscaler:
    """A model on its device, ready to enlarge in tiles of that side in pixels of the input (None: as memory allows)."""
    if device.type == "cpu":
        keep_freed_memory()  # of a tile's layers, for the next tile: half the time of a large picture was page faults
    variant.generator.to(device)
    return Upscaler(variant, device, tile)


@yield_cpus()
def enlarge_files(
    upscaler: Upscaler,
    planned: Plan,
    skip_existing: bool,
    emit: Emit,
    deliver: Deliver | None = None,
    make: Make | None = None,
) -> Result:
    """Do all that is planned. `deliver` takes a picture's file, which else is written where the plan says; `make` makes the
    picture, if not by enlarging it. Raises what one picture alone fails with."""
    result, count = Result(failed=dict(planned.refused)), len(planned.jobs)
    for event in (*map(Warned, planned.notes), *map(PictureFailed, planned.refused.values())):
        emit(event)
    for number, job in enumerate(planned.in_turn(skip_existing), 1):
        if skip_existing and job.is_done():
            result.skipped.append(str(job.source))
            continue
        begun = time.monotonic()
        try:
            done = _one(upscaler, job, planned, result.told, deliver, make or _enlarged, emit)
        except GancliError as error:
            if planned.alone:
                raise
            result.failed[str(job.source)] = str(error)
            if _is_the_disk_s(error):
                result.end = error
                break
            emit(PictureFailed(str(error)))
            continue
        result.done.append(done)
        emit(PictureDone(number, count, job.target, done.width, done.height, time.monotonic() - begun))
    for line in remarks(result.told):
        emit(Warned(line))
    if not planned.alone:
        for folder in {Path(done.output).parent for done in result.done}:
            with contextlib.suppress(OSError):
                atomic.sync_directory(folder)
    return result


def _is_the_disk_s(error: GancliError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_DISK


def _one(
    upscaler: Upscaler, job: Job, planned: Plan, told: Told, deliver: Deliver | None, make: Make, emit: Emit
) -> Done:
    suffix = ".png" if deliver else job.target.suffix.lower()
    if not deliver:
        _make_way(job.target)
    try:
        picture = make(upscaler, job, suffix, told, emit)
        encoded = _encoded(picture, suffix, job)
    except MemoryError as error:
        raise GancliError(f"{job.source}: memory ran out; enlarge it in parts, or where there is more") from error
    if deliver:
        deliver(encoded)
    else:
        atomic.write(job.target, [encoded], durable=planned.alone)
    return Done(str(job.source), str(job.target), *picture.size)


def _make_way(target: Path) -> None:
    """See to it, before the work, that `target` can be written. Raises `GancliError` naming what is in the way."""
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise GancliError(f"{target}: cannot be written, as {folder} is or lies in a file") from error
    except OSError as error:
        raise GancliError(os_problem(folder, "made", error)) from error
    try:
        if paths.is_there(target) and not target.is_file():
            raise GancliError(f"{target}: cannot be written, as there is something else of that name")
        atomic.check_writable(folder)
    except OSError as error:
        raise GancliError(os_problem(target, "written", error)) from error


def _enlarged(upscaler: Upscaler, job: Job, suffix: str, told: Told, emit: Emit) -> Image.Image:
    """Whatever can be known to fail fails before the first tile. What is to be said of the picture goes to `told`."""
    name = str(job.source)
    data = content(job)
    shape = read_shape(data, name)
    longest, limit = max(shape[:2]) * upscaler.variant.scale, images.MAX_SIDE[suffix]
    if longest > limit:
        way_out = "enlarge it in parts" if suffix == ".png" else "take .png"
        raise UsageError(
            f"-o {job.target}: {suffix} holds {limit} pixels a side, and {name} comes to {longest}; {way_out}"
        )
    set_aside = check_memory(upscaler, shape, suffix, name)
    layers = decode_layers(data, name)
    add_remarks(told, layers.remarks, job.source.name)
    if layers.alpha is not None and suffix in (".jpg", ".jpeg"):
        raise UsageError(f"-o {job.target}: JPEG cannot hold the transparency of {name}; take .png or .webp")
    fitting = upscaler.fitting(layers.colour, set_aside)
    if fitting.tile != upscaler.tile:
        line = f"--tile {upscaler.tile}: {name} is enlarged in tiles of {fitting.tile}, as memory allows"
        emit(Warned(Note(line)))
    picture = enlarge_layers(fitting, layers, job.source.name, set_aside, emit)
    emit(Preparing(f"writing {job.target.name}", 0, 0, "files"))
    return picture


def content(job: Job) -> bytes:
    """The bytes of a job's picture. Raises `DataError`."""
    if isinstance(job.content, DataError):
        raise job.content
    return read(job.source) if job.content is None else job.content


def read(path: Path) -> bytes:
    try:
        check_file(str(path), path.stat().st_size)
        return paths.read_file(path)
    except OSError as error:
        raise DataError(os_problem(path, "read", error)) from None


def _encoded(picture: Image.Image, suffix: str, job: Job) -> bytes:
    try:
        return images.encode(picture, suffix)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise anything
        words = " ".join(f"{error or type(error).__name__}".split())[:200]
        raise GancliError(f"{job.source}: cannot be encoded as {suffix} ({words})") from error
