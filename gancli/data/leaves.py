"""`leaves`: dead leaves, opaque shapes of power-law size on top of each other until the canvas is full (Matheron 1968).

Their statistics are close to those of photographs: models that are trained on them restore and enlarge photographs nearly as
well as models that are trained on photographs (Achddou, Gousseau and Ladjal 2021, "Synthetic images as a regularity prior
for image restoration neural networks"). There are discs, blobs, polygons, strokes, bundles of strokes, contours and letters.
Everything is rendered at twice the size and halved.
"""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from gancli.data.leaf_pile import random_pile
from gancli.data.leaf_surfaces import Floats, Style, noises, render, surfaces, waves
from gancli.images import from_pil

FINER = 2  # times the size, while rendering
CANVAS = 320  # pixels; smaller images are tiles of a canvas
MOST_TILES = 25  # of one canvas
FEWEST = 32  # images, however large
FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.HAMMING)


def num_leaves(canvases: int, size: int) -> int:
    """Return how many images of `size` pixels take as long to generate as so many canvases."""
    return canvases * _tiles(size) if size <= CANVAS else max(FEWEST, canvases * CANVAS**2 // size**2)


def _tiles(size: int) -> int:
    """Return how many images of `size` pixels are cut from one canvas."""
    return max(1, min(MOST_TILES, (CANVAS // size) ** 2))


def draw_leaves(count: int, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images in colour, a few at a time: uint8 `[n, 3, size, size]` and labels int64 `[n]`, all 0; the same for equal
    seeds."""
    rng = torch.Generator().manual_seed(seed)
    bank, table = noises(rng), waves()
    per_canvas, per_row = _tiles(size), max(1, CANVAS // size)
    for start in range(0, count, per_canvas):
        n = min(per_canvas, count - start)
        canvas = _canvas(max(CANVAS, size), rng, bank, table)
        corners = [(index // per_row * size, index % per_row * size) for index in range(n)]
        tiles = [canvas[:, top : top + size, left : left + size] for top, left in corners]
        yield torch.stack(tiles), torch.zeros(n, dtype=torch.int64)


def _canvas(side: int, rng: torch.Generator, bank: Floats, table: Floats) -> Tensor:
    """Return one image, uint8 `[3, side, side]`."""
    pile = random_pile(side * FINER, rng)
    made_of = surfaces(rng, pile.radii, pile.centres, pile.texture_of, _style(rng))
    shape_at = pile.visible_items()
    image = Image.fromarray(render(shape_at, made_of, bank, table))
    hazy, haze, blurry, how_much, how_many = torch.rand(5, generator=rng).tolist()
    if hazy < 0.3:  # few lenses are as sharp as this rendering
        image = image.filter(ImageFilter.GaussianBlur(0.4 + 1.2 * haze))
    if blurry < 0.3:  # some shapes are out of focus
        soft = torch.rand(len(pile.items), generator=rng) < 0.7 * how_many
        mask = Image.fromarray((soft.numpy() * np.uint8(255))[shape_at])
        image.paste(image.filter(ImageFilter.GaussianBlur(2 + round(6 * how_much))), mask=mask)
    small = image.resize((side, side), FILTERS[int(torch.randint(len(FILTERS), (), generator=rng))])
    return from_pil(small)


def _style(rng: torch.Generator) -> Style:
    grey, contrast, chroma, rough, striped, shaded = torch.rand(6, generator=rng).tolist()
    return Style(
        0.3 + 0.4 * grey,
        0.1 + 0.2 * contrast,
        0.11 * chroma * chroma,
        0.4 + 0.55 * rough,
        0.3 * striped,
        0.05 + 0.3 * shaded,
    )
