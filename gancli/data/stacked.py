"""`stacked-mnist`: three of MNIST's digits as the red, green and blue of one image, with a class for each number 000 to 999.

It counts a model's modes (Metz et al. 2017, section 3.3.1): no mode is far from the others, so that none is hard to learn.
The digits are chosen at random with fixed seeds; there are as many images as in Srivastava et al. 2017 and Lin et al. 2018.
"""

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli.data.cache import Cache, is_too_large
from gancli.data.dataset import Dataset, digest
from gancli.data.named_sets import read_mnist, resized
from gancli.data.names import STACKED, Split
from gancli.events import Emit, Preparing

NUM_DIGITS, NUM_CHANNELS = 10, 3
CLASS_NAMES = tuple(f"{number:03}" for number in range(NUM_DIGITS**NUM_CHANNELS))
COUNTS: dict[Split, int] = {"train": 128_000, "test": 26_000}
SEEDS: dict[Split, int] = {"train": 28_003, "test": 28_004}


def open_stacked(root: Path, image_size: int | None, download: bool, split: Split, emit: Emit) -> Dataset:
    """Stack the digits of a split of MNIST, whose files are found or downloaded as for `mnist`.

    This takes less than a second, so it is cached only if memory is too small for it (301 MB at 28 px), to be mapped.
    """
    emit(Preparing(f"reading {STACKED}", 0, 0, "files"))
    digits, labels, _ = read_mnist("mnist", STACKED, root, download, split, emit)
    digits = resized(digits, image_size, STACKED, emit)
    chosen = choose_digits(len(digits), split)
    numbers = digits_to_number(labels[chosen])
    shape = (*chosen.shape, *digits.shape[2:])
    if not is_too_large(math.prod(shape)):
        return Dataset(STACKED, digits[chosen.flatten()].view(shape), numbers, CLASS_NAMES, stacked=True)
    cache = Cache(root, f"{STACKED}-{split}", [STACKED, split, image_size, digest(digits)], STACKED, emit)
    if (found := cache.load_source(STACKED)) is None:
        with cache.allocate(shape) as images:
            torch.index_select(digits, 0, chosen.flatten(), out=images.view(-1, *digits.shape[1:]))
            found = cache.save_source(Dataset(STACKED, images, numbers, CLASS_NAMES))
    return replace(found, stacked=True)


def choose_digits(num_digits: int, split: Split) -> Tensor:
    """Return which of a split's digits each image consists of: int64 `[N, 3]`, always the same."""
    rng = torch.Generator().manual_seed(SEEDS[split])
    return torch.randint(num_digits, (COUNTS[split], NUM_CHANNELS), generator=rng)


def digits_to_number(digits: Tensor) -> Tensor:
    """Return the numbers that digits, int64 in 0…9, form: `[N, 3]` → `[N]`. The first channel has the hundreds."""
    places = NUM_DIGITS ** torch.arange(digits.shape[1] - 1, -1, -1)
    return (digits * places).sum(1)


def unstack(pixels: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return each channel as an image of its own, with its digit: uint8 `[N, 3, H, W]` and int64 `[N]` → `[3·N, 1, H, W]`
    and `[3·N]`."""
    places = NUM_DIGITS ** torch.arange(pixels.shape[1] - 1, -1, -1)
    return pixels.flatten(0, 1)[:, None], (numbers[:, None] // places % NUM_DIGITS).flatten()
