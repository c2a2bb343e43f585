"""A grid of generated images, each above its caption: the class, for a conditional model, and the seed."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli import images
from gancli.sampling.plan import SamplingPlan

GAP = 8  # pixels between cells and around the grid
MIN_FONT, MAX_FONT = 12, 28  # pixels
NAME_EMS = 6  # a cell is widened for a class name of up to this many times the font size; longer names are shortened
BACKGROUND, INK = 235, 0  # light grey, on which the edges of white images can be seen; and black

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class CaptionedGrid:
    """The layout of a grid with captions. `cell`: width and height in pixels of an image with its caption."""

    plan: SamplingPlan
    font: Font
    captions: Sequence[tuple[str, ...]]
    cell: tuple[int, int]
    line_height: int

    @property
    def size(self) -> tuple[int, int]:
        """The width and height of the grid in pixels."""
        width, height = images.grid_size(len(self.captions), self.cell[1], self.cell[0], self.plan.columns, GAP)
        return width + 2 * GAP, height + 2 * GAP

    def image(self, pixels: Tensor) -> Image.Image:
        """Return the grid of the plan's images, uint8 `[N, C, H, W]`, each centred in its cell."""
        mode = "L" if pixels.shape[1] == 1 else "RGB"
        canvas = Image.new(mode, self.size, _shade(mode, BACKGROUND))
        draw = ImageDraw.Draw(canvas)
        count, (width, height) = len(self.captions), self.cell
        columns = min(self.plan.columns or images.columns_for(count), count)
        for index, lines in enumerate(self.captions):
            left, top = GAP + index % columns * (width + GAP), GAP + index // columns * (height + GAP)
            tile = images.to_pil(pixels[index], self.plan.zoom)
            canvas.paste(tile, (left + (width - tile.width) // 2, top))
            for number, text in enumerate(lines):
                start = left + (width - math.ceil(self.font.getlength(text))) // 2
                draw.text(
                    (start, top + tile.height + 2 + number * self.line_height), text, _shade(mode, INK), self.font
                )
        return canvas


def captioned_grid(plan: SamplingPlan) -> CaptionedGrid:
    """Return the layout of a plan's grid. The font grows with the images; seeds are never shortened."""
    side, tile_width = plan.model.variant.images.size * plan.zoom, plan.width * plan.zoom
    size = max(MIN_FONT, min(MAX_FONT, side // 8))
    font, line_height = ImageFont.load_default(size), round(size * 1.3)
    seeds = [f"seed {request.seed}" for request in plan.requests]
    used = sorted({request.label for request in plan.requests}) if plan.class_names else []
    names = {label: drawable_name(plan.class_names[label], label, font) for label in used}
    widest = [min(math.ceil(font.getlength(name)), NAME_EMS * size) for name in names.values()]
    width = max(tile_width, *(math.ceil(font.getlength(seed)) for seed in seeds), *widest)
    fitting = {label: shortened(name, width, font) for label, name in names.items()}
    captions = [
        (fitting[request.label], seed) if fitting else (seed,)
        for request, seed in zip(plan.requests, seeds, strict=True)
    ]
    return CaptionedGrid(plan, font, captions, (width, side + 2 + len(captions[0]) * line_height), line_height)


def drawable_name(name: str, label: int, font: Font) -> str:
    """Return a class name as the font can show it: without accents, as Pillow's font has hardly more than ASCII. A name with
    a character that is missing in other ways too is replaced by `class 3`, its number."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).strip()
    missing = bytes(font.getmask("\U0010ffff"))
    drawable = all(c == " " or (c.isprintable() and bytes(font.getmask(c)) != missing) for c in plain)
    return plain if plain and drawable else f"class {label}"


def shortened(name: str, width: int, font: Font) -> str:
    """Return a name that is at most `width` pixels wide, with `…` in place of its end if it must be shortened."""
    if font.getlength(name) <= width:
        return name
    candidates = (f"{name[:end].rstrip()}…" for end in range(len(name) - 1, 0, -1))
    return next((text for text in candidates if font.getlength(text) <= width), "…")


def _shade(mode: str, grey: int) -> int | tuple[int, int, int]:
    return grey if mode == "L" else (grey, grey, grey)
