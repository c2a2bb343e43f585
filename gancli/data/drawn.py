"""Data sets that the program draws itself: always the same pictures, whatever the run's seed; nothing is downloaded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.data.digits import draw_digits
from gancli.data.names import Split
from gancli.data.shapes import SHAPES, draw_shapes
from gancli.data.source import Opening, Source
from gancli.events import Preparing

Draw = Callable[[int, int, int], Iterator[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class DrawnSet:
    """A data set to draw. `counts` and `seeds` per split; `size` in pixels unless another is asked for."""

    draw: Draw
    size: int
    class_names: tuple[str, ...]
    counts: dict[Split, int]
    seeds: dict[Split, int]


DRAWN_SETS = {
    "digits": DrawnSet(
        draw_digits, 28, tuple("0123456789"), {"train": 6_400, "test": 4_000}, {"train": 28_001, "test": 28_002}
    ),
    "shapes": DrawnSet(
        draw_shapes, 64, tuple(SHAPES), {"train": 10_000, "test": 2_000}, {"train": 64_001, "test": 64_002}
    ),
}


def open_drawn(name: str, image_size: int | None, split: Split) -> Opening:
    """Draw a data set at `image_size` pixels (None: its own size)."""
    which = DRAWN_SETS[name]
    total, done = which.counts[split], 0
    yield Preparing(f"drawing {name}", 0, total, "images")
    pixels, labels = [], []
    for some_pixels, some_labels in which.draw(total, image_size or which.size, which.seeds[split]):
        pixels.append(some_pixels)
        labels.append(some_labels)
        done += len(some_labels)
        yield Preparing(f"drawing {name}", done, total, "images")
    return Source(name, torch.cat(pixels), torch.cat(labels), which.class_names)
