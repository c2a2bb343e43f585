"""The files that drawn pictures are written to. Each writer draws an order, writes it, and returns the paths written."""

import contextlib
import io
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin
from torch import Tensor

from gancli import images
from gancli.config import paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import SampleConfig
from gancli.errors import GancliError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.files import atomic
from gancli.sampling import draw, video
from gancli.sampling.labels import file_names
from gancli.sampling.order import Order
from gancli.text import counted, printable

GRIDS = (".png", ".jpg", ".jpeg", ".webp")
ANIMATIONS = (".gif", ".webp", ".mp4")
FRAMES_PER_LEG = 16
FPS = 20
MAX_GIF_FPS = 50  # players take a shorter time for a mistake, and show a tenth of a second
MAX_SIDE = 65_000  # pixels; JPEG's limit is 65,535, WebP's 16,383
MAX_WEBP_SIDE = 16_383

Write = Callable[[Order, Path, Emit], list[str]]


def writer(path: Path, asked: str | None, config: SampleConfig) -> Write:
    """The way to write what was asked for, by the path's suffix; `asked`: the path as it was typed. Known before anything is
    drawn: raises `UsageError` for what cannot be written there, and for what would have no effect there."""
    suffix = path.suffix.lower()
    if suffix in (*GRIDS, *ANIMATIONS, ".npz") and not path.is_dir():
        if not path.parent.is_dir():
            raise GancliError(f"-o {path}: there is no directory {path.parent} to write it into")
    elif suffix and not path.exists() and not str(asked).endswith("/"):
        raise UsageError(
            f"-o {path}: must end in {' '.join((*GRIDS, '.gif', '.mp4', '.npz'))}, or be a directory (end it with /)"
        )
    if config.walk is not None:
        check_walk(suffix, asked, config)
        if suffix == ".mp4":
            video.check_ffmpeg(path)
        return animation
    check_still(config)
    if suffix in (".gif", ".mp4"):
        raise UsageError(f"-o {asked}: {suffix} is for an animation; add --walk N, or take .png")
    if suffix in GRIDS and not path.is_dir():
        return grid
    reject_unused_options(("--columns", config.columns), why=f"has no effect: -o {path} is no grid")
    if suffix != ".npz":
        return folder
    reject_unused_options(("--zoom", config.zoom), why=f"has no effect: -o {path} holds the pictures' own pixels")
    return array


def check_still(config: SampleConfig) -> None:
    """Raises `UsageError` for what only an animation has."""
    reject_unused_options(("--fps", config.fps), why="has an effect only with --walk")


def check_walk(suffix: str, asked: str | None, config: SampleConfig) -> None:
    """Raises `UsageError` for a file that holds no animation, or none so fast."""
    if suffix not in ANIMATIONS:
        raise UsageError(f"--walk {config.walk}: needs -o with {' or '.join(ANIMATIONS)}, not {asked}")
    if suffix == ".gif" and (config.fps or 0) > MAX_GIF_FPS:
        raise UsageError(f"--fps {config.fps}: a .gif has at most {MAX_GIF_FPS}; take .webp or .mp4")


def place(asked: str | None, config: SampleConfig) -> Path:
    """The path to write to, known to be one that can be written; a name that the user did not choose replaces nothing."""
    path = (
        paths.expanded(asked, "-o")
        if asked is not None
        else paths.free_name("samples", ".gif" if config.walk else ".png")
    )
    paths.check_output(path, "-o")
    return path


def grid(order: Order, path: Path, emit: Emit) -> list[str]:
    """All pictures as one picture."""
    atomic.write(path, [encoded_grid(order, path.suffix.lower(), emit)])
    return [str(path)]


def encoded_grid(order: Order, suffix: str, emit: Emit) -> bytes:
    """The bytes of a file with all pictures as one picture. Raises `UsageError`, before anything is drawn, for a grid that
    no such file can hold."""
    _check_size(order, suffix)
    return images.encode(images.to_pil(images.grid(order.pixels(emit), order.columns), order.zoom), suffix)


def _check_size(order: Order, suffix: str) -> None:
    """Before anything is drawn: raises `UsageError` for a grid that no file of this kind can hold."""
    side, num_levels = order.model.variant.images.size, order.num_levels
    width, height = images.grid_size(len(order.wanted), side, draw.width_side_by_side(side, num_levels), order.columns)
    limit = {".webp": MAX_WEBP_SIDE, ".mp4": video.MAX_SIDE}.get(suffix, MAX_SIDE)
    longest = max(width, height)
    if longest > limit:
        raise UsageError(
            f"-n {len(order.wanted)}: a grid of {width}×{height} pixels is over the {limit} that a {suffix} may have; give "
            "other --columns, or take a directory or .npz"
        )
    if longest * order.zoom > limit:
        raise UsageError(
            f"--zoom {order.zoom}: makes {width * order.zoom}×{height * order.zoom} pixels of {width}×{height}, over the "
            f"{limit} that a {suffix} may have; at most --zoom {limit // longest}"
        )


def folder(order: Order, path: Path, emit: Emit) -> list[str]:
    """One PNG per picture, named by its seed (and class), with both in the file's text. Raises `UsageError`, before anything
    is drawn, where one of them would replace a file."""
    endings = [f"-label-{name}" for name in file_names(order.class_names)] or [""]
    files = {one: path / f"seed-{one.seed:06d}{endings[one.label]}.png" for one in order.wanted}
    if there := sum(map(paths.is_there, files.values())):
        raise UsageError(
            f"-o {path}: already has {there} of these {counted(len(files), 'file')}; choose another directory"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GancliError(os_problem(f"-o {path}", "made a directory", error)) from error
    written = []
    for one in order.drawn(emit):
        file = files[one.request]
        note = PngImagePlugin.PngInfo()
        note.add_text("Software", "gancli")
        note.add_text("gan:seed", str(one.request.seed))
        if order.class_names:
            note.add_text("gan:label", _text(order.class_names[one.request.label]))
        buffer = io.BytesIO()
        images.to_pil(one.pixels, order.zoom).save(buffer, "PNG", pnginfo=note, compress_level=images.PNG_EFFORT)
        # Drawn again in less time than thousands of flushes take.
        atomic.write(file, [buffer.getvalue()], durable=False)
        written.append(str(file))
    with contextlib.suppress(OSError):
        atomic.sync_directory(path)
    return sorted(written)


def _text(name: str) -> str:
    """A class's name as a PNG's text can hold it: undecodable bytes and control characters as `gan inspect` shows them."""
    return "".join(c if c.isprintable() or (c.isspace() and c > "\x1f") else printable(c) for c in name)


def array(order: Order, path: Path, emit: Emit) -> list[str]:
    """NumPy's `.npz`: `images` uint8 [N, H, W, C], `labels` int64 [N], `seeds` int64 [N], and the `class_names` that the
    labels number, str [K]; none where the pictures were not drawn by class."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=order.pixels(emit).permute(0, 2, 3, 1).numpy(),
        labels=np.array([request.label for request in order.wanted], dtype=np.int64),
        seeds=np.array([request.seed for request in order.wanted], dtype=np.int64),
        class_names=np.array(order.class_names, dtype=np.str_),
    )
    atomic.write(path, [buffer.getvalue()])
    return [str(path)]


def animation(order: Order, path: Path, emit: Emit) -> list[str]:
    """A walk through latent space as a `.gif` or `.webp` that begins again at its end, or an `.mp4`."""
    config, suffix = order.config, path.suffix.lower()
    assert config.walk is not None
    _check_size(order, suffix)
    fps, total = config.fps or FPS, config.walk * FRAMES_PER_LEG
    frames, place = order.walk(FRAMES_PER_LEG), f"drawing {path.name}"
    if suffix == ".mp4":
        video.write(path, _shown(order, frames), total, fps, emit)
        return [str(path)]
    shown: list[Image.Image] = []
    for frame in _shown(order, frames):
        shown.append(frame.convert("RGB") if suffix == ".webp" else _palette(frame))
        emit(Preparing(place, len(shown), total, "frames"))
    buffer = io.BytesIO()
    times = durations(total, fps, 1 if suffix == ".webp" else 10)
    emit(Preparing(f"writing {path.name}", 0, 0, "files"))
    shown[0].save(buffer, suffix[1:].upper(), save_all=True, append_images=shown[1:], duration=times, loop=0)
    atomic.write(path, [buffer.getvalue()])
    return [str(path)]


def _shown(order: Order, frames: Iterator[Tensor]) -> Iterator[Image.Image]:
    return (images.to_pil(images.grid(pixels, order.columns), order.zoom) for pixels in frames)


def durations(count: int, fps: int, unit: int) -> list[int]:
    """How long each of `count` frames is shown, in ms: multiples of `unit`, which together keep to `fps`."""
    ends = [unit * round(1000 * number / (fps * unit)) for number in range(count + 1)]
    return [stop - start for start, stop in pairwise(ends)]


def _palette(frame: Image.Image) -> Image.Image:
    return frame if frame.mode == "L" else frame.quantize(256)
