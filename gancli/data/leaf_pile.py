"""The pile of shapes in an image of `leaves`: their outlines, and the map of which shape is visible at each pixel.

Angles are 1,024ths of a turn, looked up in a rounded table, and corners are whole pixels, so that differences between
processors in the last bit do not reach the images.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

STEPS = 1024  # of a turn
ROUND = 4096  # a table's values are rounded to multiples of 1 / ROUND
CORNERS = 32  # of each shape; a polygon with fewer has some of them in the same place
ALONG = 12  # corners on each side of a stroke
HARMONICS = 4  # of a blob's outline: waves of 2, 3, 4 and 5 to a turn
DISC, BLOB, POLYGON, REGULAR = range(4)
SHARES = torch.tensor([0.2, 0.5, 0.7])  # of discs, blobs and polygons, cumulated
THIN = 0.3  # share of the shapes that are squeezed to a strip

LAYERS = 3.0  # area of all shapes, relative to the canvas
FILLED = 0.45  # mean share of the circle around a shape that it fills
DENSEST = 1 / 130  # maximum number of shapes per pixel
FONT_SIZES = (12, 16, 20, 26, 34, 44, 58, 76, 100)  # pixels of the canvas
LETTERS = "abcdefghijklmnopqrstuvwxyz" * 2 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?()+-=/&%$#@"
INK, GROUND = 0, 1  # the items with the surface of contours and most letters, and of the background
ITSELF, FIRST = -1, -2  # values of `texture_of`: the item itself, the first of its group
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SINES = torch.tensor([round(math.sin(2 * math.pi * step / STEPS) * ROUND) / ROUND for step in range(STEPS)])
COSINES = SINES.roll(-STEPS // 4)


def uniform(rng: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return uniform random numbers between `low` and `high`."""
    return torch.rand(shape, generator=rng) * (high - low) + low


def normal(rng: torch.Generator, *shape: int) -> Tensor:
    """Return nearly normal random numbers of mean 0 and deviation 1, as sums of four uniform ones: `torch.randn` differs
    between processors."""
    a, b, c, d = torch.rand((4, *shape), generator=rng)
    values: Tensor = (a + b + (c + d) - 2) * 3**0.5
    return values


def directions(rng: torch.Generator, *shape: int) -> tuple[Tensor, Tensor]:
    """Return the cosine and sine of random angles."""
    steps = torch.randint(STEPS, shape, generator=rng)
    return COSINES[steps], SINES[steps]


def power_law(rng: torch.Generator, num: int, least: float, most: float, a: float) -> Tensor:
    """Return radii in pixels, float `[num]`, of density r^-(1+a) between `least` and `most`."""
    share = torch.rand(num, generator=rng, dtype=torch.float64)
    low, high = least**-a, most**-a
    radii: Tensor = (low - share * (low - high)) ** (-1 / a)
    return radii.mul(4).round().div(4).float()


def _centres(rng: torch.Generator, num: int, side: int) -> Tensor:
    """Return places on the canvas and a little around it: float `[N, 2]`."""
    return uniform(rng, -0.1, 1.1, num, 2) * side


def _shape_outlines(rng: torch.Generator, radii: Tensor, centres: Tensor) -> Tensor:
    """Return discs, blobs and polygons of `radii` (float `[N]`) around `centres` (float `[N, 2]`): `[N, CORNERS, 2]`."""
    num = len(radii)
    kinds = torch.bucketize(torch.rand(num, 1, generator=rng), SHARES)
    corner = torch.arange(CORNERS)[None]
    count = torch.randint(3, 7, (num, 1), generator=rng)
    which = corner * count // CORNERS  # of the few corners of a polygon
    placed = torch.randint(STEPS, (num, 8), generator=rng).sort(1).values
    steps = torch.where(kinds == REGULAR, which * STEPS // count + STEPS // (2 * count), corner * STEPS // CORNERS)
    steps = torch.where(kinds == POLYGON, placed.gather(1, which), steps)

    waves = torch.arange(2, 2 + HARMONICS)[:, None, None]
    starts = torch.randint(STEPS, (HARMONICS, num, 1), generator=rng)
    bulge = normal(rng, HARMONICS, num, 1) * (0.35 / waves) * COSINES[(waves * steps + starts) % STEPS]
    bulged = (1 + bulge[0] + bulge[1] + bulge[2] + bulge[3]).clamp_(0.15, 2)
    radius = radii[:, None] * torch.where(kinds == BLOB, bulged, torch.ones(1))

    thin = torch.rand(num, 1, generator=rng) < THIN
    slim = torch.where(thin, uniform(rng, 0.04, 0.3, num, 1), uniform(rng, 0.4, 1, num, 1))
    return _placed(COSINES[steps] * radius, SINES[steps] * radius * slim, centres, directions(rng, num, 1))


def _stroke_outlines(
    rng: torch.Generator, lengths: Tensor, widths: Tensor, bends: Tensor, centres: Tensor, turn: tuple[Tensor, Tensor]
) -> Tensor:
    """Return bent lines: `[N, 2 · ALONG, 2]`. `lengths`, `widths`: float `[N, 1]`, in pixels; `centres`: float `[N, 2]`."""
    t = torch.linspace(-1, 1, ALONG).mul(ROUND).round().div(ROUND)[None]
    taper = torch.where(torch.rand(len(lengths), 1, generator=rng) < 0.5, 1 - t * t, torch.ones(1))
    half = (widths / 2 * taper).clamp_(min=0.5)
    x, y = lengths / 2 * t, bends * lengths / 2 * t * t
    return _placed(torch.cat([x, x.flip(1)], 1), torch.cat([y + half, (y - half).flip(1)], 1), centres, turn)


def _bundle_outlines(
    rng: torch.Generator, num: int, length: float, width: float, spacing: float, centre: Tensor
) -> tuple[Tensor, Tensor]:
    """Return `num` strokes side by side, each a little different, and their centres: `[N, 2 · ALONG, 2]` and `[N, 2]`."""
    step = torch.randint(STEPS, (1, 1), generator=rng)
    turn = (normal(rng, num, 1) * STEPS * 0.02 * torch.rand(1, generator=rng)).round().long()
    steps = (step + turn) % STEPS
    rank = torch.randperm(num, generator=rng)[:, None] - num / 2 + normal(rng, num, 1) * 0.25
    along = normal(rng, num, 1) * 0.15 * length
    cos, sin = COSINES[step], SINES[step]
    centres = centre + torch.cat([along * cos - rank * spacing * sin, along * sin + rank * spacing * cos], 1)
    lengths = length * uniform(rng, 0.6, 1, num, 1)
    widths = width * uniform(rng, 0.6, 1.4, num, 1)
    bends = normal(rng, 1, 1) * 0.3 + normal(rng, num, 1) * 0.08
    return _stroke_outlines(rng, lengths, widths, bends, centres, (COSINES[steps], SINES[steps])), centres


def _placed(x: Tensor, y: Tensor, centres: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Return outlines turned and moved, in whole pixels."""
    cos, sin = turn
    return torch.stack([x * cos - y * sin + centres[:, :1], x * sin + y * cos + centres[:, 1:]], 2).round_()


@dataclass(frozen=True)
class PileItem:
    """A filled outline; or with `line` a line of that width around it; or with `text` letters at the outline's first corner.
    `radius` and `centre`: in pixels. `texture_of`: the item whose surface it has."""

    corners: Sequence[float]
    radius: float
    centre: tuple[float, float]
    texture_of: int = ITSELF
    line: int = 0
    text: str = ""
    font_size: int = 0


@dataclass(frozen=True)
class Pile:
    """The N items on a canvas of `side` pixels, the lowest first. `radii`: float `[N]` and `centres`: float `[N, 2]`, in
    pixels; `texture_of`: int64 `[N]`, the item whose surface each one has."""

    side: int
    items: Sequence[PileItem]
    radii: Tensor
    centres: Tensor
    texture_of: Tensor

    def visible_items(self) -> NDArray[np.int32]:
        """Return which item is visible at each pixel: int32 `[side, side]`."""
        image = Image.new("I", (self.side, self.side), GROUND)
        canvas = ImageDraw.Draw(image)
        for number, item in enumerate(self.items[GROUND + 1 :], GROUND + 1):
            if item.text:
                canvas.text((item.corners[0], item.corners[1]), item.text, fill=number, font=_font(item.font_size))
            elif item.line:
                canvas.line([*item.corners, *item.corners[:4]], fill=number, width=item.line, joint="curve")
            else:
                canvas.polygon(item.corners, fill=number)
        return np.asarray(image, np.int32)


def random_pile(side: int, rng: torch.Generator) -> Pile:
    """Return a random pile. The background is an item too, so the canvas is always full."""
    chances = torch.rand(4, generator=rng).tolist()
    groups = [
        *_leaves(side, rng, 0.6 if chances[0] < 0.2 else 0.02),
        *([item] for item in _strokes(side, rng, round(40 * chances[1] ** 3))),
        *(_bundle(side, rng) for _ in range(round(8 * chances[2] ** 2))),
    ]
    order = [groups[index] for index in torch.randperm(len(groups), generator=rng).tolist()]
    if chances[3] < 0.4:  # lettering is on top, as it mostly is in photographs
        order += [_lettering(side, rng) for _ in range(int(torch.randint(1, 7, (), generator=rng)))]
    centre = (side / 2, side / 2)
    items = [PileItem((), 1.0, centre), PileItem((), side / 2, centre)]
    texture_of = [INK, GROUND]
    for group in order:
        first = len(items)
        for item in group:
            texture_of.append({ITSELF: len(items), FIRST: first}.get(item.texture_of, item.texture_of))
            items.append(item)
    radii, centres = torch.tensor([item.radius for item in items]), torch.tensor([item.centre for item in items])
    return Pile(side, items, radii, centres, torch.tensor(texture_of))


def _leaves(side: int, rng: torch.Generator, contoured: float) -> Iterator[list[PileItem]]:
    """Yield shapes of power-law size, a share of them with a contour."""
    fineness, steepness = torch.rand(2, generator=rng, dtype=torch.float64).tolist()
    least, most = 4 * 15**fineness, 0.5 * side
    radii = power_law(rng, int(side**2 * DENSEST), least, most, 0.5 + 1.3 * steepness)
    area = (radii * radii).double().cumsum(0) * (3.14 * FILLED)
    radii = radii[: int(torch.searchsorted(area, LAYERS * side**2)) + 1]
    centres = _centres(rng, len(radii), side)
    outlines = _shape_outlines(rng, radii, centres)
    is_contoured = torch.rand(len(radii), generator=rng) < contoured
    lines = torch.where(is_contoured, torch.randint(1, 7, radii.shape, generator=rng), 0)
    lines = torch.where(radii > 8, lines, 0)
    rows = zip(outlines.flatten(1).tolist(), radii.tolist(), centres.tolist(), lines.tolist(), strict=True)
    for corners, radius, (x, y), line in rows:
        leaf = PileItem(corners, radius, (x, y))
        yield [leaf, PileItem(corners, 1.0, (x, y), INK, line)] if line else [leaf]


def _strokes(side: int, rng: torch.Generator, num: int) -> list[PileItem]:
    """Return separate thin lines."""
    lengths = uniform(rng, 0.1, 1.2, num) * side
    widths = uniform(rng, 1, 3, num) * uniform(rng, 1, 4, num)
    centres = _centres(rng, num, side)
    bends = normal(rng, num, 1) * 0.3
    turn = directions(rng, num, 1)
    return _items(_stroke_outlines(rng, lengths[:, None], widths[:, None], bends, centres, turn), centres, ITSELF)


def _bundle(side: int, rng: torch.Generator) -> list[PileItem]:
    """Return strokes side by side with one surface: hair, grass, a fence."""
    num = int(torch.randint(5, 40, (), generator=rng))
    length, width, spacing = torch.rand(3, generator=rng).tolist()
    width = 1 + 7 * width * width
    length, spacing = (0.06 + 0.5 * length) * side, width * (1.2 + 2.5 * spacing)
    return _items(*_bundle_outlines(rng, num, length, width, spacing, _centres(rng, 1, side)), FIRST)


def _items(outlines: Tensor, centres: Tensor, texture_of: int) -> list[PileItem]:
    rows = zip(outlines.flatten(1).tolist(), centres.tolist(), strict=True)
    return [PileItem(corners, 4.0, (x, y), texture_of) for corners, (x, y) in rows]


def _lettering(side: int, rng: torch.Generator) -> list[PileItem]:
    """Return a few lines of letters, with probability 1/2 on a panel."""
    size = FONT_SIZES[int(torch.randint(len(FONT_SIZES), (), generator=rng))]
    num = int(torch.randint(1, 7, (), generator=rng))
    left, top = (uniform(rng, -0.1, 0.8, 2) * side).round().tolist()
    lengths = torch.randint(4, 24, (num,), generator=rng).tolist()
    texts = ["".join(map(_letter, torch.randint(1000, (length,), generator=rng).tolist())) for length in lengths]
    in_ink, on_panel = (bool(each) for each in torch.randint(2, (2,), generator=rng))
    items = []
    if on_panel:
        right, bottom, edge = left + 0.55 * size * max(lengths), top + 1.3 * size * num, 0.4 * size
        left_, top_, right, bottom = (round(each) for each in (left - edge, top - edge, right + edge, bottom + edge))
        items.append(PileItem((left_, top_, right, top_, right, bottom, left_, bottom), right - left, (left, top)))
    for line, text in enumerate(texts):
        at = (left, top + round(1.3 * size * line))
        items.append(PileItem(at, 4.0, at, INK if in_ink else ITSELF, text=text, font_size=size))
    return items


def _letter(code: int) -> str:
    return " " if code < 160 else LETTERS[code % len(LETTERS)]


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)
