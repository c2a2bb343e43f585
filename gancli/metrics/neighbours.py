"""The training pictures nearest to given ones, pixel by pixel: has a model memorised them?"""

from typing import NamedTuple

import torch
from torch import Tensor

ROWS, COLUMNS = 256, 8192


class Nearest(NamedTuple):
    """`distances`: RMS over the pixels, of 0…255, float64 `[N, k]`, nearest first; `indices`: int64 `[N, k]`."""

    distances: Tensor
    indices: Tensor


def nearest(pixels: Tensor, training: Tensor, k: int) -> Nearest:
    """The `k` nearest of `training` to each of `pixels`: uint8 `[N, C, H, W]` and `[M, C, H, W]`, M ≥ k.

    Exact: the nearest by a product of matrices are measured again, difference by difference.
    """
    spare = min(k + 8, len(training))
    best = torch.full((len(pixels), spare), torch.inf)
    where = torch.zeros(len(pixels), spare, dtype=torch.int64)
    for start in range(0, len(training), COLUMNS):
        some = training[start : start + COLUMNS].flatten(1).float()
        for top in range(0, len(pixels), ROWS):
            rows = slice(top, top + ROWS)
            x = pixels[rows].flatten(1).float()
            squares = some.square().sum(1) - 2 * x @ some.T + x.square().sum(1, keepdim=True)
            indices = torch.arange(start, start + len(some)).expand(len(x), -1)
            joined = torch.cat([best[rows], squares], 1)
            best[rows], chosen = joined.topk(spare, largest=False)
            where[rows] = torch.cat([where[rows], indices], 1).gather(1, chosen)
    exact = (training[where].double() - pixels[:, None].double()).flatten(2).square().mean(2).sqrt()
    distances, order = exact.topk(k, largest=False)
    return Nearest(distances, where.gather(1, order))
