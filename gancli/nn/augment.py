"""DiffAugment: random changes of pictures through which gradients flow, so that D and G both learn through them.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", appendix B.3. Pictures are float
`[B, C, H, W]` in [-1, 1]; each picture of a batch is changed by its own draw from torch's default generator.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

MAX_SHIFT = 1 / 8  # of the height and width
CUT_SIDE = 1 / 2


def colour(x: Tensor) -> Tensor:
    """Brightness ±0.5, saturation 0 to 2 times, contrast 0.5 to 1.5 times."""
    brightness, saturation, contrast = torch.rand(len(x), 3, 1, 1, 1, device=x.device, dtype=x.dtype).unbind(1)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    middle = x.mean((1, 2, 3), keepdim=True)
    changed: Tensor = (x - middle) * (contrast + 0.5) + middle
    return changed


def translation(x: Tensor, max_shift: float = MAX_SHIFT) -> Tensor:
    """Shifted by up to `max_shift` of the side, with zeros where the picture came from.

    A shift is a product with a matrix of zeros and ones from either side: exact, and its gradient is as fast as it is.
    """
    height, width = x.shape[2:]
    down, right = _shifts(x, height, max_shift), _shifts(x, width, max_shift).mT
    shifted: Tensor = down[:, None] @ x @ right[:, None]
    return shifted


def _shifts(x: Tensor, side: int, max_shift: float) -> Tensor:
    """One matrix per picture: float `[B, side, side]`, ones on a diagonal moved by up to `max_shift` of the side."""
    reach = int(side * max_shift + 0.5)
    shift = torch.randint(-reach, reach + 1, (len(x), 1, 1), device=x.device)
    index = torch.arange(side, device=x.device)
    return (index[None, :, None] - index[None, None, :] == shift).to(x.dtype)


def cutout(x: Tensor) -> Tensor:
    """A square of half the side, centred anywhere in the picture, set to zero."""
    rows, columns = (_cut(x, side) for side in x.shape[2:])
    return x * (1 - (rows[:, None, :, None] & columns[:, None, None, :]).to(x.dtype))


def _cut(x: Tensor, side: int) -> Tensor:
    length = int(side * CUT_SIDE + 0.5)
    start = torch.randint(0, side + (1 - length % 2), (len(x), 1), device=x.device) - length // 2
    index = torch.arange(side, device=x.device)
    return (index >= start) & (index < start + length)


POLICIES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"colour": colour, "translation": translation, "cutout": cutout}
)


def diff_augment(x: Tensor, policies: Sequence[str]) -> Tensor:
    """`x` changed by each of `policies` (keys of `POLICIES`) in turn; `x` itself where there are none."""
    with torch.autocast(x.device.type, enabled=False):
        for policy in policies:
            x = POLICIES[policy](x.float())
    return x
