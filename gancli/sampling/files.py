"""The files that `gan sample` writes. Each function draws an order, writes it and gives the paths written."""

import contextlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PIL import Image, PngImagePlugin

from gancli import images
from gancli.cli import console
from gancli.cli.labels import file_names
from gancli.errors import GancliError, UsageError, printable
from gancli.files import atomic
from gancli.sampling import draw, walk

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.cli.sample import Order

MAX_SIDE = 65_000  # pixels; JPEG's limit is 65,535, WebP's 16,383
MAX_WEBP_SIDE = 16_383


def grid(order: "Order") -> list[str]:
    """All pictures as one picture; on stdout as a PNG where there is no path."""
    suffix = order.output.suffix.lower() if order.output else ".png"
    _check_size(order, suffix)
    encoded = images.encode(images.to_pil(images.grid(_all(order), order.columns)), suffix)
    if order.output is None:
        console.write_stdout(encoded)
        return []
    atomic.write(order.output, [encoded])
    return [str(order.output)]


def _check_size(order: "Order", suffix: str) -> None:
    """Before anything is drawn: raises `UsageError` for a grid that no file of this kind can hold."""
    side, num_levels = order.model.variant.images.size, order.num_levels
    width, height = images.grid_size(len(order.wanted), side, draw.width_side_by_side(side, num_levels), order.columns)
    limit = MAX_WEBP_SIDE if suffix == ".webp" else MAX_SIDE
    if max(width, height) > limit:
        raise UsageError(
            f"-n {len(order.wanted)}: a grid of {width}×{height} pixels is over the {limit} that a {suffix} may have; give "
            "other --columns, or take a directory or .npz"
        )


def folder(order: "Order") -> list[str]:
    """One PNG per picture, named by its seed (and class), with both in the file's text."""
    assert order.output is not None
    try:
        order.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GancliError(f"-o {order.output}: cannot be made a directory ({error.strerror})") from error
    class_names = order.model.variant.images.class_names if order.model.variant.conditional else ()
    endings = [f"-label-{name}" for name in file_names(class_names)] or [""]
    written = []
    for one in _chunks(order):
        name = f"seed-{one.request.seed:06d}{endings[one.request.label]}.png"
        path = order.output / name
        note = PngImagePlugin.PngInfo()
        note.add_text("Software", "gancli")
        note.add_text("gan:seed", str(one.request.seed))
        if class_names:
            note.add_text("gan:label", _text(class_names[one.request.label]))
        buffer = io.BytesIO()
        images.to_pil(one.pixels).save(buffer, "PNG", pnginfo=note, compress_level=images.PNG_EFFORT)
        atomic.write(
            path, [buffer.getvalue()], durable=False
        )  # drawn again in less time than thousands of flushes take
        written.append(str(path))
    with contextlib.suppress(OSError):
        atomic.sync_directory(order.output)
    return sorted(written)


def _text(name: str) -> str:
    """A class's name as a PNG's text can hold it: undecodable bytes and control characters as `gan inspect` shows them."""
    return "".join(c if c.isprintable() or (c.isspace() and c > "\x1f") else printable(c) for c in name)


def array(order: "Order") -> list[str]:
    """NumPy's `.npz`: `images` uint8 [N, H, W, C], `labels` int64 [N], `seeds` int64 [N], and the `class_names` that the
    labels number, str [K]; none where the pictures were not drawn by class."""
    import numpy as np

    assert order.output is not None
    class_names = order.model.variant.images.class_names if order.model.variant.conditional else ()
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=_all(order).permute(0, 2, 3, 1).numpy(),
        labels=np.array([request.label for request in order.wanted], dtype=np.int64),
        seeds=np.array([request.seed for request in order.wanted], dtype=np.int64),
        class_names=np.array(class_names, dtype=np.str_),
    )
    atomic.write(order.output, [buffer.getvalue()])
    return [str(order.output)]


def animation(order: "Order") -> list[str]:
    """A walk through latent space as an endless `.gif` or `.webp`, 20 frames a second."""
    from gancli.cli.sample import FRAMES_PER_LEG

    assert order.output is not None
    assert order.walk is not None
    _check_size(order, order.output.suffix.lower())
    frames = [
        images.to_pil(images.grid(pixels, order.columns))
        for pixels in walk.walk(
            order.model.variant, order.paint, order.wanted, order.walk, FRAMES_PER_LEG, order.device, order.truncation
        )
    ]
    buffer = io.BytesIO()
    kind = order.output.suffix.lower()[1:].upper()
    first, *rest = [frame.convert("RGB") if kind == "WEBP" else _palette(frame) for frame in frames]
    first.save(buffer, kind, save_all=True, append_images=rest, duration=50, loop=0)
    atomic.write(order.output, [buffer.getvalue()])
    return [str(order.output)]


def _palette(frame: Image.Image) -> Image.Image:
    return frame if frame.mode == "L" else frame.quantize(256)


def _chunks(order: "Order") -> Iterator[draw.Drawn]:
    variant = order.model.variant
    for start in range(0, len(order.wanted), order.chunk):
        some = order.wanted[start : start + order.chunk]
        for one in draw.draw(variant, order.paint, some, order.device, order.truncation):
            yield draw.Drawn(start + one.index, one.request, one.pixels)


def _all(order: "Order") -> "Tensor":
    import torch

    found = {one.index: one.pixels for one in _chunks(order)}
    return torch.stack([found[index] for index in range(len(order.wanted))])
