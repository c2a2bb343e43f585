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
    """How much of a grid is shown, and how large: `columns × rows` tiles of `tile_width × tile_height` pixels.

    `score`: about the number of tiles, less where they are too small to be recognised; 0 where nothing is worth showing.
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


def tiles(samples: SamplesDrawn, tile: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows of the grid if it is one of `tile` (width, height) pixels each; (1, 1) if it is another picture."""
    across, down = samples.width + GRID_GAP, samples.height + GRID_GAP
    wide, high = tile[0] + GRID_GAP, tile[1] + GRID_GAP
    return (across // wide, down // high) if across % wide == 0 and down % high == 0 else (1, 1)


def fit(grid: tuple[int, int], tile: tuple[int, int], columns: int, rows: int) -> GridLayout:
    """The best way to show whole tiles of a grid (columns, rows) in `columns × rows` characters."""
    wanted = min(tile[0], max(12, min(24, tile[0] // 2)))  # pixels across from which a picture can be recognised
    best = NOTHING
    for shown_columns in range(1, grid[0] + 1):
        for shown_rows in range(1, grid[1] + 1):
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


def picture(samples: SamplesDrawn, tile: tuple[int, int], fitted: GridLayout) -> Image.Image:
    """The part of the grid that fits, each tile scaled down, a dark pixel between them: RGB, an even number of rows."""
    source = Image.frombytes("RGB", (samples.width, samples.height), samples.rgb)
    whole = tiles(samples, tile) == (1, 1)
    tile_width, tile_height = (samples.width, samples.height) if whole else tile
    canvas = Image.new("RGB", (fitted.width, 2 * fitted.height))
    size = (fitted.tile_width, fitted.tile_height)
    for row in range(fitted.rows):
        for column in range(fitted.columns):
            left, top = column * (tile_width + GRID_GAP), row * (tile_height + GRID_GAP)
            part = source.crop((left, top, left + tile_width, top + tile_height))
            scaled = part if part.size == size else part.resize(size, Image.Resampling.HAMMING)
            canvas.paste(scaled, (column * (size[0] + 1), row * (size[1] + 1)))
    return canvas


def half_blocks(image: Image.Image) -> list[Text]:
    """Two rows of pixels in each line: the upper pixel as the colour of `▀`, the lower one as its background."""
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


def plain_blocks(image: Image.Image) -> list[Text]:
    """The same without colour: what is lighter than the middle of the picture's range is drawn."""
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
def drawn(samples: SamplesDrawn, tile: tuple[int, int], fitted: GridLayout, colours: bool) -> list[Text]:
    """The samples as lines, in colours or in black and white."""
    canvas = picture(samples, tile, fitted)
    return half_blocks(canvas) if colours else plain_blocks(canvas)
