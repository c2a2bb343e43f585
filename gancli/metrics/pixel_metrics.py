"""Metrics on pixels: log-likelihood by Parzen windows, and the nearest training images.

Parzen windows: Breuleux et al. 2011; Goodfellow et al. 2014, section 5. A mixture of Gaussians around generated images is a
poor estimate in hundreds of dimensions (Theis et al. 2016): compare it with the value of real images only.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.metrics.metric import MetricValue, mean

SIGMAS = tuple(10 ** (-1 + step / 9) for step in range(10))  # of pixels in [0, 1]
CHUNK = 500
ROWS, COLUMNS = 256, 8192  # of a block of distances


def parzen(samples: Tensor, validation: Tensor, test: Tensor) -> MetricValue:
    """Return the mean log-likelihood of `test` in nats, and its standard error: uint8 `[N, C, H, W]` each, as pixels in
    [0, 1]. The width of the windows is the one of `SIGMAS` that makes `validation` most likely."""
    centres = _flat(samples)
    likelihoods: dict[float, list[Tensor]] = {sigma: [] for sigma in SIGMAS}
    for some in torch.split(_flat(validation), CHUNK):
        distances = _squared_distances(some, centres)
        for sigma in SIGMAS:
            likelihoods[sigma].append(_log_likelihood(distances, sigma, centres.shape[1]))
    best = max(SIGMAS, key=lambda sigma: torch.cat(likelihoods[sigma]).mean().item())
    chunks = torch.split(_flat(test), CHUNK)
    return mean(torch.cat([_log_likelihood(_squared_distances(x, centres), best, centres.shape[1]) for x in chunks]))


def _flat(pixels: Tensor) -> Tensor:
    return pixels.flatten(1).float() / 255


def _squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """|x|² - 2xμ + |μ|², float32 `[n, m]`; the error is below a thousandth for images of a few thousand values."""
    products = torch.addmm(centres.square().sum(1), x, centres.T, alpha=-2)
    return (products + x.square().sum(1, keepdim=True)).clamp_(min=0)


def _log_likelihood(squared_distances: Tensor, sigma: float, num_values: int) -> Tensor:
    """log meanᵢ exp(−‖x−μᵢ‖²/2σ²) − D·log(σ√2π), float64 `[n]`."""
    exponents = torch.logsumexp(squared_distances * (-1 / (2 * sigma**2)), 1).double()
    normaliser = num_values * math.log(sigma * math.sqrt(2 * math.pi))
    return exponents - math.log(squared_distances.shape[1]) - normaliser


class Nearest(NamedTuple):
    """`distances`: RMS over the pixels, of 0…255, float64 `[N, k]`, nearest first; `indices`: int64 `[N, k]`."""

    distances: Tensor
    indices: Tensor


def nearest(pixels: Tensor, training: Tensor, k: int) -> Nearest:
    """Return the `k` nearest of `training` to each of `pixels`: uint8 `[N, C, H, W]` and `[M, C, H, W]`, M ≥ k.

    Exact: the nearest by a matrix product are measured again, difference by difference.
    """
    num_candidates = min(k + 8, len(training))
    best = torch.full((len(pixels), num_candidates), torch.inf)
    candidates = torch.zeros(len(pixels), num_candidates, dtype=torch.int64)
    for start in range(0, len(training), COLUMNS):
        some = training[start : start + COLUMNS].flatten(1).float()
        for top in range(0, len(pixels), ROWS):
            rows = slice(top, top + ROWS)
            x = pixels[rows].flatten(1).float()
            squares = some.square().sum(1) - 2 * x @ some.T + x.square().sum(1, keepdim=True)
            indices = torch.arange(start, start + len(some)).expand(len(x), -1)
            best[rows], chosen = torch.cat([best[rows], squares], 1).topk(num_candidates, largest=False)
            candidates[rows] = torch.cat([candidates[rows], indices], 1).gather(1, chosen)
    exact = (training[candidates].double() - pixels[:, None].double()).flatten(2).square().mean(2).sqrt()
    distances, order = exact.topk(k, largest=False)
    return Nearest(distances, candidates.gather(1, order))
