"""One level of a pyramid of pictures: half and double the size, "bilinear" or "binomial" (Burt & Adelson 1983)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def halve(x: Tensor, resize: str) -> Tensor:
    """d: float `[B, C, H, W]` → `[B, C, H/2, W/2]`. Means only, so that [-1, 1] stays within [-1, 1]."""
    if resize == "bilinear":
        return F.avg_pool2d(x, 2)  # bilinear sampling midway between four pixels is their mean
    return _blur_and_decimate(_blur_and_decimate(x).mT).mT


def double(x: Tensor, resize: str) -> Tensor:
    """u: float `[B, C, h, w]` → `[B, C, 2h, 2w]`, smooth. Means only."""
    if resize == "bilinear":
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return _smooth_and_expand(_smooth_and_expand(x).mT).mT


def _blur_and_decimate(x: Tensor) -> Tensor:
    """Every other column of a blur by [1, 4, 6, 4, 1] / 16 (Burt & Adelson 1983), edges repeated."""
    x = F.pad(x, (2, 2, 0, 0), "replicate")
    a, b, c, d, e = (x[..., start : x.shape[-1] - 4 + start : 2] for start in range(5))
    return (a + 4 * b + 6 * c + 4 * d + e) / 16


def _smooth_and_expand(x: Tensor) -> Tensor:
    """Twice the columns: zeros between them, then the same blur, times two."""
    x = F.pad(x, (1, 1, 0, 0), "replicate")
    before, here, after = x[..., :-2], x[..., 1:-1], x[..., 2:]
    return torch.stack([(before + 6 * here + after) / 8, (here + after) / 2], -1).flatten(-2)
