"""`leaves`: dead leaves, opaque shapes of power-law size laid over each other until the canvas is full (Matheron 1968).

Their statistics are near those of photographs: what is trained on them restores and enlarges photographs nearly as well
as what is trained on photographs (Achddou, Gousseau and Ladjal 2021, "Synthetic images as a regularity prior for image
restoration neural networks"). Beside discs, blobs and polygons there are strokes, bundles of them, contours and lettering.
Everything is drawn at twice the size and halved.
"""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from gancli.data.leaf_pile import pile
from gancli.data.leaf_surfaces import Floats, Style, noises, painted, surfaces, waves

FINER = 2  # times the size, while drawing
CANVAS = 320  # pixels: smaller pictures are cut out of one of these
MOST_TILES = 25  # of one canvas
FEWEST = 32  # pictures, however large
FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.HAMMING)


def num_leaves(canvases: int, size: int) -> int:
    """How many pictures of `size` pixels there are where drawing may take as long as for so many canvases."""
    return canvases * _tiles(size) if size <= CANVAS else max(FEWEST, canvases * CANVAS**2 // size**2)


def _tiles(size: int) -> int:
    """How many pictures of `size` pixels come from one canvas."""
    return max(1, min(MOST_TILES, (CANVAS // size) ** 2))


def draw_leaves(count: int, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures in colour, a few at a time: uint8 `[n, 3, size, size]` and labels int64 `[n]`, all 0; the same for equal
    seeds."""
    rng = torch.Generator().manual_seed(seed)
    bank, table = noises(rng), waves()
    per_canvas, per_row = _tiles(size), max(1, CANVAS // size)
    for start in range(0, count, per_canvas):
        n = min(per_canvas, count - start)
        canvas = _canvas(max(CANVAS, size), rng, bank, table)
        corners = [(index // per_row * size, index % per_row * size) for index in range(n)]
        pictures = [canvas[:, top : top + size, left : left + size] for top, left in corners]
        yield torch.stack(pictures), torch.zeros(n, dtype=torch.int64)


def _canvas(side: int, rng: torch.Generator, bank: Floats, table: Floats) -> Tensor:
    """One picture, uint8 `[3, side, side]`."""
    piled = pile(side * FINER, rng)
    made_of = surfaces(rng, piled.radii, piled.middles, piled.kin, _style(rng))
    shape_at = piled.drawn()
    picture = Image.fromarray(painted(shape_at, made_of, bank, table))
    hazy, haze, blurry, how_much, how_many = torch.rand(5, generator=rng).tolist()
    if hazy < 0.3:  # few lenses are as sharp as this drawing
        picture = picture.filter(ImageFilter.GaussianBlur(0.4 + 1.2 * haze))
    if blurry < 0.3:  # some shapes are out of focus
        soft = torch.rand(len(piled.kin), generator=rng) < 0.7 * how_many
        mask = Image.fromarray((soft.numpy() * np.uint8(255))[shape_at])
        picture.paste(picture.filter(ImageFilter.GaussianBlur(2 + round(6 * how_much))), mask=mask)
    small = picture.resize((side, side), FILTERS[int(torch.randint(len(FILTERS), (), generator=rng))])
    return torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(side, side, 3).permute(2, 0, 1)


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
