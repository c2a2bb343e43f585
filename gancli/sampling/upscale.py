"""Pictures enlarged by a model that reads low-resolution ones: whole where memory allows, else in tiles without seams."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from PIL import Image
from torch import Tensor, nn

from gancli import images
from gancli.data.decode import Layers
from gancli.errors import GancliError
from gancli.room import free_bytes
from gancli.variant import Variant

SMALLEST_TILE = 16  # pixels of the low-resolution picture
MEMORY_SHARE = 1 / 2  # of what is free


@dataclass(frozen=True)
class Upscaler:
    """A model ready to enlarge: `generator` in eval mode on `device`.

    `tile`: side of a tile, in pixels of the low-resolution picture; None: the whole picture, or as large as memory allows.
    Tiles overlap by the generator's receptive field, so that they change nothing but the rounding.
    """

    variant: Variant
    device: torch.device
    tile: int | None = None

    @torch.inference_mode()
    def enlarge(self, picture: Tensor) -> Tensor:
        """uint8 `[C, h, w]` → uint8 `[C, h·scale, w·scale]`, on the CPU. C may differ from the model's: a model of grey
        pictures enlarges colour by colour, a model of colour pictures makes grey ones grey.

        Raises `GancliError` where not even small tiles fit into memory.
        """
        own = self.variant.images.channels
        if own == len(picture):
            return self._enlarge(picture[None])[0]
        if own == 1:
            return self._enlarge(picture[:, None])[:, 0]
        return self._enlarge(picture[None].expand(-1, own, -1, -1))[0].float().mean(0, keepdim=True).round().byte()

    def _enlarge(self, pictures: Tensor) -> Tensor:
        count, channels, height, width = pictures.shape
        scale, tile = self.variant.scale, self.tile or self._fitting_tile(height, width, count)
        while True:
            try:
                result = torch.empty(count, channels, height * scale, width * scale, dtype=torch.uint8)
                for tile_of in tiles(height, width, tile, self.variant.reach):
                    self._paint(pictures, tile_of, result)
                return result
            except torch.OutOfMemoryError as error:
                if tile <= SMALLEST_TILE:
                    raise GancliError(f"--tile {tile}: out of memory on {self.device}; try --device cpu") from error
                tile = max(SMALLEST_TILE, min(tile, max(height, width)) // 2)

    def _paint(self, pictures: Tensor, tile: "Tile", result: Tensor) -> None:
        part = pictures[..., tile.rows.outer, tile.columns.outer].to(self.device)
        fine = images.to_uint8(self.variant.generator(images.to_float(part))).cpu()
        scale = self.variant.scale
        rows, columns = (side.within(scale) for side in (tile.rows, tile.columns))
        result[..., tile.rows.target(scale), tile.columns.target(scale)] = fine[..., rows, columns]

    def _fitting_tile(self, height: int, width: int, count: int) -> int:
        """The side of the largest tile that memory allows; at least the picture's where that fits whole."""
        values = free_bytes(self.device) * MEMORY_SHARE / (count * bytes_per_pixel(self.variant))
        if height * width <= values:
            return max(height, width)
        return max(SMALLEST_TILE, int(math.sqrt(values)) - 2 * self.variant.reach)


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


def bytes_per_pixel(variant: Variant) -> int:
    """Memory that the generator takes per pixel of a low-resolution picture, roughly: its largest layer's input and output,
    and as much again for what is kept aside (skip connections, a convolution's workspace)."""
    side, most = 64, 0

    def measure(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal most
        most = max(most, sum(x.numel() * x.element_size() for x in (*inputs, output)))

    leaves = [module for module in variant.generator.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(measure) for module in leaves]
    try:
        state = {name: t.to("meta") for name, t in variant.generator.state_dict().items()}
        probe = torch.empty(1, variant.images.channels, side, side, device="meta")
        torch.func.functional_call(variant.generator, state, (probe,))
    finally:
        for hook in hooks:
            hook.remove()
    return math.ceil(2 * most / side**2)


def enlarge_layers(upscaler: Upscaler, layers: Layers) -> Image.Image:
    """A decoded picture enlarged, with its transparency and its colour profile."""
    colour = images.to_pil(upscaler.enlarge(images.from_pil(layers.colour)))
    if layers.alpha is not None:
        colour = colour.convert("LA" if colour.mode == "L" else "RGBA")
        colour.putalpha(layers.alpha.resize(colour.size, Image.Resampling.BICUBIC))
    if layers.profile:
        colour.info["icc_profile"] = layers.profile
    return colour
