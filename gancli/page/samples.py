"""The sample grids of a run as images inside a page, in at most a given number of bytes."""

import base64
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image, features

NAME = re.compile(r"step-(\d{8,15})\.png")
MAX_PIXELS_OF_GRID = 40_000_000
MAX_PIXELS = 12_000_000  # of all grids, so that writing the page takes seconds: WebP encodes 3 million a second
ERRORS = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)  # of damaged files

T = TypeVar("T")


class Frame(NamedTuple):
    """A grid of samples: `source` is a data URI."""

    step: int
    source: str
    width: int
    height: int


class EncodingChoice(NamedTuple):
    """At most `max_grids`, no side longer than `max_side` (None: unchanged), lossless if `quality` is None."""

    max_grids: int
    max_side: int | None
    quality: int | None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size in which a grid of this size is shown."""
        longest = max(width, height)
        if self.max_side is None or longest <= self.max_side:
            return width, height
        return max(1, round(width * self.max_side / longest)), max(1, round(height * self.max_side / longest))


# From the best to what nearly always fits. Small grids stay as they are, to the pixel.
CHOICES = (
    EncodingChoice(80, None, None), EncodingChoice(40, None, 90), EncodingChoice(24, 1600, 85), EncodingChoice(12, 900, 75),
    EncodingChoice(4, 512, 60), EncodingChoice(1, 384, 50),
)  # fmt: skip


def list_grids(run: Path) -> list[tuple[int, Path]]:
    """Return the steps and files of a run's sample grids, oldest first; none if they cannot be listed."""
    try:
        files = [path for path in (run / "samples").iterdir() if NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted((int(path.stem.partition("-")[2]), path) for path in files)


def encode_grids(files: Sequence[tuple[int, Path]], max_bytes: int) -> tuple[list[Frame], list[str]]:
    """Return as many grids as fit into `max_bytes`, in the best quality that fits; and the problems met."""
    problems: dict[str, None] = {}
    sizes = {path: size for _, path in files if (size := _read_size(path, problems))}
    grids = [(step, path) for step, path in files if path in sizes]
    for choice in CHOICES:
        chosen = spread(grids, choice.max_grids)
        pixels = sum(width * height for width, height in (choice.size(*sizes[path]) for _, path in chosen))
        if pixels > MAX_PIXELS and choice is not CHOICES[-1]:
            continue
        if (frames := _encode_all(chosen, choice, max_bytes, problems)) is not None:
            return frames, list(problems)
    return [], [*problems, "samples: too large for the page"]


def spread(items: Sequence[T], count: int) -> Sequence[T]:
    """Return at most `count` of the items, evenly spread: always the last one and, of several, the first."""
    if len(items) <= count:
        return items
    return [items[index * (len(items) - 1) // (count - 1)] for index in range(count)] if count > 1 else items[-1:]


def _read_size(path: Path, problems: dict[str, None]) -> tuple[int, int] | None:
    try:
        with _open(path) as image:
            if image.width * image.height <= MAX_PIXELS_OF_GRID:
                return image.size
            problems[f"samples/{path.name}: {image.width}×{image.height} pixels are too many for the page"] = None
    except ERRORS:
        problems[f"samples/{path.name}: cannot be read as a PNG"] = None
    return None


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here
        return Image.open(path, formats=["PNG"])


def _encode_all(
    grids: Sequence[tuple[int, Path]], choice: EncodingChoice, max_bytes: int, problems: dict[str, None]
) -> list[Frame] | None:
    """Return the grids that can be read; None if they take more than `max_bytes`."""
    frames: list[Frame] = []
    for step, path in reversed(grids):
        try:
            with _open(path) as file:
                image = file if file.mode in ("L", "RGB") else file.convert("RGB")
                image.load()
        except ERRORS:
            problems[f"samples/{path.name}: cannot be read as a PNG"] = None
            continue
        if (size := choice.size(*image.size)) != image.size:
            image = image.resize(size, Image.Resampling.LANCZOS)
        frames.append(Frame(step, _data_uri(image, choice.quality), *image.size))
        if sum(len(frame.source) for frame in frames) > max_bytes:
            return None
    return frames[::-1]


def _data_uri(image: Image.Image, quality: int | None) -> str:
    buffer, kind = io.BytesIO(), "webp"
    if not features.check("webp") or max(image.size) > 16_383:
        kind = "png" if quality is None else "jpeg"
    if kind == "webp" and quality is None:
        image.save(buffer, "WEBP", lossless=True, method=2, quality=20)
    elif kind == "png":
        image.save(buffer, "PNG", compress_level=6)
    else:
        image.save(buffer, kind.upper(), quality=quality)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
