"""Log-likelihood by Parzen windows, as the papers of 2014 measured it.

Breuleux et al. 2011; Goodfellow et al. 2014, section 5. A mean of Gaussians around generated pictures is a poor estimate in
hundreds of dimensions (Theis et al. 2016): read it beside the score of real pictures, never alone.
"""

import math

import torch
from torch import Tensor

from gancli.metrics.figure import Measure

SIGMAS = tuple(10 ** (-1 + step / 9) for step in range(10))  # of pixels in [0, 1]
CHUNK = 500


def parzen(samples: Tensor, validation: Tensor, test: Tensor) -> Measure:
    """Mean log-likelihood of `test` in nats, and its standard error: uint8 `[N, C, H, W]` each.

    The windows' width is the one of `SIGMAS` that `validation` finds likeliest. Pixels count as 0…255 over 255.
    """
    centres = _flat(samples)
    likelihoods = {sigma: [] for sigma in SIGMAS}  # type: dict[float, list[Tensor]]
    for some in torch.split(_flat(validation), CHUNK):
        distances = _squared_distances(some, centres)
        for sigma in SIGMAS:
            likelihoods[sigma].append(_log_likelihood(distances, sigma, centres.shape[1]))
    best = max(SIGMAS, key=lambda sigma: torch.cat(likelihoods[sigma]).mean().item())
    found = torch.cat(
        [
            _log_likelihood(_squared_distances(x, centres), best, centres.shape[1])
            for x in torch.split(_flat(test), CHUNK)
        ]
    )
    return Measure(found.mean().item(), found.std().item() / len(found) ** 0.5)


def _flat(pixels: Tensor) -> Tensor:
    return pixels.flatten(1).float() / 255


def _squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """float32 `[n, m]`: |x|² - 2xμ + |μ|²; off by less than a thousandth for pictures of a few thousand values."""
    products = torch.addmm(centres.square().sum(1), x, centres.T, alpha=-2)
    return (products + x.square().sum(1, keepdim=True)).clamp_(min=0)


def _log_likelihood(squared_distances: Tensor, sigma: float, num_values: int) -> Tensor:
    """log meanᵢ exp(−‖x−μᵢ‖²/2σ²) − D·log(σ√2π), float64 `[n]`."""
    exponents = torch.logsumexp(squared_distances * (-1 / (2 * sigma**2)), 1).double()
    normaliser = num_values * math.log(sigma * math.sqrt(2 * math.pi))
    return exponents - math.log(squared_distances.shape[1]) - normaliser
