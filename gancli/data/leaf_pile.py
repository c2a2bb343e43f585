"""The pile of shapes that a picture of `leaves` is, and the map that says which of them is seen at each pixel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli.data import leaf_outlines as outlines
from gancli.data.leaf_outlines import uniform

LAYERS = 3.0  # the shapes' area is so many times that of the canvas
FILLED = 0.45  # of the circle around a shape, on average
DENSEST = 1 / 130  # shapes to a pixel, at most
FONT_SIZES = (12, 16, 20, 26, 34, 44, 58, 76, 100)  # pixels, of the fine canvas
LETTERS = "abcdefghijklmnopqrstuvwxyz" * 2 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?()+-=/&%$#@"
INK, GROUND = 0, 1  # what contours and most letters look like, and what lies under everything
ITSELF, FIRST = -1, -2  # kin: looks like itself, like the first of its group
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Thing:
    """A filled outline; or with `line` a line of that width around it; or with `text` letters, at the outline's first
    corner. `radius` and `middle`: in pixels. `kin`: what it looks like."""

    corners: Sequence[float]
    radius: float
    middle: tuple[float, float]
    kin: int = ITSELF
    line: int = 0
    text: str = ""
    font_size: int = 0


@dataclass(frozen=True)
class Pile:
    """What lies on a canvas of `side` pixels, the lowest first. Of each of its N things: `radii` float `[N]` and `middles`
    float `[N, 2]` in pixels, `kin` int64 `[N]`, the thing that it looks like."""

    side: int
    things: Sequence[Thing]
    radii: Tensor
    middles: Tensor
    kin: Tensor

    def drawn(self) -> NDArray[np.int32]:
        """Which thing is seen at each pixel: int32 `[side, side]`."""
        image = Image.new("I", (self.side, self.side), GROUND)
        canvas = ImageDraw.Draw(image)
        for number, thing in enumerate(self.things[GROUND + 1 :], GROUND + 1):
            if thing.text:
                canvas.text((thing.corners[0], thing.corners[1]), thing.text, fill=number, font=_font(thing.font_size))
            elif thing.line:
                canvas.line([*thing.corners, *thing.corners[:4]], fill=number, width=thing.line, joint="curve")
            else:
                canvas.polygon(thing.corners, fill=number)
        return np.asarray(image, np.int32)


def pile(side: int, rng: torch.Generator) -> Pile:
    """A random one. The ground is a thing too, so the canvas is always full."""
    chances = torch.rand(4, generator=rng).tolist()
    groups = [
        *_leaves(side, rng, 0.6 if chances[0] < 0.2 else 0.02),
        *([thing] for thing in _strokes(side, rng, round(40 * chances[1] ** 3))),
        *(_bundle(side, rng) for _ in range(round(8 * chances[2] ** 2))),
    ]
    order = [groups[index] for index in torch.randperm(len(groups), generator=rng).tolist()]
    if chances[3] < 0.4:  # lettering lies on top, as it mostly does
        order += [_writing(side, rng) for _ in range(int(torch.randint(1, 7, (), generator=rng)))]
    middle = (side / 2, side / 2)
    things = [Thing((), 1.0, middle), Thing((), side / 2, middle)]
    kin = [INK, GROUND]
    for group in order:
        first = len(things)
        for thing in group:
            kin.append({ITSELF: len(things), FIRST: first}.get(thing.kin, thing.kin))
            things.append(thing)
    radii, middles = torch.tensor([t.radius for t in things]), torch.tensor([t.middle for t in things])
    return Pile(side, things, radii, middles, torch.tensor(kin))


def _leaves(side: int, rng: torch.Generator, contoured: float) -> Iterator[list[Thing]]:
    """Shapes of power-law size, a share of them with a contour."""
    fineness, steepness = torch.rand(2, generator=rng, dtype=torch.float64).tolist()
    least, most = 4 * 15**fineness, 0.5 * side
    radii = outlines.power_law(rng, int(side**2 * DENSEST), least, most, 0.5 + 1.3 * steepness)
    area = (radii * radii).double().cumsum(0) * (3.14 * FILLED)
    radii = radii[: int(torch.searchsorted(area, LAYERS * side**2)) + 1]
    middles = outlines.centres(rng, len(radii), side)
    shapes = outlines.shapes(rng, radii, middles)
    lines = torch.where(
        torch.rand(len(radii), generator=rng) < contoured, torch.randint(1, 7, radii.shape, generator=rng), 0
    )
    lines = torch.where(radii > 8, lines, 0)
    rows = zip(shapes.flatten(1).tolist(), radii.tolist(), middles.tolist(), lines.tolist(), strict=True)
    for corners, radius, (x, y), line in rows:
        leaf = Thing(corners, radius, (x, y))
        yield [leaf, Thing(corners, 1.0, (x, y), INK, line)] if line else [leaf]


def _strokes(side: int, rng: torch.Generator, num: int) -> list[Thing]:
    """Thin lines, each for itself."""
    lengths = uniform(rng, 0.1, 1.2, num) * side
    widths = uniform(rng, 1, 3, num) * uniform(rng, 1, 4, num)
    middles = outlines.centres(rng, num, side)
    return _things(outlines.strokes(rng, lengths, widths, middles), middles, ITSELF)


def _bundle(side: int, rng: torch.Generator) -> list[Thing]:
    """Strokes side by side that look alike: hair, grass, a fence."""
    num = int(torch.randint(5, 40, (), generator=rng))
    length, width, spacing = torch.rand(3, generator=rng).tolist()
    width = 1 + 7 * width * width
    length, spacing = (0.06 + 0.5 * length) * side, width * (1.2 + 2.5 * spacing)
    return _things(*outlines.bundle(rng, num, length, width, spacing, outlines.centres(rng, 1, side)), FIRST)


def _things(strokes: Tensor, middles: Tensor, kin: int) -> list[Thing]:
    rows = zip(strokes.flatten(1).tolist(), middles.tolist(), strict=True)
    return [Thing(corners, 4.0, (x, y), kin) for corners, (x, y) in rows]


def _writing(side: int, rng: torch.Generator) -> list[Thing]:
    """Some lines of letters, half of them on a panel."""
    size = FONT_SIZES[int(torch.randint(len(FONT_SIZES), (), generator=rng))]
    num = int(torch.randint(1, 7, (), generator=rng))
    left, top = (uniform(rng, -0.1, 0.8, 2) * side).round().tolist()
    lengths = torch.randint(4, 24, (num,), generator=rng).tolist()
    texts = [
        "".join(_letter(code) for code in torch.randint(1000, (length,), generator=rng).tolist()) for length in lengths
    ]
    kin, panel = (int(each) for each in torch.randint(2, (2,), generator=rng))
    things = []
    if panel:
        right, bottom, edge = left + 0.55 * size * max(lengths), top + 1.3 * size * num, 0.4 * size
        left_, top_, right, bottom = (round(each) for each in (left - edge, top - edge, right + edge, bottom + edge))
        things.append(Thing((left_, top_, right, top_, right, bottom, left_, bottom), right - left, (left, top)))
    for line, text in enumerate(texts):
        at = (left, top + round(1.3 * size * line))
        things.append(Thing(at, 4.0, at, INK if kin else ITSELF, text=text, font_size=size))
    return things


def _letter(code: int) -> str:
    return " " if code < 160 else LETTERS[code % len(LETTERS)]


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)
