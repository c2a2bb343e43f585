"""A Laplacian pyramid of pictures (Burt & Adelson 1983): taken apart, and put together from residuals.

Levels count from 0, the finest. `resize` says how sizes are halved and doubled: "bilinear", or "binomial" as in the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def laplacian(pictures: Tensor, num_levels: int, resize: str, perturb: float = 0.0) -> list[tuple[Tensor, Tensor]]:
    """Pictures I_0, float `[B, C, size, size]` → per level, finest first: the residual h_k and the `low_pass` l_k, which add
    up to I_k, of half the size of I_{k-1}. In the coarsest level l_k is all zeros.

    `perturb`: deviation of the noise that goes into I_{k+1} before l_k is made of it; h_k makes up for it.
    """
    levels = []
    for _ in range(num_levels - 1):
        smaller = halve(pictures, resize)
        disturbed = smaller + perturb * torch.randn_like(smaller) if perturb else smaller
        low_pass = double(disturbed, resize)
        levels.append((pictures - low_pass, low_pass))
        pictures = smaller
    return [*levels, (pictures, torch.zeros_like(pictures))]


class Chain(nn.Module):
    """All levels, from coarse to fine: latents of levels 0 (the finest) to K (and int64 labels `[B]`) → pictures, float
    `[B, C, size, size]` (Denton et al. 2015, section 2.3: Ĩ_k = u(Ĩ_{k+1}) + G_k(z_k, u(Ĩ_{k+1})))."""

    def __init__(self, members: list[nn.Module], channels: int, coarsest: int, resize: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shape = (channels, coarsest, coarsest)
        self.resize = resize

    def levels(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The picture of each level, coarse to fine."""
        latents, labels = arguments[: len(self.members)], arguments[len(self.members) :]
        pictures: list[Tensor] = []
        low_pass = latents[-1].new_zeros(latents[-1].shape[0], *self.shape)  # not len: an export keeps its size open
        for generator, z in reversed(list(zip(self.members, latents, strict=True))):
            if pictures:
                low_pass = double(pictures[-1], self.resize)
            pictures.append(low_pass + generator(z, low_pass, labels[0] if labels else None))
        return tuple(pictures)

    def forward(self, *arguments: Tensor) -> Tensor:
        return self.levels(*arguments)[-1]


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
