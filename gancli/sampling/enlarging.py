"""`gan sample CKPT -i …`: files and folders of pictures enlarged, one after the other; a bad one does not stop the rest."""

import contextlib
import errno
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from gancli import images
from gancli.cli import console
from gancli.cli.progress import shown_if_slow
from gancli.cli.upscale_jobs import Job, Plan, Wish, is_there, plan
from gancli.config import paths
from gancli.data.decode import decode_layers, read_shape
from gancli.data.walk import few
from gancli.errors import DataError, GancliError, PartlyFailedError, UsageError
from gancli.events import Event, Preparing
from gancli.files import atomic

if TYPE_CHECKING:
    from gancli.sampling.upscale import Upscaler
    from gancli.store.checkpoint import Model

QUIET_S = 2.0  # a picture that takes no longer is not worth a word on how far it is
# What a disk says when it will take no other file either: full, or gone.
NO_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENOTCONN, errno.ESTALE})


@dataclass(frozen=True)
class Done:
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
    animated: list[str] = field(default_factory=list)
    end: GancliError | None = None


def upscale(model: "Model", wish: Wish) -> None:
    """Enlarge a file or a folder. Raises `PartlyFailedError` where some of several files failed."""
    from gancli.machine.device import choose_device
    from gancli.machine.heap import keep_freed_memory
    from gancli.sampling.upscale import Upscaler

    device = choose_device(wish.device)
    planned = plan(wish, model.variant.scale)
    if device.type == "cpu":
        keep_freed_memory()  # of a tile's layers, for the next tile: half the time of a large picture was page faults
    model.variant.generator.to(device)
    result = _run(Upscaler(model.variant, device, wish.tile), planned, wish)
    if wish.as_json:
        about = {"variant": model.facts.variant, "step": model.facts.step, "scale": model.variant.scale}
        files = {"skipped": result.skipped, "files": [asdict(one) for one in result.done], "failed": result.failed}
        console.print_json(about | files)
    elif planned.place is not None:
        console.print_path(planned.place)
    if result.end is not None:
        raise GancliError(
            f"{result.end}; {len(result.done)} of {len(planned.jobs)} pictures are done, --skip-existing goes on"
        )
    if result.failed:
        total, first = len(planned.jobs) + len(planned.refused), next(iter(result.failed.values()))
        raise PartlyFailedError(f"{len(result.failed)} of {total} pictures failed; the first: {first}")


def _run(upscaler: "Upscaler", planned: Plan, wish: Wish) -> Result:
    result, count = Result(failed=dict(planned.refused)), len(planned.jobs)
    for note in planned.notes:
        console.say(f"warning: {note}")
    for reason in planned.refused.values():
        console.complain(reason)
    for number, job in enumerate(planned.jobs, 1):
        if wish.skip_existing and _is_done(job.target):
            result.skipped.append(str(job.source))
            continue
        begun = time.monotonic()
        try:
            done = _one(upscaler, job, planned, result.animated)
        except GancliError as error:
            if planned.alone:
                raise
            result.failed[str(job.source)] = str(error)
            if _is_the_disk_s(error):
                result.end = error
                break
            console.complain(str(error))
            continue
        result.done.append(done)
        if not planned.alone:
            seconds = time.monotonic() - begun
            console.say(f"{number}/{count}  {job.target}  {done.width}×{done.height}  {seconds:.1f} s")
    if result.animated:
        console.say(
            f"warning: {len(result.animated)} with several frames or pages: the first is taken ({few(result.animated)})"
        )
    if result.skipped:
        console.say(f"{len(result.skipped)} of {count} left alone: already there")
    if not planned.alone:
        for folder in {Path(done.output).parent for done in result.done}:
            with contextlib.suppress(OSError):
                atomic.sync_directory(folder)
    return result


def _is_done(target: Path) -> bool:
    """Whether a picture was enlarged before. A file of no bytes is what a power cut may leave."""
    try:
        return target.is_file() and target.stat().st_size > 0
    except OSError:
        return False


def _is_the_disk_s(error: GancliError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_DISK


def _one(upscaler: "Upscaler", job: Job, planned: Plan, animated: list[str]) -> Done:
    to_stdout = planned.place is None
    suffix = ".png" if to_stdout else job.target.suffix.lower()
    if not to_stdout:
        _make_way(job.target)
    try:
        picture = shown_if_slow(_enlarged(upscaler, job, suffix, animated), QUIET_S)
        encoded = _encoded(picture, suffix, job)
    except MemoryError as error:
        raise GancliError(f"{job.source}: memory ran out; enlarge it in parts, or where there is more") from error
    if to_stdout:
        console.write_stdout(encoded)
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
        raise GancliError(f"{folder}: cannot be made ({error.strerror})") from error
    try:
        if is_there(target) and not target.is_file():
            raise GancliError(f"{target}: cannot be written, as there is something else of that name")
        atomic.check_writable(folder)
    except OSError as error:
        raise GancliError(f"{target}: cannot be written ({error.strerror})") from error


def _enlarged(upscaler: "Upscaler", job: Job, suffix: str, animated: list[str]) -> Generator[Event, None, Image.Image]:
    """Whatever can be known to fail fails before the first tile. Of what has several frames the name goes to `animated`."""
    from gancli.sampling.upscale import check_memory, enlarge_layers

    name = str(job.source)
    data = _read(job.source)
    shape = read_shape(data, name)
    longest, limit = max(shape[:2]) * upscaler.variant.scale, images.MAX_SIDE[suffix]
    if longest > limit:
        way_out = "enlarge it in parts" if suffix == ".png" else "take .png"
        raise UsageError(
            f"-o {job.target}: {suffix} holds {limit} pixels a side, and {name} comes to {longest}; {way_out}"
        )
    set_aside = check_memory(upscaler, shape, suffix, name)
    layers = decode_layers(data, name)
    if layers.has_more:
        animated.append(job.source.name)
    if layers.alpha is not None and suffix in (".jpg", ".jpeg"):
        raise UsageError(f"-o {job.target}: JPEG cannot hold the transparency of {name}; take .png or .webp")
    about = layers.about.for_file(suffix)
    for words in about.lost:
        console.say(f"warning: {name}: {words}")
    fitting = upscaler.fitting(layers.colour, set_aside)
    if fitting.tile != upscaler.tile:
        console.say(f"warning: --tile {upscaler.tile}: {name} is enlarged in tiles of {fitting.tile}, as memory allows")
    picture = yield from enlarge_layers(fitting, replace(layers, about=about), job.source.name, set_aside)
    yield Preparing(f"writing {job.target.name}", 0, 0, "files")
    return picture


def _read(path: Path) -> bytes:
    from gancli.sampling.upscale import check_file

    try:
        check_file(str(path), path.stat().st_size)
        return paths.read_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _encoded(picture: Image.Image, suffix: str, job: Job) -> bytes:
    try:
        return images.encode(picture, suffix)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise anything
        words = " ".join(f"{error or type(error).__name__}".split())[:200]
        raise GancliError(f"{job.source}: cannot be encoded as {suffix} ({words})") from error
