"""The files that drawn pictures are written to. Each writer draws an order, writes it and gives the paths written."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from gancli import images
from gancli.config import paths
from gancli.config.effects import refuse
from gancli.config.sample import SampleConfig
from gancli.errors import GancliError, UsageError, printable
from gancli.files import atomic
from gancli.sampling import draw, walk
from gancli.sampling.labels import file_names
from gancli.sampling.order import Order

GRIDS = (".png", ".jpg", ".jpeg", ".webp")
ANIMATIONS = (".gif", ".webp")
FRAMES_PER_LEG = 16
MAX_SIDE = 65_000  # pixels; JPEG's limit is 65,535, WebP's 16,383
MAX_WEBP_SIDE = 16_383

Write = Callable[[Order, Path], list[str]]


def writer(path: Path, asked: str | None, config: SampleConfig) -> Write:
    """The way to write what was asked for, by the path's suffix; `asked`: the path as it was typed. Known before anything is
    drawn: raises `UsageError` for what cannot be written there, and for what would have no effect there."""
    suffix = path.suffix.lower()
    if suffix in (*GRIDS, *ANIMATIONS, ".npz") and not path.is_dir():
        if not path.parent.is_dir():
            raise GancliError(f"-o {path}: there is no directory {path.parent} to write it into")
    elif suffix and not path.exists() and not str(asked).endswith("/"):
        raise UsageError(
            f"-o {path}: must end in {' '.join((*GRIDS, '.gif', '.npz'))}, or be a directory (end it with /)"
        )
    if config.walk is not None:
        check_walk(suffix, asked, config.walk)
        return animation
    if suffix == ".gif":
        raise UsageError(f"-o {asked}: .gif is for an animation; add --walk N, or take .png")
    if suffix in GRIDS and not path.is_dir():
        return grid
    refuse(("--columns", config.columns), why=f"has no effect: -o {path} is no grid")
    return array if suffix == ".npz" else folder


def check_walk(suffix: str, asked: str | None, stops: int) -> None:
    """Raises `UsageError` for a file that holds no animation."""
    if suffix not in ANIMATIONS:
        raise UsageError(f"--walk {stops}: needs -o with {' or '.join(ANIMATIONS)}, not {asked}")


def place(asked: str | None, config: SampleConfig) -> Path:
    """The path to write to, known to be one that can be written; a name asked for by nobody overwrites nothing."""
    path = paths.expanded(asked, "-o") if asked is not None else _free("samples", ".gif" if config.walk else ".png")
    paths.check_output(path, "-o")
    return path


def _free(stem: str, suffix: str) -> Path:
    """`samples.png`, or `samples-2.png`, …"""
    path, number = Path(stem + suffix), 1
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}{suffix}")
    return path


def grid(order: Order, path: Path) -> list[str]:
    """All pictures as one picture."""
    atomic.write(path, [encoded_grid(order, path.suffix.lower())])
    return [str(path)]


def encoded_grid(order: Order, suffix: str) -> bytes:
    """The bytes of a file with all pictures as one picture. Raises `UsageError`, before anything is drawn, for a grid that
    no such file can hold."""
    _check_size(order, suffix)
    return images.encode(images.to_pil(images.grid(order.pixels(), order.columns)), suffix)


def _check_size(order: Order, suffix: str) -> None:
    """Before anything is drawn: raises `UsageError` for a grid that no file of this kind can hold."""
    side, num_levels = order.model.variant.images.size, order.num_levels
    width, height = images.grid_size(len(order.wanted), side, draw.width_side_by_side(side, num_levels), order.columns)
    limit = MAX_WEBP_SIDE if suffix == ".webp" else MAX_SIDE
    if max(width, height) > limit:
        raise UsageError(
            f"-n {len(order.wanted)}: a grid of {width}×{height} pixels is over the {limit} that a {suffix} may have; give "
            "other --columns, or take a directory or .npz"
        )


def folder(order: Order, path: Path) -> list[str]:
    """One PNG per picture, named by its seed (and class), with both in the file's text."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GancliError(f"-o {path}: cannot be made a directory ({error.strerror})") from error
    endings = [f"-label-{name}" for name in file_names(order.class_names)] or [""]
    written = []
    for one in order.drawn():
        file = path / f"seed-{one.request.seed:06d}{endings[one.request.label]}.png"
        note = PngImagePlugin.PngInfo()
        note.add_text("Software", "gancli")
        note.add_text("gan:seed", str(one.request.seed))
        if order.class_names:
            note.add_text("gan:label", _text(order.class_names[one.request.label]))
        buffer = io.BytesIO()
        images.to_pil(one.pixels).save(buffer, "PNG", pnginfo=note, compress_level=images.PNG_EFFORT)
        # Drawn again in less time than thousands of flushes take.
        atomic.write(file, [buffer.getvalue()], durable=False)
        written.append(str(file))
    with contextlib.suppress(OSError):
        atomic.sync_directory(path)
    return sorted(written)


def _text(name: str) -> str:
    """A class's name as a PNG's text can hold it: undecodable bytes and control characters as `gan inspect` shows them."""
    return "".join(c if c.isprintable() or (c.isspace() and c > "\x1f") else printable(c) for c in name)


def array(order: Order, path: Path) -> list[str]:
    """NumPy's `.npz`: `images` uint8 [N, H, W, C], `labels` int64 [N], `seeds` int64 [N], and the `class_names` that the
    labels number, str [K]; none where the pictures were not drawn by class."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=order.pixels().permute(0, 2, 3, 1).numpy(),
        labels=np.array([request.label for request in order.wanted], dtype=np.int64),
        seeds=np.array([request.seed for request in order.wanted], dtype=np.int64),
        class_names=np.array(order.class_names, dtype=np.str_),
    )
    atomic.write(path, [buffer.getvalue()])
    return [str(path)]


def animation(order: Order, path: Path) -> list[str]:
    """A walk through latent space as an endless `.gif` or `.webp`, 20 frames a second."""
    config = order.config
    assert config.walk is not None
    _check_size(order, path.suffix.lower())
    walked = walk.walk(
        order.model.variant, order.paint, order.wanted, config.walk, FRAMES_PER_LEG, order.device, config.truncation
    )
    frames = [images.to_pil(images.grid(pixels, order.columns)) for pixels in walked]
    buffer = io.BytesIO()
    kind = path.suffix.lower()[1:].upper()
    first, *rest = [frame.convert("RGB") if kind == "WEBP" else _palette(frame) for frame in frames]
    first.save(buffer, kind, save_all=True, append_images=rest, duration=50, loop=0)
    atomic.write(path, [buffer.getvalue()])
    return [str(path)]


def _palette(frame: Image.Image) -> Image.Image:
    return frame if frame.mode == "L" else frame.quantize(256)
