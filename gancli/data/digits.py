"""`digits`: the ten digits in Pillow's own font, each one bent, turned, scaled, thickened and moved at random."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

STROKES = (0, 1, 2, 3, 4)  # extra pixels around the glyph, in the master
MASTER = 112  # pixels; four times 28
GLYPH_HEIGHT = 0.62  # of the picture, before scaling: near MNIST's 20 of 28
OVERSAMPLING = 2
CHUNK, PIECE = 1000, 20  # pictures whose random numbers belong together; whose pixels fit into a processor's cache


def draw_digits(count: int, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """White digits on black, in chunks: uint8 `[n, 1, size, size]` and labels int64 `[n]`; the same for equal seeds."""
    rng = torch.Generator().manual_seed(seed)
    masters = _masters()
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        labels = torch.randint(10, (n,), generator=rng)
        strokes = torch.randint(len(STROKES), (n,), generator=rng)
        pieces = zip(*(torch.split(each, PIECE) for each in (labels, strokes, _warps(n, rng))), strict=True)
        yield torch.cat([_drawn(masters[label, stroke], warps, size) for label, stroke, warps in pieces]), labels


def _drawn(masters: Tensor, warps: Tensor, size: int) -> Tensor:
    fine = size * OVERSAMPLING
    places = F.affine_grid(warps, [len(warps), 1, fine, fine], align_corners=False)
    drawn = F.grid_sample(masters, places, mode="bilinear", align_corners=False)
    return F.avg_pool2d(drawn, OVERSAMPLING).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def _warps(n: int, rng: torch.Generator) -> Tensor:
    """Random maps from the picture's place to the master's, float `[n, 2, 3]`: turn, shear, scale, shift."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=rng) * (high - low) + low

    turn, shear = uniform(-10, 10) * (math.pi / 180), uniform(-0.25, 0.25)
    wide, high = 1 / uniform(0.85, 1.2), 1 / uniform(0.9, 1.15)
    cos, sin = turn.cos(), turn.sin()
    across = torch.stack([wide * cos, wide * (shear * cos + sin), uniform(-0.08, 0.08)], 1)
    down = torch.stack([-high * sin, high * (cos - shear * sin), uniform(-0.08, 0.08)], 1)
    return torch.stack([across, down], 1)


def _masters() -> Tensor:
    """Every digit at every thickness, centred: float `[10, strokes, 1, MASTER, MASTER]` in [0, 1]."""
    font = ImageFont.load_default(size=MASTER * GLYPH_HEIGHT / 0.72)  # the font's digits are 0.72 of its size high
    rows = [torch.stack([_glyph(str(digit), stroke, font) for stroke in STROKES]) for digit in range(10)]
    return torch.stack(rows)


def _glyph(text: str, stroke: int, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont") -> Tensor:
    image = Image.new("L", (MASTER, MASTER))
    canvas = ImageDraw.Draw(image)
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font, stroke_width=stroke)
    corner = ((MASTER - left - right) / 2, (MASTER - top - bottom) / 2)
    canvas.text(corner, text, fill=255, font=font, stroke_width=stroke)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(1, MASTER, MASTER).float().div_(255)
