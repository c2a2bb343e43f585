"""Enlarges images one by one. An image that fails does not stop the others."""

import contextlib
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from gancli import images
from gancli.config import paths
from gancli.data.decode import ImageLayers, add_remarks, decode_layers, read_shape, remark_messages
from gancli.errors import DataError, GancliError, UsageError, os_problem
from gancli.events import Emit, Event, Preparing, Warned
from gancli.files import atomic
from gancli.machine.contention import yield_cpus
from gancli.machine.cpu_tuning import keep_freed_memory
from gancli.sampling.jobs import EnlargePlan, Job
from gancli.sampling.upscale import Upscaler, check_file, check_memory
from gancli.variant import Variant

Remarks = dict[str, list[str]]  # the names of images by the remark about them
# Makes the image of a job: from a model, the job, the suffix of the output, and the remarks, which it adds to.
Make = Callable[[Upscaler, Job, str, Remarks, Emit], Image.Image]
# Errors of a disk that will not take another file either: full or gone.
DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENOTCONN, errno.ESTALE}
)


@dataclass(frozen=True)
class ImageDone(Event):
    """An image was enlarged and written: the `number`th of `count`, now `width`×`height` pixels, in `seconds`."""

    number: int
    count: int
    source: Path
    target: Path
    width: int
    height: int
    seconds: float


@dataclass(frozen=True)
class ImageFailed(Event):
    """An image cannot be enlarged; the others continue."""

    message: str


@dataclass
class Result:
    """The outcome of all jobs. `failed`: errors by input; `end`: the error of the disk that ended the work."""

    done: list[ImageDone] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    end: GancliError | None = None


def make_upscaler(variant: Variant, device: torch.device, tile: int | None) -> Upscaler:
    """Return a model on its device, ready to enlarge in tiles of `tile` pixels of the input (None: by available memory)."""
    if device.type == "cpu":
        keep_freed_memory()  # the memory of a tile's layers is reused for the next: large images take half the time
    variant.generator.to(device)
    return Upscaler(variant, device, tile)


@yield_cpus()
def enlarge_files(
    upscaler: Upscaler,
    planned: EnlargePlan,
    skip_existing: bool,
    emit: Emit,
    deliver: Callable[[bytes], None] | None = None,
    make: Make | None = None,
) -> Result:
    """Enlarge the images of a plan. `deliver` receives an encoded image instead of a file; `make` replaces the enlarging.
    Raises the error of an image that was given alone."""
    result, count, told = Result(failed=dict(planned.refused)), len(planned.jobs), Remarks()
    for message in planned.refused.values():
        emit(ImageFailed(message))
    for number, job in enumerate(planned.in_turn(skip_existing), 1):
        if skip_existing and job.is_done():
            result.skipped.append(str(job.source))
            continue
        start = time.monotonic()
        try:
            width, height = _enlarge_one(upscaler, job, planned.alone, told, deliver, make or _enlarged, emit)
        except GancliError as error:
            if planned.alone:
                raise
            result.failed[str(job.source)] = str(error)
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_ERRORS:
                result.end = error
                break
            emit(ImageFailed(str(error)))
            continue
        done = ImageDone(number, count, job.source, job.target, width, height, time.monotonic() - start)
        result.done.append(done)
        emit(done)
    for line in remark_messages(told):
        emit(Warned(line))
    if not planned.alone:
        for folder in {done.target.parent for done in result.done}:
            with contextlib.suppress(OSError):
                atomic.sync_directory(folder)
    return result


def _enlarge_one(
    upscaler: Upscaler, job: Job, alone: bool, told: Remarks, deliver: Callable[[bytes], None] | None, make: Make,
    emit: Emit,
) -> tuple[int, int]:  # fmt: skip
    """Enlarge an image, and write or deliver it. Returns its width and height."""
    suffix = ".png" if deliver else job.target.suffix.lower()
    if not deliver:
        _check_target(job.target)
    try:
        image = make(upscaler, job, suffix, told, emit)
        encoded = _encoded(image, suffix, job)
    except MemoryError as error:
        raise GancliError(f"{job.source}: out of memory; enlarge it in parts, or on a larger machine") from error
    if deliver:
        deliver(encoded)
    else:
        atomic.write(job.target, [encoded], durable=alone)
    return image.size


def _check_target(target: Path) -> None:
    """Make the folder of a file, and check that the file can be written. Raises `GancliError`."""
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target) and not target.is_file():
            raise GancliError(f"{target}: cannot be written, because it exists and is not a file")
        atomic.check_writable(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise GancliError(f"{target}: cannot be written, because {folder} is a file or in a file") from error
    except OSError as error:
        raise GancliError(os_problem(target, "written", error)) from error


def _enlarged(upscaler: Upscaler, job: Job, suffix: str, told: Remarks, emit: Emit) -> Image.Image:
    """Enlarge the image of a job; what can be checked is checked before the first tile."""
    name = str(job.source)
    data = read_image(job)
    width, height, pixel_bytes = read_shape(data, name)
    check_side((width * upscaler.variant.scale, height * upscaler.variant.scale), suffix, job)
    reserved = check_memory(upscaler, (width, height, pixel_bytes), suffix, name)
    layers = decode_layers(data, name)
    add_remarks(told, layers.remarks, job.source.name)
    if layers.alpha is not None and suffix in (".jpg", ".jpeg"):
        raise UsageError(f"-o {job.target}: JPEG cannot store the transparency of {name}; use .png or .webp")
    image = enlarge_layers(upscaler, layers, job.source.name, reserved, emit)
    emit(Preparing(f"writing {job.target.name}", 0, 0, "files"))
    return image


def check_side(size: tuple[int, int], suffix: str, job: Job) -> None:
    """Raises `UsageError` for a size in pixels that a file with `suffix` cannot store."""
    longest, limit = max(size), images.MAX_SIDE[suffix]
    if longest > limit:
        hint = "enlarge it in parts" if suffix == ".png" else "use .png"
        raise UsageError(
            f"-o {job.target}: {suffix} stores at most {limit} pixels per side, and {job.source} needs {longest}; {hint}"
        )


def enlarge_layers(upscaler: Upscaler, layers: ImageLayers, name: str, reserved: int, emit: Emit) -> Image.Image:
    """Enlarge a decoded image with its transparency and metadata. `reserved`: as for `Upscaler.parts`."""
    colour, scale = layers.colour, upscaler.variant.scale
    size = (colour.width * scale, colour.height * scale)
    mode = colour.mode if layers.alpha is None else "RGBA" if colour.mode == "RGB" else "LA"
    result = None
    for part in upscaler.parts(images.from_pil(colour), reserved):
        if result is None:  # not earlier: its memory is counted in `reserved`
            result = Image.new(mode, size)
        result.paste(images.to_pil(part.pixels), (part.left, part.top))
        emit(Preparing(f"enlarging {name}", part.number, part.count, "tiles"))
    assert result is not None
    if layers.alpha is not None:
        result.putalpha(layers.alpha.resize(size, Image.Resampling.BICUBIC))
    result.info.update(layers.info)
    return result


def read_image(job: Job) -> bytes:
    """Return the encoded image of a job. Raises `DataError`."""
    if isinstance(job.content, DataError):
        raise job.content
    if job.content is not None:
        return job.content
    try:
        check_file(str(job.source), job.source.stat().st_size)
        return paths.read_file(job.source)
    except OSError as error:
        raise DataError(os_problem(job.source, "read", error)) from None


def _encoded(image: Image.Image, suffix: str, job: Job) -> bytes:
    try:
        return images.encode(image, suffix)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise anything
        reason = " ".join(f"{error or type(error).__name__}".split())[:200]
        raise GancliError(f"{job.source}: cannot be encoded as {suffix} ({reason})") from error
