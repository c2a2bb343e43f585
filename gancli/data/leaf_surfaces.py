"""Surfaces for `leaves`: the colour, gradient and texture of each shape, and how a map of shapes becomes an image.

Positions in a texture are whole numbers (fixed point), and every pixel is computed by sums and products of rounded values,
which are equal on all processors.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancli.data.leaf_pile import COSINES, INK, SINES, STEPS, directions, normal, uniform

TILE = 512  # side of a noise texture, in pixels; it repeats
UNIT_BITS = 8  # fixed point: 256 steps per pixel of a noise texture
CYCLE = 1 << 16  # fixed point: steps per period of stripes
EXPONENTS = (0.3, 0.7, 1.1, 1.5, 1.9, 2.2, 2.5, 2.8, 3.1, 3.5)  # b of the textures, whose power falls as 1/f^b
BENDING = 8  # index of the exponent whose noise bends stripes
INK_GREY = 0.06
STRIP = 1 << 14  # pixels that are rendered at a time, and stay in the processor's cache
LARGE = 10  # pixels; the radius from which shapes have a texture
Floats = NDArray[np.float32]
Whole = NDArray[np.int32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Style:
    """The parameters of the surfaces in one image."""

    grey: float
    contrast: float
    chroma: float
    rough: float  # share of the larger shapes with noise
    striped: float  # and of those with stripes
    shaded: float  # strength of gradients


@dataclass(frozen=True)
class Surfaces:
    """The surfaces of `N` shapes. `colour`: float `[9, N]`, RGB at the corner of the image and its change per pixel right
    and down; `noise` and `stripes`: float `[3, N]`, amplitudes; `places`: int32 `[15, N]`, see `_places`."""

    colour: Floats
    noise: Floats
    stripes: Floats
    places: Whole


def noises(rng: torch.Generator) -> Floats:
    """Return a tile of noise for each of `EXPONENTS`: float32 `[len(EXPONENTS), TILE, TILE]`, mean 0, deviation 1."""
    return np.stack([_noise(rng, exponent) for exponent in EXPONENTS])


def _noise(rng: torch.Generator, exponent: float) -> Floats:
    """Return the sum of random values at each octave: those of wavelength w have the deviation w^((b - 2) / 2)."""
    side = 4
    field: Floats = np.zeros((2, 2), np.float32)
    while side <= TILE:
        weight = round((TILE / side) ** ((exponent - 2) / 2) * 256) / 256
        added: Floats = normal(rng, side, side).mul_(weight).numpy()
        field = _doubled(_doubled(field, 0), 1) + added
        side *= 2
    # Rounded: the last bits of a sum depend on the order of additions, which differs between processors.
    field -= np.float32(round(float(field.mean()), 3))
    field /= np.float32(round(float(field.std()), 3))
    return np.clip(field, -3, 3)


def _doubled(field: Floats, axis: int) -> Floats:
    """Upsample a periodic field by two along an axis: each value is 3/4 of the nearest and 1/4 of the next one."""
    near, far = field * np.float32(0.75), field * np.float32(0.25)
    pair = np.stack([near + np.roll(far, 1, axis), near + np.roll(far, -1, axis)], axis + 1)
    return pair.reshape([side * (1 + (dim == axis)) for dim, side in enumerate(field.shape)])


def waves() -> Floats:
    """Return the kinds of stripes over a period (sine, bands, thin lines, ramp, constant 1): float32 `[5, STEPS]` in
    [-1, 1]."""
    bands, lines = (SINES * 4).clamp(-1, 1), (SINES * 4 - 3).clamp(-1, 1)
    ramp = (torch.arange(STEPS) / STEPS * 2 - 1) * 0.9
    return torch.stack([SINES, bands, lines, ramp, torch.ones(STEPS)]).numpy()


def surfaces(rng: torch.Generator, radii: Tensor, centres: Tensor, texture_of: Tensor, style: Style) -> Surfaces:
    """Return random surfaces for shapes of these radii around `centres` (float `[N, 2]`). `texture_of`: int64 `[N]`, the
    shape whose surface each one has; itself for most."""
    num = len(radii)
    is_shared = texture_of != torch.arange(num)
    palette = _chroma(normal(rng, 3, 6)) * (style.chroma * 1.5)
    hue = palette[:, torch.randint(6, (num,), generator=rng)] + _chroma(normal(rng, 3, num)) * (style.chroma * 0.4)
    grey = style.grey + style.contrast * normal(rng, num)
    grey[INK], hue[:, INK] = INK_GREY, 0
    colour = (grey + hue)[:, texture_of] + torch.where(is_shared, 0.06 * normal(rng, num), torch.zeros(1))
    colour = colour.clamp_(0.01, 0.99)
    cos, sin = directions(rng, num)
    change = normal(rng, num) * style.shaded * (texture_of != INK) / (2 * radii.clamp(min=24))
    change = change * (1 + 0.25 * normal(rng, 3, num))
    large = radii > LARGE
    tint = 1 + 0.2 * normal(rng, 3, num)
    roughness = normal(rng, num).abs() * 0.11 * (large & (torch.rand(num, generator=rng) < style.rough))
    bands = normal(rng, num).abs() * 0.14 * (large & (torch.rand(num, generator=rng) < style.striped))
    right, down = change * cos, change * sin
    colour = colour - right * centres[:, 0] - down * centres[:, 1]
    colours = torch.cat([colour, right, down])
    return Surfaces(colours.numpy(), (tint * roughness).numpy(), (tint * bands).numpy(), _places(rng, num))


def _chroma(values: Tensor) -> Tensor:
    """Return RGB `[3, N]` without its luminance."""
    return values - (values[:1] * 0.3 + values[1:2] * 0.6 + values[2:] * 0.1)


def _places(rng: torch.Generator, num: int) -> Whole:
    """Return the places and kinds of each shape's textures, int32 `[15, N]`: matrix (4), offset (2) and kind of the noise;
    frequencies (4), starts (2) and kinds (2) of two patterns of stripes."""
    cos, sin = directions(rng, num)
    across = uniform(rng, 0.35, 1.0, num)
    along = torch.where(torch.rand(num, generator=rng) < 0.3, across * uniform(rng, 0.08, 0.3, num), across)
    matrix = torch.stack([along * cos, along * sin, -across * sin, across * cos]) * (1 << UNIT_BITS)
    offset = torch.randint(TILE << UNIT_BITS, (2, num), generator=rng)
    kind = torch.randint(len(EXPONENTS), (1, num), generator=rng)
    step = torch.randint(STEPS, (num,), generator=rng)
    period = 5 * 12 ** torch.rand(num, generator=rng, dtype=torch.float64)
    rate = (CYCLE / period).round()
    frequency = torch.stack([rate * COSINES[step], rate * SINES[step], -rate * SINES[step], rate * COSINES[step]])
    start = torch.randint(CYCLE, (2, num), generator=rng)
    crossed = torch.rand(num, generator=rng) < 0.25
    first, second = torch.randint(4, (2, num), generator=rng)
    kinds = torch.stack([first, torch.where(crossed, second, 4)])
    places = torch.cat([matrix.round(), offset, kind, frequency.round(), start, kinds]).to(torch.int32)
    return np.asarray(places)


def render(shape_at: Whole, made_of: Surfaces, bank: Floats, table: Floats) -> Bytes:
    """Return the image of a map of shapes, int32 `[side, side]`: uint8 `[side, side, 3]`. `bank`: `noises()`; `table`:
    `waves()`."""
    side = len(shape_at)
    rows = max(1, STRIP // side)
    strips = [_strip(shape_at[top : top + rows], top, made_of, bank, table) for top in range(0, side, rows)]
    return np.concatenate(strips)


def _strip(shape_at: Whole, top: int, made_of: Surfaces, bank: Floats, table: Floats) -> Bytes:
    """Render some rows, of which the first is `top`."""
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
    """Return noise and stripes at each pixel."""

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
