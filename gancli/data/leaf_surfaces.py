"""Surfaces for `leaves`: what colour, gradient and texture each shape has, and how a map of shapes becomes a picture.

Positions in a texture are whole numbers (fixed point), and every pixel is sums and products of rounded values, which
all processors compute alike.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancli.data.leaf_outlines import COSINES, SINES, STEPS, directions, normal, uniform

TILE = 512  # side of a noise texture, in pixels; it repeats
UNIT_BITS = 8  # fixed point: 256 steps per pixel of a noise texture
CYCLE = 1 << 16  # fixed point: steps per period of stripes
EXPONENTS = (0.3, 0.7, 1.1, 1.5, 1.9, 2.2, 2.5, 2.8, 3.1, 3.5)  # b of the textures: power falls as 1/f^b
BENDING = 8  # the exponent whose noise bends stripes
INK, INK_GREY = 0, 0.06  # the shape that contours and letters look like
STRIP = 1 << 14  # pixels that are painted in one go: they stay in the processor's cache
LARGE = 10  # pixels; what is smaller has no texture
Floats = NDArray[np.float32]
Whole = NDArray[np.int32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Style:
    """What the shapes of one picture have in common."""

    grey: float
    contrast: float
    chroma: float
    rough: float  # share of the larger shapes with noise
    striped: float  # and with stripes
    shaded: float  # how much a gradient changes


@dataclass(frozen=True)
class Surfaces:
    """Of each of `N` shapes. `colour`: float `[9, N]`, RGB at the corner of the picture and its change per pixel right and
    down; `noise` and `stripes`: float `[3, N]`, how much a texture adds; `places`: int32 `[15, N]`, see `_textures`."""

    colour: Floats
    noise: Floats
    stripes: Floats
    places: Whole


def noises(rng: torch.Generator) -> Floats:
    """A tile of noise for each of `EXPONENTS`: float32 `[len(EXPONENTS), TILE, TILE]`, about of mean 0 and deviation 1."""
    return np.stack([_noise(rng, exponent) for exponent in EXPONENTS])


def _noise(rng: torch.Generator, exponent: float) -> Floats:
    """Random values added at each octave: one of wavelength w has the deviation w^((b - 2) / 2)."""
    side = 4
    field: Floats = np.zeros((2, 2), np.float32)
    while side <= TILE:
        weight = round((TILE / side) ** ((exponent - 2) / 2) * 256) / 256
        added: Floats = normal(rng, side, side).mul_(weight).numpy()
        field = _doubled(_doubled(field, 0), 1) + added
        side *= 2
    # Rounded: the last bits of a sum depend on the order of adding, which is the processor's.
    field -= np.float32(round(float(field.mean()), 3))
    field /= np.float32(round(float(field.std()), 3))
    return np.clip(field, -3, 3)


def _doubled(field: Floats, axis: int) -> Floats:
    """Twice as many values along an axis, on a circle: each 3/4 of the nearest and 1/4 of the next."""
    near, far = field * np.float32(0.75), field * np.float32(0.25)
    pair = np.stack([near + np.roll(far, 1, axis), near + np.roll(far, -1, axis)], axis + 1)
    return pair.reshape([side * (1 + (dim == axis)) for dim, side in enumerate(field.shape)])


def waves() -> Floats:
    """Kinds of stripes over a period: sine, bands, thin lines, a ramp, and 1 throughout: float32
    `[5, STEPS]` in [-1, 1]."""
    bands, lines = (SINES * 4).clamp(-1, 1), (SINES * 4 - 3).clamp(-1, 1)
    ramp = (torch.arange(STEPS) / STEPS * 2 - 1) * 0.9
    return torch.stack([SINES, bands, lines, ramp, torch.ones(STEPS)]).numpy()


def surfaces(rng: torch.Generator, radii: Tensor, middles: Tensor, kin: Tensor, style: Style) -> Surfaces:
    """Surfaces of shapes of these radii around `middles` (float `[N, 2]`). `kin`: int64 `[N]`, which shape each one looks
    like; itself for most."""
    num = len(radii)
    like = kin != torch.arange(num)
    palette = _chroma(normal(rng, 3, 6)) * (style.chroma * 1.5)
    hue = palette[:, torch.randint(6, (num,), generator=rng)] + _chroma(normal(rng, 3, num)) * (style.chroma * 0.4)
    grey = style.grey + style.contrast * normal(rng, num)
    grey[INK], hue[:, INK] = INK_GREY, 0
    colour = (grey + hue)[:, kin] + torch.where(like, 0.06 * normal(rng, num), torch.zeros(1))
    colour = colour.clamp_(0.01, 0.99)
    cos, sin = directions(rng, num)
    change = (
        normal(rng, num) * style.shaded * (kin != INK) / (2 * radii.clamp(min=24)) * (1 + 0.25 * normal(rng, 3, num))
    )
    large = radii > LARGE
    tint = 1 + 0.2 * normal(rng, 3, num)
    roughness = normal(rng, num).abs() * 0.11 * (large & (torch.rand(num, generator=rng) < style.rough))
    bands = normal(rng, num).abs() * 0.14 * (large & (torch.rand(num, generator=rng) < style.striped))
    right, down = change * cos, change * sin
    colour = colour - right * middles[:, 0] - down * middles[:, 1]
    colours = torch.cat([colour, right, down])
    return Surfaces(colours.numpy(), (tint * roughness).numpy(), (tint * bands).numpy(), _places(rng, num))


def _chroma(values: Tensor) -> Tensor:
    """RGB `[3, N]` without the grey in it."""
    return values - (values[:1] * 0.3 + values[1:2] * 0.6 + values[2:] * 0.1)


def _places(rng: torch.Generator, num: int) -> Whole:
    """How each shape's textures lie, int32 `[15, N]`: noise's matrix (4), offset (2) and kind; two stripes' frequencies (4),
    starts (2) and kinds (2)."""
    cos, sin = directions(rng, num)
    across = uniform(rng, 0.35, 1.0, num)
    along = torch.where(torch.rand(num, generator=rng) < 0.3, across * uniform(rng, 0.08, 0.3, num), across)
    matrix = torch.stack([along * cos, along * sin, -across * sin, across * cos]) * (1 << UNIT_BITS)
    offset = torch.randint(TILE << UNIT_BITS, (2, num), generator=rng)
    kind = torch.randint(len(EXPONENTS), (1, num), generator=rng)
    step = torch.randint(STEPS, (num,), generator=rng)
    period = 5 * 12 ** torch.rand(num, generator=rng, dtype=torch.float64)
    pace = (CYCLE / period).round()
    frequency = torch.stack([pace * COSINES[step], pace * SINES[step], -pace * SINES[step], pace * COSINES[step]])
    start = torch.randint(CYCLE, (2, num), generator=rng)
    crossed = torch.rand(num, generator=rng) < 0.25
    first, second = torch.randint(4, (2, num), generator=rng)
    kinds = torch.stack([first, torch.where(crossed, second, 4)])
    places = torch.cat([matrix.round(), offset, kind, frequency.round(), start, kinds]).to(torch.int32)
    found: Whole = places.numpy()
    return found


def painted(shape_at: Whole, made_of: Surfaces, bank: Floats, table: Floats) -> Bytes:
    """The picture of a map of shapes, int32 `[side, side]`: uint8 `[side, side, 3]`. `bank`: `noises()`; `table`:
    `waves()`."""
    side = len(shape_at)
    rows = max(1, STRIP // side)
    strips = [_strip(shape_at[top : top + rows], top, made_of, bank, table) for top in range(0, side, rows)]
    return np.concatenate(strips)


def _strip(shape_at: Whole, top: int, made_of: Surfaces, bank: Floats, table: Floats) -> Bytes:
    """Some rows of it, of which the first is `top`."""
    height, width = shape_at.shape
    flat = shape_at.reshape(-1)
    x = np.tile(np.arange(width, dtype=np.int32), height)
    y = np.repeat(np.arange(top, top + height, dtype=np.int32), width)
    noise, stripes = _textures(flat, x, y, made_of.places, bank, table)
    across, down = x.astype(np.float32), y.astype(np.float32)
    planes = np.empty((height * width, 3), np.uint8)
    for plane in range(3):
        value = made_of.colour[plane].take(flat)
        value += made_of.colour[plane + 3].take(flat) * across
        value += made_of.colour[plane + 6].take(flat) * down
        value += made_of.noise[plane].take(flat) * noise
        value += made_of.stripes[plane].take(flat) * stripes
        value *= 255
        planes[:, plane] = np.clip(np.rint(value, out=value), 0, 255, out=value)
    return planes.reshape(height, width, 3)


def _textures(flat: Whole, x: Whole, y: Whole, places: Whole, bank: Floats, table: Floats) -> tuple[Floats, Floats]:
    """Noise and stripes at each pixel."""

    def of(row: int) -> Whole:
        values: Whole = places[row].take(flat)
        return values

    def in_tile(u: Whole, v: Whole, kind: Whole | int) -> Floats:
        row, column = (v >> UNIT_BITS) & (TILE - 1), (u >> UNIT_BITS) & (TILE - 1)
        return bank.reshape(-1).take(kind * TILE**2 + row * TILE + column)

    noise = in_tile(of(0) * x + of(1) * y + of(4), of(2) * x + of(3) * y + of(5), of(6))
    bent = (in_tile(x << (UNIT_BITS - 1), y << (UNIT_BITS - 1), BENDING) * (CYCLE // 3)).astype(np.int32)
    stripes = np.ones(len(flat), np.float32)
    for first, start, kind in ((7, 11, 13), (9, 12, 14)):
        phase = (of(first) * x + of(first + 1) * y + of(start) + bent) & (CYCLE - 1)
        stripes *= table.reshape(-1).take(of(kind) * STEPS + phase // (CYCLE // STEPS))
    return noise, stripes
