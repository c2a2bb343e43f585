"""DiffAugment: differentiable augmentations of real and fake images, for D's input (Zhao et al. 2020, "Differentiable
Augmentation for Data-Efficient GAN Training", appendix B.3).

Images are float `[B, C, H, W]` in [-1, 1]. Each image of a batch has its own random parameters, from torch's default
generator.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

MAX_SHIFT = 1 / 8  # of the height and width
CUT_SIDE = 1 / 2


def colour(x: Tensor) -> Tensor:
    """Change brightness by up to ±0.5, saturation by a factor of 0 to 2, contrast by a factor of 0.5 to 1.5."""
    brightness, saturation, contrast = torch.rand(len(x), 3, 1, 1, 1, device=x.device, dtype=x.dtype).unbind(1)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    augmented: Tensor = (x - mean) * (contrast + 0.5) + mean
    return augmented


def translation(x: Tensor, max_shift: float = MAX_SHIFT) -> Tensor:
    """Shift each image by up to `max_shift` of its height and width, filling with zeros.

    A shift is a product with a matrix of zeros and ones on either side: exact, and as fast backward as forward.
    """
    height, width = x.shape[2:]
    down, right = _shift_matrices(x, height, max_shift), _shift_matrices(x, width, max_shift).mT
    shifted: Tensor = down[:, None] @ x @ right[:, None]
    return shifted


def _shift_matrices(x: Tensor, side: int, max_shift: float) -> Tensor:
    """Return one matrix per image, float `[B, side, side]`: ones on a diagonal shifted by up to `max_shift` of the
    side."""
    most = int(side * max_shift + 0.5)
    shift = torch.randint(-most, most + 1, (len(x), 1, 1), device=x.device)
    index = torch.arange(side, device=x.device)
    return (index[None, :, None] - index[None, None, :] == shift).to(x.dtype)


def cutout(x: Tensor) -> Tensor:
    """Set a rectangle of half the height and width, centred anywhere in the image, to zero."""
    rows, columns = (_cut_interval(x, side) for side in x.shape[2:])
    return x * (1 - (rows[:, None, :, None] & columns[:, None, None, :]).to(x.dtype))


def _cut_interval(x: Tensor, side: int) -> Tensor:
    """Return one random interval of half the side per image: bool `[B, side]`."""
    length = int(side * CUT_SIDE + 0.5)
    start = torch.randint(0, side + (1 - length % 2), (len(x), 1), device=x.device) - length // 2
    index = torch.arange(side, device=x.device)
    return (index >= start) & (index < start + length)


POLICIES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"colour": colour, "translation": translation, "cutout": cutout}
)


def diff_augment(x: Tensor, policies: Sequence[str]) -> Tensor:
    """Return images augmented by each of `policies` (keys of `POLICIES`) in turn, in fp32; `x` itself if there are
    none."""
    with torch.autocast(x.device.type, enabled=False):
        for policy in policies:
            x = POLICIES[policy](x.float())
    return x
