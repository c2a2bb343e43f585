"""`digits`: the ten digits in Pillow's font, each one sheared, rotated, scaled, thickened and moved at random."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli.images import from_pil

STROKES = (0, 1, 2, 3, 4)  # extra pixels around the glyph, in its template
TEMPLATE = 112  # pixels; four times 28
GLYPH_HEIGHT = 0.62  # of the image, before scaling: close to MNIST's 20 of 28
OVERSAMPLING = 2
CHUNK, PIECE = 1000, 20  # images whose random numbers are drawn together; whose pixels fit into a processor's cache


def draw_digits(count: int, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield white digits on black in chunks: uint8 `[n, 1, size, size]` and labels int64 `[n]`."""
    rng = torch.Generator().manual_seed(seed)
    templates = _templates()
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        labels = torch.randint(10, (n,), generator=rng)
        strokes = torch.randint(len(STROKES), (n,), generator=rng)
        pieces = zip(*(torch.split(each, PIECE) for each in (labels, strokes, _warps(n, rng))), strict=True)
        yield torch.cat([_rendered(templates[label, stroke], warps, size) for label, stroke, warps in pieces]), labels


def _rendered(templates: Tensor, warps: Tensor, size: int) -> Tensor:
    fine = size * OVERSAMPLING
    places = F.affine_grid(warps, [len(warps), 1, fine, fine], align_corners=False)
    sampled = F.grid_sample(templates, places, mode="bilinear", align_corners=False)
    return F.avg_pool2d(sampled, OVERSAMPLING).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def _warps(n: int, rng: torch.Generator) -> Tensor:
    """Return random affine maps from the image to its template, float `[n, 2, 3]`: rotation, shear, scale, shift."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=rng) * (high - low) + low

    turn, shear = uniform(-10, 10) * (math.pi / 180), uniform(-0.25, 0.25)
    wide, high = 1 / uniform(0.85, 1.2), 1 / uniform(0.9, 1.15)
    cos, sin = turn.cos(), turn.sin()
    across = torch.stack([wide * cos, wide * (shear * cos + sin), uniform(-0.08, 0.08)], 1)
    down = torch.stack([-high * sin, high * (cos - shear * sin), uniform(-0.08, 0.08)], 1)
    return torch.stack([across, down], 1)


def _templates() -> Tensor:
    """Return every digit at every thickness, centred: float `[10, strokes, 1, TEMPLATE, TEMPLATE]` in [0, 1]."""
    font = ImageFont.load_default(size=TEMPLATE * GLYPH_HEIGHT / 0.72)  # the font's digits are 0.72 of its size high
    rows = [torch.stack([_glyph(str(digit), stroke, font) for stroke in STROKES]) for digit in range(10)]
    return torch.stack(rows)


def _glyph(text: str, stroke: int, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont") -> Tensor:
    image = Image.new("L", (TEMPLATE, TEMPLATE))
    canvas = ImageDraw.Draw(image)
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font, stroke_width=stroke)
    corner = ((TEMPLATE - left - right) / 2, (TEMPLATE - top - bottom) / 2)
    canvas.text(corner, text, fill=255, font=font, stroke_width=stroke)
    return from_pil(image).float().div_(255)
