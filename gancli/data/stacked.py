"""`stacked-mnist`: three of MNIST's digits as red, green and blue of one picture, a class for each number 000 to 999.

What counts a model's modes (Metz et al. 2017, section 3.3.1): none is far from the others, so a model that drops some has no
excuse. The digits are drawn at random, once for everybody, as many as Srivastava et al. 2017 and Lin et al. 2018 have.
"""

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gancli.data.cache import Cache, is_too_large
from gancli.data.fingerprint import digest
from gancli.data.names import STACKED, Split
from gancli.data.resize import resized
from gancli.data.source import Source
from gancli.data.torchvision_sets import read_idx_set
from gancli.events import Emit, Preparing, Warned

NUM_DIGITS, NUM_CHANNELS = 10, 3
CLASS_NAMES = tuple(f"{number:03}" for number in range(NUM_DIGITS**NUM_CHANNELS))
COUNTS: dict[Split, int] = {"train": 128_000, "test": 26_000}
SEEDS: dict[Split, int] = {"train": 28_003, "test": 28_004}


def open_stacked(root: Path, image_size: int | None, download: bool, split: Split, emit: Emit) -> Source:
    """Stack the digits of a split of MNIST, whose files are had and refused as for `mnist` itself.

    That takes no second, so it is kept in no cache, unless there is too little memory for it (301 MB at 28 px).
    """
    emit(Preparing(f"reading {STACKED}", 0, 0, "files"))
    digits, labels, _ = read_idx_set("mnist", STACKED, root, download, split, emit)
    if image_size is not None:
        digits = resized(digits, image_size, STACKED, emit)
    chosen = draws(len(digits), split)
    numbers = together(labels[chosen])
    shape = (*chosen.shape, *digits.shape[2:])
    if not is_too_large(math.prod(shape)):
        return Source(STACKED, digits[chosen.flatten()].view(shape), numbers, CLASS_NAMES, stacked=True)
    cache = Cache(root, f"{STACKED}-{split}", [STACKED, split, image_size, digest(digits)], STACKED)
    return replace(_mapped(cache, digits, chosen, numbers, emit), stacked=True)


def _mapped(cache: Cache, digits: Tensor, chosen: Tensor, numbers: Tensor, emit: Emit) -> Source:
    """The stacks in a file of the cache where that can be written, else in memory."""
    if (cached := cache.load_source(STACKED)) is not None:
        return cached
    try:
        images, warning = cache.allocate((*chosen.shape, *digits.shape[2:]))
        torch.index_select(digits, 0, chosen.flatten(), out=images.view(-1, *digits.shape[1:]))
        source, failed = cache.save_source(Source(STACKED, images, numbers, CLASS_NAMES))
        if warning or failed:
            emit(Warned(warning or failed))
        return source
    finally:
        cache.discard()


def draws(num_digits: int, split: Split) -> Tensor:
    """Which of a split's digits each picture is made of: int64 `[N, 3]`, always the same."""
    rng = torch.Generator().manual_seed(SEEDS[split])
    return torch.randint(num_digits, (COUNTS[split], NUM_CHANNELS), generator=rng)


def together(digits: Tensor) -> Tensor:
    """The number that digits make, each int64 in 0…9: `[N, 3]` → `[N]`, of which the first channel's weighs most."""
    places = NUM_DIGITS ** torch.arange(digits.shape[1] - 1, -1, -1)
    return (digits * places).sum(1)


def apart(pixels: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Each channel as a picture of its own, with its digit: uint8 `[N, 3, H, W]` and int64 `[N]` → `[3·N, 1, H, W]` and
    `[3·N]`."""
    places = NUM_DIGITS ** torch.arange(pixels.shape[1] - 1, -1, -1)
    return pixels.flatten(0, 1)[:, None], (numbers[:, None] // places % NUM_DIGITS).flatten()
