"""Laplacian pyramids (Burt & Adelson 1983): the decomposition of images, and the generator that composes them.

Levels count from 0, the finest. `resize`: how sizes are halved and doubled, "bilinear" or, as in the paper, "binomial".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def laplacian(images: Tensor, num_levels: int, resize: str, perturb: float = 0.0) -> list[tuple[Tensor, Tensor]]:
    """Decompose images I_0, float `[B, C, size, size]`. Returns, per level, finest first: the residual h_k and the
    low-pass image l_k, whose sum is I_k, half the size of I_{k-1}. In the coarsest level l_k is 0.

    `perturb`: standard deviation of noise that is added to I_{k+1} before l_k is computed from it; h_k compensates for
    it.
    """
    levels = []
    for _ in range(num_levels - 1):
        smaller = halve(images, resize)
        perturbed = smaller + perturb * torch.randn_like(smaller) if perturb else smaller
        low_pass = double(perturbed, resize)
        levels.append((images - low_pass, low_pass))
        images = smaller
    return [*levels, (images, torch.zeros_like(images))]


class Chain(nn.Module):
    """The generators of all levels, applied from coarse to fine: the latents of levels 0 (the finest) to K (and int64
    labels `[B]`) → images, float `[B, C, size, size]` (Denton et al. 2015, section 2.3: Ĩ_k = u(Ĩ_{k+1}) + G_k(z_k,
    u(Ĩ_{k+1})))."""

    def __init__(self, members: list[nn.Module], channels: int, coarsest: int, resize: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shape = (channels, coarsest, coarsest)
        self.resize = resize

    def levels(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return the image of each level, coarse to fine."""
        latents, labels = arguments[: len(self.members)], arguments[len(self.members) :]
        images: list[Tensor] = []
        # len() of a tensor would become a constant in an export.
        low_pass = latents[-1].new_zeros(latents[-1].shape[0], *self.shape)
        for generator, z in reversed(list(zip(self.members, latents, strict=True))):
            if images:
                low_pass = double(images[-1], self.resize)
            images.append(low_pass + generator(z, low_pass, labels=labels[0] if labels else None))
        return tuple(images)

    def forward(self, *arguments: Tensor) -> Tensor:
        return self.levels(*arguments)[-1]


def halve(x: Tensor, resize: str) -> Tensor:
    """Halve the size, d(x): float `[B, C, H, W]` → `[B, C, H/2, W/2]`. Results are weighted means, so the range is
    kept."""
    if resize == "bilinear":
        return F.avg_pool2d(x, 2)  # bilinear interpolation midway between four pixels
    return _blur_and_decimate(_blur_and_decimate(x).mT).mT


def double(x: Tensor, resize: str) -> Tensor:
    """Double the size, u(x): float `[B, C, h, w]` → `[B, C, 2h, 2w]`. Results are weighted means, so the range is kept."""
    if resize == "bilinear":
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return _smooth_and_expand(_smooth_and_expand(x).mT).mT


def _blur_and_decimate(x: Tensor) -> Tensor:
    """Blur rows by [1, 4, 6, 4, 1] / 16 with repeated edges, and return every other column (Burt & Adelson 1983,
    REDUCE)."""
    x = F.pad(x, (2, 2, 0, 0), "replicate")
    a, b, c, d, e = (x[..., start : x.shape[-1] - 4 + start : 2] for start in range(5))
    return (a + 4 * b + 6 * c + 4 * d + e) / 16


def _smooth_and_expand(x: Tensor) -> Tensor:
    """Insert a column of zeros after each column, blur as above, and multiply by two (Burt & Adelson 1983, EXPAND)."""
    x = F.pad(x, (1, 1, 0, 0), "replicate")
    before, here, after = x[..., :-2], x[..., 1:-1], x[..., 2:]
    return torch.stack([(before + 6 * here + after) / 8, (here + after) / 2], -1).flatten(-2)
