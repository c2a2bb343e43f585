"""Outlines for `leaves`: discs, blobs, polygons, strokes and bundles of strokes, as corners in pixels.

Angles are steps of a 1,024th of a turn, looked up in a rounded table, and corners are whole pixels: what processors
compute differently in the last bit does not come through to the pictures.
"""

import math

import torch
from torch import Tensor

STEPS = 1024  # of a turn
ROUND = 4096  # parts of one that a table's values are rounded to
CORNERS = 32  # of each shape; a polygon with fewer has some of them at one place
ALONG = 12  # corners on each side of a stroke
HARMONICS = 4  # of a blob's outline: waves of 2, 3, 4 and 5 to a turn
DISC, BLOB, POLYGON, REGULAR = range(4)
SHARES = torch.tensor([0.2, 0.5, 0.7])  # of the four, added up
THIN = 0.3  # share of the shapes that are squeezed to a strip

SINES = torch.tensor([round(math.sin(2 * math.pi * step / STEPS) * ROUND) / ROUND for step in range(STEPS)])
COSINES = SINES.roll(-STEPS // 4)


def uniform(rng: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(shape, generator=rng) * (high - low) + low


def normal(rng: torch.Generator, *shape: int) -> Tensor:
    """Nearly normal, of mean 0 and deviation 1: four uniform numbers added. `torch.randn` differs between processors."""
    a, b, c, d = torch.rand((4, *shape), generator=rng)
    values: Tensor = (a + b + (c + d) - 2) * 3**0.5
    return values


def directions(rng: torch.Generator, *shape: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of random angles."""
    steps = torch.randint(STEPS, shape, generator=rng)
    return COSINES[steps], SINES[steps]


def power_law(rng: torch.Generator, num: int, least: float, most: float, a: float) -> Tensor:
    """Radii in pixels, float `[num]`, of density r^-(1+a) between `least` and `most`."""
    share = torch.rand(num, generator=rng, dtype=torch.float64)
    low, high = least**-a, most**-a
    radii: Tensor = (low - share * (low - high)) ** (-1 / a)
    return radii.mul(4).round().div(4).float()


def centres(rng: torch.Generator, num: int, side: int) -> Tensor:
    """Places on the canvas and a little around it: float `[N, 2]`."""
    return uniform(rng, -0.1, 1.1, num, 2) * side


def shapes(rng: torch.Generator, radii: Tensor, middles: Tensor) -> Tensor:
    """Discs, blobs and polygons of radius `radii` (float `[N]`) around `middles` (float `[N, 2]`): `[N, CORNERS, 2]`."""
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
    return _placed(COSINES[steps] * radius, SINES[steps] * radius * slim, middles, directions(rng, num, 1))


def strokes(rng: torch.Generator, lengths: Tensor, widths: Tensor, middles: Tensor) -> Tensor:
    """Bent lines: `[N, 2 · ALONG, 2]`. `lengths`, `widths`: float `[N]`, in pixels; `middles`: float `[N, 2]`."""
    num = len(lengths)
    bends = normal(rng, num, 1) * 0.3
    return _stroked(rng, lengths[:, None], widths[:, None], bends, middles, directions(rng, num, 1))


def bundle(
    rng: torch.Generator, num: int, length: float, width: float, spacing: float, middle: Tensor
) -> tuple[Tensor, Tensor]:
    """`num` strokes side by side, each a little different, and their middles: `[N, 2 · ALONG, 2]` and `[N, 2]`."""
    step = torch.randint(STEPS, (1, 1), generator=rng)
    turn = (normal(rng, num, 1) * STEPS * 0.02 * torch.rand(1, generator=rng)).round().long()
    steps = (step + turn) % STEPS
    rank = torch.randperm(num, generator=rng)[:, None] - num / 2 + normal(rng, num, 1) * 0.25
    along = normal(rng, num, 1) * 0.15 * length
    cos, sin = COSINES[step], SINES[step]
    middles = middle + torch.cat([along * cos - rank * spacing * sin, along * sin + rank * spacing * cos], 1)
    lengths = length * uniform(rng, 0.6, 1, num, 1)
    widths = width * uniform(rng, 0.6, 1.4, num, 1)
    bends = normal(rng, 1, 1) * 0.3 + normal(rng, num, 1) * 0.08
    return _stroked(rng, lengths, widths, bends, middles, (COSINES[steps], SINES[steps])), middles


def _stroked(
    rng: torch.Generator, lengths: Tensor, widths: Tensor, bends: Tensor, middle: Tensor, turn: tuple[Tensor, Tensor]
) -> Tensor:
    t = torch.linspace(-1, 1, ALONG).mul(ROUND).round().div(ROUND)[None]
    taper = torch.where(torch.rand(len(lengths), 1, generator=rng) < 0.5, 1 - t * t, torch.ones(1))
    half = (widths / 2 * taper).clamp_(min=0.5)
    x, y = lengths / 2 * t, bends * lengths / 2 * t * t
    return _placed(torch.cat([x, x.flip(1)], 1), torch.cat([y + half, (y - half).flip(1)], 1), middle, turn)


def _placed(x: Tensor, y: Tensor, middle: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turned and moved, in whole pixels."""
    cos, sin = turn
    return torch.stack([x * cos - y * sin + middle[:, :1], x * sin + y * cos + middle[:, 1:]], 2).round_()
