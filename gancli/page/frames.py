"""The sample grids of a run, as pictures inside a page that has room for so many bytes."""

import base64
import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, features

NAME = re.compile(r"step-(\d{8,15})\.png")
MOST_PIXELS = 40_000_000  # of one grid; larger ones are no grids of ours
PIXELS_IN_ALL = 12_000_000  # so that the end of a run does not wait long for its page: WebP takes 3 million a second


@dataclass(frozen=True)
class Frame:
    """A grid of samples: `source` is a data URI."""

    step: int
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Way:
    """How grids are kept: at most so many, no longer than `side` (None: as they are), lossless where `quality` is None."""

    most: int
    side: int | None
    quality: int | None


# From the best to what fits nearly always. Grids of small pictures stay as they are, to the pixel.
WAYS = (
    Way(80, None, None), Way(40, None, None), Way(40, None, 90), Way(24, 1600, 85), Way(16, 1200, 80), Way(12, 900, 75),
    Way(8, 700, 65), Way(4, 512, 60), Way(1, 384, 50),
)  # fmt: skip


def listed(run: Path) -> list[tuple[int, Path]]:
    """The steps and files of a run's sample grids, oldest first; none where they may not be seen."""
    try:
        names = [path for path in (run / "samples").iterdir() if NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted((int(path.stem.partition("-")[2]), path) for path in names)


def spread(files: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """At most so many of them, evenly spread, always with the last one and, of several, the first."""
    if len(files) <= most:
        return list(files)
    if most <= 1:
        return list(files[-1:])
    return [files[index * (len(files) - 1) // (most - 1)] for index in range(most)]


def kept(files: Sequence[tuple[int, Path]], room: int) -> tuple[list[Frame], list[str]]:
    """As many grids as `room` bytes of a page take, as good as they fit; and what could not be read."""
    unread: dict[str, None] = {}
    files = [(step, path) for step, path in files if _size(path, unread)]
    if not files:
        return [], list(unread)
    for way in WAYS:
        chosen = spread(files, way.most)
        if not _may_fit(chosen, way, room):
            continue
        found = [frame for step, path in chosen if (frame := _frame(step, path, way, unread))]
        if sum(len(frame.source) for frame in found) <= room:
            return found, list(unread)
    return [], [*unread, "samples: there is no room for them on the page"]


def _may_fit(chosen: Sequence[tuple[int, Path]], way: Way, room: int) -> bool:
    """Whether it is worth trying, by the first and the last of them: encoding all takes long."""
    sizes = filter(None, (_size(path, {}) for _, path in chosen))
    pixels = sum(math.prod(_within(size, way)) for size in sizes)
    if pixels > PIXELS_IN_ALL and way is not WAYS[-1]:
        return False
    ends = dict([chosen[0], chosen[-1]])
    tried = [frame for step, path in ends.items() if (frame := _frame(step, path, way, {}))]
    return sum(len(frame.source) for frame in tried) / max(len(tried), 1) * len(chosen) <= room * 1.2


def _within(size: tuple[int, int], way: Way) -> tuple[int, int]:
    """The size that a grid has when no side is longer than a way allows."""
    if way.side is None or max(size) <= way.side:
        return size
    width, height = (max(1, round(side * way.side / max(size))) for side in size)
    return width, height


def _opened(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its size is looked at here
        return Image.open(path, formats=["PNG"])


def _size(path: Path, unread: dict[str, None]) -> tuple[int, int] | None:
    try:
        with _opened(path) as picture:
            if picture.width * picture.height <= MOST_PIXELS:
                return picture.size
            unread[f"samples/{path.name}: {picture.width}×{picture.height} pixels are too many for the page"] = None
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        unread[f"samples/{path.name}: cannot be read as a PNG"] = None
    return None


def _frame(step: int, path: Path, way: Way, unread: dict[str, None]) -> Frame | None:
    try:
        with _opened(path) as file:
            picture = file if file.mode in ("L", "RGB") else file.convert("RGB")
            picture.load()
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        unread[f"samples/{path.name}: cannot be read as a PNG"] = None
        return None
    if (size := _within(picture.size, way)) != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return Frame(step, _data_uri(picture, way.quality), *picture.size)


def _data_uri(picture: Image.Image, quality: int | None) -> str:
    buffer, kind = io.BytesIO(), "webp"
    if not features.check("webp") or max(picture.size) > 16_383:
        kind = "png" if quality is None else "jpeg"
    if kind == "webp" and quality is None:
        picture.save(buffer, "WEBP", lossless=True, method=2, quality=20)
    elif kind == "png":
        picture.save(buffer, "PNG", compress_level=6)
    else:
        picture.save(buffer, kind.upper(), quality=quality)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def steps_of(frames: Sequence[Sequence[Frame]]) -> Iterator[int]:
    """All steps that any of several runs has a grid of, in their order."""
    yield from sorted({frame.step for each in frames for frame in each})
