"""Enlarges images with a super-resolution model, in tiles without seams that are as large as memory allows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor, nn

from gancli import images
from gancli.errors import GancliError
from gancli.format import size as shown
from gancli.machine.cpu_tuning import release_freed_memory
from gancli.machine.memory import free_bytes
from gancli.variant import Variant

SMALLEST_TILE = 16  # pixels of the low-resolution image
MEMORY_SHARE = 1 / 2  # of what is free
# The memory for a tile. Larger tiles gain little, and for a layer of 2^31 bytes oneDNN uses its reference convolution, which
# is a hundred times slower.
MAX_BYTES = 1 << 31
CPU = torch.device("cpu")
# Memory for decoding, in bytes per byte of the image: the copies that are upright, of 8 bits, without transparency, and a
# tensor. Measured for a transparent image: 5.8.
DECODING = 6


@dataclass(frozen=True)
class Part:
    """A tile of an enlarged image: uint8 `[C, h, w]`, at `top` and `left`; the `number`th of `count`."""

    pixels: Tensor
    top: int
    left: int
    number: int
    count: int


@dataclass(frozen=True)
class Upscaler:
    """A model ready to enlarge, with its generator in eval mode on `device`.

    `tile`: largest side of the tiles, in pixels of the low-resolution image; they are smaller where memory requires it.
    Tiles overlap by the generator's receptive field, so that they change only the rounding.
    """

    variant: Variant
    device: torch.device
    tile: int | None = None

    def __post_init__(self) -> None:
        self.variant.generator.to(memory_format=self._layout)

    def enlarge(self, low_res: Tensor) -> Tensor:
        """Return an enlarged image: uint8 `[C, h, w]` → uint8 `[C, h·scale, w·scale]`, on the CPU."""
        channels, height, width = low_res.shape
        result = torch.empty(channels, height * self.variant.scale, width * self.variant.scale, dtype=torch.uint8)
        for part in self.parts(low_res):
            height, width = part.pixels.shape[1:]
            result[:, part.top : part.top + height, part.left : part.left + width] = part.pixels
        return result

    @torch.inference_mode()
    def parts(self, low_res: Tensor, reserved: int = 0) -> Iterator[Part]:
        """Yield the tiles of an enlarged image, uint8 `[C, h, w]`, on the CPU. C may differ from the model's: a model of
        grey images enlarges each channel by itself, a model of colour images makes grey images grey again. If memory runs
        out, the tiles start again, smaller.

        `reserved`: main memory in bytes that the caller will use meanwhile. Raises `GancliError` if even small tiles do not
        fit.
        """
        channels, height, width = low_res.shape
        own = self.variant.images.channels
        inputs = low_res[:, None] if own == 1 else low_res[None].expand(-1, own, -1, -1)
        side = self._fitting_tile(height, width, len(inputs), reserved)
        side = side if self.tile is None else min(side, self.tile)
        while True:
            try:
                grid = list(tiles(height, width, side, self.variant.receptive_radius))
                for number, tile in enumerate(grid, 1):
                    pixels = _with_channels(self._enlarge_tile(inputs, tile), channels)
                    top, left = (span.start * self.variant.scale for span in (tile.rows, tile.columns))
                    yield Part(pixels, top, left, number, len(grid))
                return
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                if side <= SMALLEST_TILE:
                    hint = "free some memory" if self.device.type == "cpu" else "try --device cpu"
                    reason = " ".join(str(error).split())[:200]
                    raise GancliError(f"--tile {side}: out of memory on {self.device} ({reason}); {hint}") from error
                side = max(SMALLEST_TILE, min(side, max(height, width)) // 2)

    def _enlarge_tile(self, inputs: Tensor, tile: "Tile") -> Tensor:
        """Enlarge a tile of images, uint8 `[N, C, h, w]`, and crop its margin."""
        part = inputs[..., tile.rows.outer, tile.columns.outer].to(self.device, memory_format=self._layout)
        fine = images.to_uint8(self.variant.generator(images.to_float(part)))
        rows, columns = (side.within(self.variant.scale) for side in (tile.rows, tile.columns))
        return fine[..., rows, columns].cpu()

    @property
    def _layout(self) -> torch.memory_format:
        """The faster memory format: convolutions in channels last take two fifths of the time on an EPYC of family 25."""
        fast = self.variant.convolutional and self.device.type in ("cpu", "cuda")
        return torch.channels_last if fast else torch.contiguous_format

    def _fitting_tile(self, height: int, width: int, count: int, reserved: int) -> int:
        """Return the side of the largest tile that fits into memory; the longer side of the image if it fits as a whole."""
        pixel_bytes = count * self.pixel_bytes
        available = self._available(reserved)
        if self.device.type == "cpu" and available < min(MAX_BYTES, height * width * pixel_bytes):
            release_freed_memory()
            available = self._available(reserved)
        num_pixels = min(MAX_BYTES, available) / pixel_bytes
        if height * width <= num_pixels:
            return max(height, width)
        return max(SMALLEST_TILE, int(math.sqrt(num_pixels)) - 2 * self.variant.receptive_radius)

    def _available(self, reserved: int) -> float:
        free = free_bytes(self.device) - (reserved if self.device.type == "cpu" else 0)
        return max(0, free) * MEMORY_SHARE

    @cached_property
    @torch.inference_mode()
    def pixel_bytes(self) -> int:
        """The memory that the generator takes per pixel of a low-resolution image, approximately: the input and output of
        its largest layer, and as much again for what else is alive (skip connections, workspaces). Measured on 8×8."""
        side, most = 8, 0

        def measure(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal most
            most = max(most, sum(x.numel() * x.element_size() for x in (*inputs, output)))

        generator = self.variant.generator
        leaves = [module for module in generator.modules() if not list(module.children())]
        hooks = [module.register_forward_hook(measure) for module in leaves]
        try:
            device = next(generator.parameters()).device
            generator(torch.zeros(1, self.variant.images.channels, side, side, device=device))
        finally:
            for hook in hooks:
                hook.remove()
        return math.ceil(2 * most / side**2)


def _with_channels(enlarged: Tensor, channels: int) -> Tensor:
    """Convert the outputs for an image of `channels`, uint8 `[N, C, h, w]`, into one image with as many channels."""
    if len(enlarged) > 1:
        return enlarged[:, 0]  # one output per channel
    return enlarged[0] if enlarged.shape[1] == channels else enlarged[0].float().mean(0, keepdim=True).round().byte()


def _out_of_memory(error: Exception) -> bool:
    """Return whether an error is one of the allocators of torch or C++, or of oneDNN, which then cannot create a
    primitive."""
    texts = ("DefaultCPUAllocator", "bad_alloc", "could not create a", "could not execute a primitive")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(text in str(error) for text in texts)


def check_file(name: str, num_bytes: int) -> None:
    """Raises `GancliError` if an image file does not fit into memory."""
    if num_bytes > (free := free_bytes(CPU)):
        raise GancliError(f"{name}: the file has {shown(num_bytes)}, but only {shown(free)} of memory are free")


def check_memory(upscaler: Upscaler, shape: tuple[int, int, int], suffix: str, name: str) -> int:
    """Return the main memory in bytes, approximately, of an enlarged image with its file. `shape`: width, height and bytes
    per pixel of the low-resolution image. Raises `GancliError` if it does not fit, with decoding and a small tile."""
    width, height, pixel = shape
    scale = upscaler.variant.scale
    result = width * height * scale**2 * (pixel + images.ENCODING_BYTES[suffix])
    total = result + width * height * pixel * DECODING
    if upscaler.device.type == "cpu":
        side = SMALLEST_TILE + 2 * upscaler.variant.receptive_radius
        total += upscaler.pixel_bytes * min(width, side) * min(height, side)
    if total > free_bytes(CPU):
        release_freed_memory()
        if total > (free := free_bytes(CPU)):
            other = "; .png takes less" if suffix == ".webp" else ""
            raise GancliError(
                f"{name}: enlarging it to {width * scale}×{height * scale} pixels takes {shown(total)} of memory, but only "
                f"{shown(free)} are free; enlarge it in parts, or on a larger machine{other}"
            )
    return result


@dataclass(frozen=True)
class Span:
    """Rows or columns of a tile: from `start` to `stop`, and with its margin from `low` to `high`."""

    start: int
    stop: int
    low: int
    high: int

    @property
    def outer(self) -> slice:
        return slice(self.low, self.high)

    def within(self, scale: int) -> slice:
        """Return its position in the tile that was enlarged with its margin."""
        return slice((self.start - self.low) * scale, (self.stop - self.low) * scale)


@dataclass(frozen=True)
class Tile:
    rows: Span
    columns: Span


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[Tile]:
    """Yield tiles of at most `side` by `side` that cover an image once, each with a margin, clipped to the image."""
    for rows in _spans(height, side, margin):
        for columns in _spans(width, side, margin):
            yield Tile(rows, columns)


def _spans(length: int, side: int, margin: int) -> list[Span]:
    count = math.ceil(length / side)
    edges = [length * index // count for index in range(count + 1)]
    return [Span(start, stop, max(0, start - margin), min(length, stop + margin)) for start, stop in pairwise(edges)]
