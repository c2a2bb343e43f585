"""Datasets that the program generates: always the same images, whatever the run's seed; nothing is downloaded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.data.cache import Cache
from gancli.data.dataset import Dataset
from gancli.data.digits import draw_digits
from gancli.data.leaves import CANVAS, draw_leaves, num_leaves
from gancli.data.names import Split
from gancli.data.shapes import SHAPES, draw_shapes
from gancli.events import Emit, Preparing, RateLimiter

VERSION = 1  # of the images that are cached
Draw = Callable[[int, int, int], Iterator[tuple[Tensor, Tensor]]]
Seeds = dict[Split, int]


@dataclass(frozen=True)
class GeneratedSet:
    """A generated dataset. `counts` and `seeds`: by split; `size`: the default, in pixels. `count_at_size`: the number of
    images of a size that a count stands for. `scene`: the size of images that crops are taken of, None for `size`."""

    draw: Draw
    size: int
    class_names: tuple[str, ...]
    counts: dict[Split, int]
    seeds: Seeds
    count_at_size: Callable[[int, int], int] = lambda count, size: count  # noqa: ARG005
    scene: int | None = None
    cached: bool = False


DIGIT_SEEDS: Seeds = {"train": 28_001, "test": 28_002}
SHAPE_SEEDS: Seeds = {"train": 64_001, "test": 64_002}
LEAF_SEEDS: Seeds = {"train": 96_001, "test": 96_002}
GENERATED_SETS = {
    "digits": GeneratedSet(draw_digits, 28, tuple("0123456789"), {"train": 6_400, "test": 4_000}, DIGIT_SEEDS),
    "shapes": GeneratedSet(draw_shapes, 64, tuple(SHAPES), {"train": 10_000, "test": 2_000}, SHAPE_SEEDS),
    "leaves": GeneratedSet(
        draw_leaves, 64, (), {"train": 400, "test": 80}, LEAF_SEEDS, num_leaves, CANVAS, cached=True
    ),
}


def scene_size(name: str, crop: int | None) -> int | None:
    """Return the size at which to open a dataset for crops of `crop` pixels (None: any)."""
    scene = GENERATED_SETS[name].scene
    return None if scene is None else max(scene, crop or 0)


def open_generated(name: str, data_root: Path, image_size: int | None, split: Split, emit: Emit) -> Dataset:
    """Generate a dataset at `image_size` pixels (None: its default). One that takes long is cached below `data_root`."""
    which = GENERATED_SETS[name]
    size = image_size or which.size
    if not which.cached:
        return _generated(name, size, split, emit)
    cache = Cache(data_root, f"{name}-{split}", [name, split, size, VERSION], name, emit)
    return cache.load_source(name) or cache.save_source(_generated(name, size, split, emit))


def _generated(name: str, size: int, split: Split, emit: Emit) -> Dataset:
    which, pace = GENERATED_SETS[name], RateLimiter()
    total, done = which.count_at_size(which.counts[split], size), 0
    emit(Preparing(f"generating {name}", 0, total, "images"))
    images, labels = [], []
    for some_images, some_labels in which.draw(total, size, which.seeds[split]):
        images.append(some_images)
        labels.append(some_labels)
        done += len(some_labels)
        if pace.due() or done == total:
            emit(Preparing(f"generating {name}", done, total, "images"))
    return Dataset(name, torch.cat(images), torch.cat(labels), which.class_names)
