"""Data sets that the program draws itself: always the same pictures, whatever the run's seed; nothing is downloaded.

What takes long to draw is kept in the cache.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.data.cache import Cache
from gancli.data.digits import draw_digits
from gancli.data.leaves import CANVAS, draw_leaves, num_leaves
from gancli.data.names import Split
from gancli.data.pace import Pace
from gancli.data.shapes import SHAPES, draw_shapes
from gancli.data.source import Source
from gancli.events import Emit, Preparing, Warned

VERSION = 1  # of the pictures that are cached
Draw = Callable[[int, int, int], Iterator[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class DrawnSet:
    """A data set to draw. `counts` and `seeds` per split; `size` in pixels unless another is asked for. `at_size`: how many
    pictures of a size a count stands for. `scene`: the size of pictures that crops are taken of, None for `size`."""

    draw: Draw
    size: int
    class_names: tuple[str, ...]
    counts: dict[Split, int]
    seeds: dict[Split, int]
    at_size: Callable[[int, int], int] = lambda count, size: count  # noqa: ARG005
    scene: int | None = None
    cached: bool = False


DRAWN_SETS = {
    "digits": DrawnSet(
        draw_digits, 28, tuple("0123456789"), {"train": 6_400, "test": 4_000}, {"train": 28_001, "test": 28_002}
    ),
    "shapes": DrawnSet(
        draw_shapes, 64, tuple(SHAPES), {"train": 10_000, "test": 2_000}, {"train": 64_001, "test": 64_002}
    ),
    "leaves": DrawnSet(
        draw_leaves,
        64,
        (),
        {"train": 400, "test": 80},
        {"train": 96_001, "test": 96_002},
        num_leaves,
        CANVAS,
        cached=True,
    ),
}


def scene_size(name: str, crop: int | None) -> int | None:
    """The size at which to open a set for crops of `crop` pixels (None: any)."""
    scene = DRAWN_SETS[name].scene
    return None if scene is None else max(scene, crop or 0)


def open_drawn(name: str, data_root: Path, image_size: int | None, split: Split, emit: Emit) -> Source:
    """Draw a data set at `image_size` pixels (None: its own size), or take it from the cache below `data_root`."""
    which = DRAWN_SETS[name]
    size = image_size or which.size
    if not which.cached:
        return _drawn(name, size, split, emit)
    cache = Cache(data_root, f"{name}-{split}", [name, split, size, VERSION], name)
    if (cached := cache.load_source(name)) is not None:
        return cached
    source, warning = cache.save_source(_drawn(name, size, split, emit))
    if warning:
        emit(Warned(warning))
    return source


def _drawn(name: str, size: int, split: Split, emit: Emit) -> Source:
    which, pace = DRAWN_SETS[name], Pace()
    total, done = which.at_size(which.counts[split], size), 0
    emit(Preparing(f"drawing {name}", 0, total, "images"))
    pixels, labels = [], []
    for some_pixels, some_labels in which.draw(total, size, which.seeds[split]):
        pixels.append(some_pixels)
        labels.append(some_labels)
        done += len(some_labels)
        if pace.due() or done == total:
            emit(Preparing(f"drawing {name}", done, total, "images"))
    return Source(name, torch.cat(pixels), torch.cat(labels), which.class_names)
