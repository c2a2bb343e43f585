"""Pictures enlarged by a model that reads low-resolution ones: in tiles without seams, as large as memory allows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from PIL import Image
from torch import Tensor, nn

from gancli import images
from gancli.data.decode import Layers
from gancli.errors import GancliError
from gancli.events import Emit, Preparing
from gancli.format import size as shown
from gancli.machine.cpu_tuning import release_freed_memory
from gancli.machine.memory import free_bytes
from gancli.variant import Variant

SMALLEST_TILE = 16  # pixels of the low-resolution picture
MEMORY_SHARE = 1 / 2  # of what is free
# A tile's working memory. Larger ones gain little (their margins are a smaller part of them), and where a layer comes to
# 2^31 bytes, oneDNN takes its reference convolution, a hundred times slower.
MOST_BYTES = 1 << 31
CPU = torch.device("cpu")
# What decoding a picture takes, in bytes per byte of it in memory: itself, upright, as 8 bit, without what it hides, as a
# tensor. Measured: 5.8 of a transparent one.
DECODING = 6


@dataclass(frozen=True)
class Part:
    """A finished piece of an enlarged picture: uint8 `[C, h, w]`, which begins at `top` and `left` and is the `number`th
    of `count`."""

    pixels: Tensor
    top: int
    left: int
    number: int
    count: int


@dataclass(frozen=True)
class Upscaler:
    """A model ready to enlarge: `generator` in eval mode on `device`, whose weights are laid out anew.

    `tile`: side of a tile, in pixels of the low-resolution picture; None: as large as memory allows.
    Tiles overlap by the generator's receptive field, so that they change nothing but the rounding.
    """

    variant: Variant
    device: torch.device
    tile: int | None = None

    def __post_init__(self) -> None:
        self.variant.generator.to(memory_format=self._layout)

    def enlarge(self, picture: Tensor) -> Tensor:
        """uint8 `[C, h, w]` → uint8 `[C, h·scale, w·scale]`, on the CPU: all `parts` in one."""
        channels, height, width = picture.shape
        result = torch.empty(channels, height * self.variant.scale, width * self.variant.scale, dtype=torch.uint8)
        for part in self.parts(picture):
            height, width = part.pixels.shape[1:]
            result[:, part.top : part.top + height, part.left : part.left + width] = part.pixels
        return result

    @torch.inference_mode()
    def parts(self, picture: Tensor, set_aside: int = 0) -> Iterator[Part]:
        """uint8 `[C, h, w]` → the pieces of it enlarged, on the CPU. C may differ from the model's: a model of grey pictures
        enlarges colour by colour, a model of colour pictures makes grey ones grey. Where memory runs out, the pieces begin
        again, smaller.

        `set_aside`: main memory in bytes that something else will take meanwhile. Raises `GancliError` where not even small
        tiles fit.
        """
        channels, height, width = picture.shape
        own = self.variant.images.channels
        pictures = picture[:, None] if own == 1 else picture[None].expand(-1, own, -1, -1)
        side = self.tile or self._fitting_tile(height, width, len(pictures), set_aside)
        while True:
            try:
                places = list(tiles(height, width, side, self.variant.receptive_radius))
                for number, place in enumerate(places, 1):
                    fine = _joined(self._paint(pictures, place), channels)
                    top, left = (span.start * self.variant.scale for span in (place.rows, place.columns))
                    yield Part(fine, top, left, number, len(places))
                return
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                if side <= SMALLEST_TILE:
                    way_out = "give it more" if self.device.type == "cpu" else "try --device cpu"
                    words = " ".join(str(error).split())[:200]
                    raise GancliError(f"--tile {side}: out of memory on {self.device} ({words}); {way_out}") from error
                side = max(SMALLEST_TILE, min(side, max(height, width)) // 2)

    def _paint(self, pictures: Tensor, tile: "Tile") -> Tensor:
        """A tile of pictures, uint8 `[N, C, h, w]`, enlarged and without its margin."""
        part = pictures[..., tile.rows.outer, tile.columns.outer].to(self.device, memory_format=self._layout)
        fine = images.to_uint8(self.variant.generator(images.to_float(part)))
        rows, columns = (side.within(self.variant.scale) for side in (tile.rows, tile.columns))
        return fine[..., rows, columns].cpu()

    @cached_property
    def pixel_bytes(self) -> int:
        """`bytes_per_pixel` of its generator."""
        return bytes_per_pixel(self.variant)

    @property
    def _layout(self) -> torch.memory_format:
        """Channels last is what convolutions are faster in: on an EPYC of family 25 in two fifths of the time."""
        fast = self.variant.convolutional and self.device.type in ("cpu", "cuda")
        return torch.channels_last if fast else torch.contiguous_format

    def fitting(self, colour: Image.Image, set_aside: int) -> "Upscaler":
        """The same with smaller tiles, where memory does not allow what it has for a picture."""
        if self.tile is None:
            return self
        count = len(colour.getbands()) if self.variant.images.channels == 1 else 1
        side = self._fitting_tile(colour.height, colour.width, count, set_aside)
        return self if self.tile <= side or side >= max(colour.size) else replace(self, tile=side)

    def _fitting_tile(self, height: int, width: int, count: int, set_aside: int = 0) -> int:
        """The side of the largest tile that memory allows; at least the picture's where that fits whole."""
        pixel = count * self.pixel_bytes
        room = self._room(set_aside)
        if self.device.type == "cpu" and room < min(MOST_BYTES, height * width * pixel):
            release_freed_memory()
            room = self._room(set_aside)
        values = min(MOST_BYTES, room) / pixel
        if height * width <= values:
            return max(height, width)
        return max(SMALLEST_TILE, int(math.sqrt(values)) - 2 * self.variant.receptive_radius)

    def _room(self, set_aside: int) -> float:
        free = free_bytes(self.device) - (set_aside if self.device.type == "cpu" else 0)
        return max(0, free) * MEMORY_SHARE


def _joined(fine: Tensor, channels: int) -> Tensor:
    """What a model made of a picture of `channels`, uint8 `[N, C, h, w]`, as one of as many channels."""
    if len(fine) > 1:
        return fine[:, 0]  # colour by colour
    return fine[0] if fine.shape[1] == channels else fine[0].float().mean(0, keepdim=True).round().byte()


def _out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, in the words of torch's allocators, C++ and oneDNN (which cannot create a primitive then)."""
    told = ("DefaultCPUAllocator", "bad_alloc", "could not create a", "could not execute a primitive")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(text in str(error) for text in told)


def check_file(name: str, num_bytes: int) -> None:
    """Raises `GancliError` where there is no memory for a picture's very file."""
    if num_bytes > (free := free_bytes(CPU)):
        raise GancliError(f"{name}: is a file of {shown(num_bytes)}, and {shown(free)} of memory are free")


def check_memory(upscaler: Upscaler, shape: tuple[int, int, int], suffix: str, name: str) -> int:
    """Main memory in bytes, roughly, that an enlarged picture takes with its file. `shape`: width, height and bytes per
    pixel in memory of the low-resolution one. Raises `GancliError` where it is not there beside what decoding takes, and a
    small tile."""
    width, height, pixel = shape
    result = width * height * upscaler.variant.scale**2 * (pixel + images.ENCODING_BYTES[suffix])
    total = result + width * height * pixel * DECODING
    if upscaler.device.type == "cpu":
        side = SMALLEST_TILE + 2 * upscaler.variant.receptive_radius
        total += upscaler.pixel_bytes * min(width, side) * min(height, side)
    if total > free_bytes(CPU):
        release_freed_memory()
        if total > (free := free_bytes(CPU)):
            width, height = width * upscaler.variant.scale, height * upscaler.variant.scale
            other = "; .png takes less" if suffix == ".webp" else ""
            raise GancliError(
                f"{name}: enlarged to {width}×{height} pixels it takes {shown(total)} of memory, and "
                f"{shown(free)} are free; enlarge it in parts, or where there is more{other}"
            )
    return result


@dataclass(frozen=True)
class Span:
    """A stretch of rows or columns: from `start` to `stop`, with a margin down to `low` and up to `high`."""

    start: int
    stop: int
    low: int
    high: int

    @property
    def outer(self) -> slice:
        return slice(self.low, self.high)

    def target(self, scale: int) -> slice:
        return slice(self.start * scale, self.stop * scale)

    def within(self, scale: int) -> slice:
        """Where the stretch lies in what was enlarged with its margin."""
        return slice((self.start - self.low) * scale, (self.stop - self.low) * scale)


@dataclass(frozen=True)
class Tile:
    rows: Span
    columns: Span


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[Tile]:
    """Tiles of at most `side` by `side` that cover a picture once, each with a margin that ends at the picture's edges."""
    for rows in _spans(height, side, margin):
        for columns in _spans(width, side, margin):
            yield Tile(rows, columns)


def _spans(length: int, side: int, margin: int) -> list[Span]:
    count = math.ceil(length / side)
    edges = [length * index // count for index in range(count + 1)]
    return [Span(start, stop, max(0, start - margin), min(length, stop + margin)) for start, stop in pairwise(edges)]


@torch.inference_mode()
def bytes_per_pixel(variant: Variant) -> int:
    """Memory that the generator takes per pixel of a low-resolution picture, roughly: its largest layer's input and output,
    and as much again for what is kept aside (skip connections, a convolution's workspace). Measured on a picture of 8×8."""
    side, most = 8, 0

    def measure(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal most
        most = max(most, sum(x.numel() * x.element_size() for x in (*inputs, output)))

    leaves = [module for module in variant.generator.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(measure) for module in leaves]
    try:
        device = next(variant.generator.parameters()).device
        variant.generator(torch.zeros(1, variant.images.channels, side, side, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return math.ceil(2 * most / side**2)


def enlarge_layers(upscaler: Upscaler, layers: Layers, name: str, set_aside: int, emit: Emit) -> Image.Image:
    """A decoded picture enlarged, with its transparency and what its file says of it. `set_aside`: as for
    `Upscaler.parts`."""
    colour, scale = layers.colour, upscaler.variant.scale
    size = (colour.width * scale, colour.height * scale)
    mode = colour.mode if layers.alpha is None else "RGBA" if colour.mode == "RGB" else "LA"
    result = None
    for part in upscaler.parts(images.from_pil(colour), set_aside):
        if result is None:  # only now: it is counted in `set_aside`, and would be once more if it were there already
            result = Image.new(mode, size)
        result.paste(images.to_pil(part.pixels), (part.left, part.top))
        emit(Preparing(f"enlarging {name}", part.number, part.count, "tiles"))
    assert result is not None
    if layers.alpha is not None:
        result.putalpha(layers.alpha.resize(size, Image.Resampling.BICUBIC))
    result.info.update(layers.info)
    return result
