"""The files that generated images are written to. Each writer generates the images of a plan and returns the paths."""

import contextlib
import io
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from gancli import images
from gancli.config import paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import SampleConfig
from gancli.errors import GancliError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.files import atomic
from gancli.sampling import video
from gancli.sampling.captions import captioned_grid
from gancli.sampling.labels import file_names
from gancli.sampling.plan import SamplingPlan
from gancli.sampling.png_text import png_texts
from gancli.text import counted

GRIDS = (".png", ".jpg", ".jpeg", ".webp")
ANIMATIONS = (".gif", ".webp", ".mp4")
FRAMES_PER_LEG = 16
FPS = 20
MAX_GIF_FPS = 50  # players show shorter frames for a tenth of a second
MAX_SIDE = 65_000  # pixels; JPEG's limit is 65,535, WebP's 16,383
MAX_WEBP_SIDE = 16_383

Write = Callable[[SamplingPlan, Path, Emit], list[str]]


def writer(path: Path, asked: str | None, config: SampleConfig) -> Write:
    """Return the writer for a path by its suffix; `asked`: the path as typed. Raises `UsageError`, before anything is
    generated, for what cannot be written there, and for options without effect."""
    suffix = path.suffix.lower()
    if suffix in (*GRIDS, *ANIMATIONS, ".npz") and not path.is_dir():
        if not path.parent.is_dir():
            raise GancliError(f"-o {path}: the directory {path.parent} does not exist")
    elif suffix and not path.exists() and not str(asked).endswith("/"):
        raise UsageError(
            f"-o {path}: must end in {' '.join((*GRIDS, '.gif', '.mp4', '.npz'))}, or be a directory (end it with /)"
        )
    check_animation(suffix, asked, config)
    if config.walk is not None:
        if suffix == ".mp4":
            video.check_ffmpeg(path)
        return animation
    if suffix in (".gif", ".mp4"):
        raise UsageError(f"-o {asked}: {suffix} is for animations; add --walk N, or use .png")
    if suffix in GRIDS and not path.is_dir():
        return grid
    unused = (("--columns", config.columns), ("--captions", config.captions))
    reject_unused_options(*unused, why=f"has no effect: -o {path} is no grid")
    if suffix != ".npz":
        return folder
    reject_unused_options(("--zoom", config.zoom), why=f"has no effect: -o {path} contains the images themselves")
    return array


def check_animation(suffix: str, asked: str | None, config: SampleConfig) -> None:
    """Raises `UsageError` for a file that cannot contain the animation, and for options of an animation without one."""
    if config.walk is None:
        reject_unused_options(("--fps", config.fps), why="has an effect only with --walk")
        return
    reject_unused_options(
        ("--captions", config.captions), why="has no effect on --walk, whose frames are between seeds"
    )
    if suffix not in ANIMATIONS:
        raise UsageError(f"--walk {config.walk}: needs -o with {' or '.join(ANIMATIONS)}, not {asked}")
    if suffix == ".gif" and (config.fps or 0) > MAX_GIF_FPS:
        raise UsageError(f"--fps {config.fps}: a .gif has at most {MAX_GIF_FPS}; use .webp or .mp4")


def output_path(asked: str | None, config: SampleConfig) -> Path:
    """Return the path to write to; a default name replaces nothing. Raises `GancliError` if it cannot be written."""
    default = ("samples", ".gif" if config.walk else ".png")
    path = paths.free_name(*default) if asked is None else paths.expanded(asked, "-o")
    paths.check_output(path, "-o")
    return path


def grid(order: SamplingPlan, path: Path, emit: Emit) -> list[str]:
    """Write one image with all images in a grid."""
    atomic.write(path, [encoded_grid(order, path.suffix.lower(), emit)])
    return [str(path)]


def encoded_grid(order: SamplingPlan, suffix: str, emit: Emit) -> bytes:
    """Return the file of a grid. Raises `UsageError`, before anything is generated, for one that is too large."""
    _check_size(order, suffix)
    return images.encode(grid_image(order, order.pixels(emit)), suffix, png_texts(order, order.requests))


def grid_image(order: SamplingPlan, pixels: Tensor) -> Image.Image:
    """Return the grid of the images, uint8 `[N, C, H, W]`, with captions if the plan has them."""
    if order.config.captions:
        return captioned_grid(order).image(pixels)
    return images.to_pil(images.grid(pixels, order.columns), order.zoom)


def _check_size(order: SamplingPlan, suffix: str) -> None:
    count, side = len(order.requests), order.model.variant.images.size
    width, height = images.grid_size(count, side, order.width, order.columns)
    limit = {".webp": MAX_WEBP_SIDE, ".mp4": video.MAX_SIDE}.get(suffix, MAX_SIDE)
    longest = max(width, height)
    if longest > limit:
        option = "--seeds" if order.config.seeds else f"-n {count}"
        raise UsageError(
            f"{option}: a grid of {width}×{height} pixels is over the limit of {limit} for {suffix}; change --columns, or "
            "use a directory or .npz"
        )
    if longest * order.zoom > limit:
        raise UsageError(
            f"--zoom {order.zoom}: makes {width * order.zoom}×{height * order.zoom} pixels of {width}×{height}, over the "
            f"limit of {limit} for {suffix}; use at most --zoom {limit // longest}"
        )
    if order.config.captions and max(size := captioned_grid(order).size) > limit:
        raise UsageError(
            f"--captions: makes a grid of {size[0]}×{size[1]} pixels, over the limit of {limit} for {suffix}; change "
            "--columns, generate fewer images, or leave it out"
        )


def folder(order: SamplingPlan, path: Path, emit: Emit) -> list[str]:
    """Write one PNG per image, named by its seed (and class). Raises `UsageError`, before
    anything is generated, if one of the files exists."""
    endings = [f"-label-{name}" for name in file_names(order.class_names)] or [""]
    files = {one: path / f"seed-{one.seed:06d}{endings[one.label]}.png" for one in order.requests}
    if existing := sum(map(paths.is_there, files.values())):
        raise UsageError(
            f"-o {path}: already has {existing} of these {counted(len(files), 'file')}; choose another directory"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GancliError(os_problem(f"-o {path}", "made a directory", error)) from error
    for one in order.generate(emit):
        encoded = images.encode(images.to_pil(one.pixels, order.zoom), ".png", png_texts(order, [one.request]))
        # Not synced: generating again takes less time than thousands of syncs.
        atomic.write(files[one.request], [encoded], durable=False)
    with contextlib.suppress(OSError):
        atomic.sync_directory(path)
    return sorted(map(str, files.values()))


def array(order: SamplingPlan, path: Path, emit: Emit) -> list[str]:
    """Write a NumPy `.npz`: `images` uint8 [N, H, W, C], `labels` int64 [N], `seeds` int64 [N], and `class_names`, str [K],
    empty for an unconditional model."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=order.pixels(emit).permute(0, 2, 3, 1).numpy(),
        labels=np.array([request.label for request in order.requests], dtype=np.int64),
        seeds=np.array([request.seed for request in order.requests], dtype=np.int64),
        class_names=np.array(order.class_names, dtype=np.str_),
    )
    atomic.write(path, [buffer.getvalue()])
    return [str(path)]


def animation(order: SamplingPlan, path: Path, emit: Emit) -> list[str]:
    """Write an interpolation in latent space, as a `.gif` or `.webp` that loops, or as an `.mp4`."""
    config, suffix = order.config, path.suffix.lower()
    assert config.walk is not None
    _check_size(order, suffix)
    fps, total = config.fps or FPS, config.walk * FRAMES_PER_LEG
    if suffix == ".mp4":
        video.write(path, _frames(order), total, fps, emit)
        return [str(path)]
    frames: list[Image.Image] = []
    for frame in _frames(order):
        frames.append(frame.convert("RGB") if suffix == ".webp" else _palette(frame))
        emit(Preparing(f"generating {path.name}", len(frames), total, "frames"))
    emit(Preparing(f"writing {path.name}", 0, 0, "files"))
    buffer = io.BytesIO()
    durations = _durations_ms(total, fps, 1 if suffix == ".webp" else 10)
    frames[0].save(buffer, suffix[1:].upper(), save_all=True, append_images=frames[1:], duration=durations, loop=0)
    atomic.write(path, [buffer.getvalue()])
    return [str(path)]


def _frames(order: SamplingPlan) -> Iterator[Image.Image]:
    grids = (images.grid(pixels, order.columns) for pixels in order.frames(FRAMES_PER_LEG))
    return (images.to_pil(grid, order.zoom) for grid in grids)


def _durations_ms(count: int, fps: int, unit: int) -> list[int]:
    """Return how long each frame is shown, in ms: multiples of `unit`, rounded so that the sum matches `fps`."""
    ends = [unit * round(1000 * number / (fps * unit)) for number in range(count + 1)]
    return [stop - start for start, stop in pairwise(ends)]


def _palette(frame: Image.Image) -> Image.Image:
    return frame if frame.mode == "L" else frame.quantize(256)
