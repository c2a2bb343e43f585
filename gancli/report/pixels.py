"""A grid of samples as characters, two pixels in each: the colour of `▀` and its background."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.text import Text

from gancli.events import SamplesDrawn

GRID_GAP = 2  # pixels between the tiles of a grid, as `gancli.images.grid` lays them
MIN_QUALITY = 0.2


@dataclass(frozen=True)
class GridLayout:
    """The part of a grid that is shown, and its size: `columns × rows` tiles of `tile_width × tile_height` pixels.

    `score`: about the number of tiles, less if they are too small to be recognised; 0 if nothing can be shown.
    """

    columns: int
    rows: int
    tile_width: int
    tile_height: int
    score: float

    @property
    def width(self) -> int:
        """Characters across, gaps of a pixel included."""
        return self.columns * (self.tile_width + 1) - 1

    @property
    def height(self) -> int:
        """Characters down."""
        return (self.rows * (self.tile_height + 1)) // 2


NOTHING = GridLayout(0, 0, 0, 0, 0.0)


def grid_shape(samples: SamplesDrawn, tile: tuple[int, int]) -> tuple[int, int]:
    """Return the columns and rows of a grid with tiles of `tile` (width, height) pixels, (1, 1) for another image."""
    across, down = samples.width + GRID_GAP, samples.height + GRID_GAP
    wide, high = tile[0] + GRID_GAP, tile[1] + GRID_GAP
    return (across // wide, down // high) if across % wide == 0 and down % high == 0 else (1, 1)


def fit_grid(shape: tuple[int, int], tile: tuple[int, int], columns: int, rows: int) -> GridLayout:
    """Return the best layout of whole tiles for a grid of `shape` (columns, rows) in `columns × rows` characters."""
    wanted = min(tile[0], max(12, min(24, tile[0] // 2)))  # pixels across from which an image can be recognised
    best = NOTHING
    for shown_columns in range(1, shape[0] + 1):
        for shown_rows in range(1, shape[1] + 1):
            width = min((columns + 1) // shown_columns - 1, tile[0])
            by_height = ((2 * rows + 1) // shown_rows - 1) * tile[0] // tile[1]
            width = min(width, by_height)
            height = max(1, width * tile[1] // tile[0])
            if width < 4:
                continue
            quality = (width / wanted) ** (3 if width < wanted else 0.5)
            score = shown_columns * shown_rows * quality
            if quality >= MIN_QUALITY and score > best.score:
                best = GridLayout(shown_columns, shown_rows, width, height, score)
    return best


def _scaled(samples: SamplesDrawn, tile: tuple[int, int], layout: GridLayout) -> Image.Image:
    """Return the tiles that fit, scaled down, with a dark pixel between them: RGB, an even number of rows."""
    source = Image.frombytes("RGB", (samples.width, samples.height), samples.rgb)
    canvas = Image.new("RGB", (layout.width, 2 * layout.height))
    size = (layout.tile_width, layout.tile_height)
    for row in range(layout.rows):
        for column in range(layout.columns):
            left, top = column * (tile[0] + GRID_GAP), row * (tile[1] + GRID_GAP)
            part = source.crop((left, top, left + tile[0], top + tile[1]))
            scaled = part if part.size == size else part.resize(size, Image.Resampling.HAMMING)
            canvas.paste(scaled, (column * (size[0] + 1), row * (size[1] + 1)))
    return canvas


def _half_blocks(image: Image.Image) -> list[Text]:
    """Return lines of two rows of pixels each: the upper pixel is the colour of `▀`, the lower one its background."""
    bits, across = image.tobytes(), 3 * image.width
    lines = []
    for top in range(0, image.height - 1, 2):
        upper, lower = bits[top * across : (top + 1) * across], bits[(top + 1) * across : (top + 2) * across]
        pairs = ((upper[x : x + 3], lower[x : x + 3]) for x in range(0, across, 3))
        runs = ((pair, len(list(run))) for pair, run in groupby(pairs))
        lines.append(Text.assemble(*(("▀" * length, _style(*pair)) for pair, length in runs)))
    return lines


@lru_cache(1024)
def _style(upper: bytes, lower: bytes) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))


def _plain_blocks(image: Image.Image) -> list[Text]:
    """Return the same without colour: pixels lighter than the middle of the image's range are filled."""
    grey = image.convert("L")
    bits = grey.tobytes()
    middle = (min(bits) + max(bits)) / 2
    lines = []
    for top in range(0, image.height - 1, 2):
        upper = bits[top * image.width : (top + 1) * image.width]
        lower = bits[(top + 1) * image.width : (top + 2) * image.width]
        blocks = (" ▄▀█"[2 * (a > middle) + (b > middle)] for a, b in zip(upper, lower, strict=True))
        lines.append(Text("".join(blocks)))
    return lines


@lru_cache(2)
def render(samples: SamplesDrawn, tile: tuple[int, int], layout: GridLayout, colours: bool) -> list[Text]:
    """Return the samples as lines, in colours or in black and white."""
    canvas = _scaled(samples, tile, layout)
    return _half_blocks(canvas) if colours else _plain_blocks(canvas)
