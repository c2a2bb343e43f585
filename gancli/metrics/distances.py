"""How far one set of features lies from another: torchmetrics' Fréchet and kernel distances, and precision, recall, density
and coverage, which it does not have. Features are float `[N, D]`."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gancli.errors import GancliError
from gancli.metrics.figure import Measure

NEIGHBOURS = 5  # Naeem et al. 2020, section 4
CHUNK = 1000
KERNEL_SUBSETS, KERNEL_SUBSET_SIZE = 100, 1000  # Bińkowski et al. 2018


class _Given(nn.Module):
    """Stands where torchmetrics wants a network: the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet(fake: Tensor, real: Tensor) -> Measure:
    """Fréchet distance of the two sets' Gaussians (Heusel et al. 2017), in float64. Raises `GancliError` where the extra
    `metrics` is missing."""
    metric = torchmetrics("fid").FrechetInceptionDistance(feature=_Given(real.shape[1])).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return Measure(metric.compute().item())


def kernel(fake: Tensor, real: Tensor) -> Measure:
    """Squared MMD with the cubic kernel (Bińkowski et al. 2018), ×10³: the mean over 100 subsets of at most 1,000, and its
    standard error. Features are taken in units of the real ones' RMS: the kernel would else be all their magnitude.
    Raises `GancliError` where the extra `metrics` is missing."""
    size = min(KERNEL_SUBSET_SIZE, len(fake), len(real))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save all")
        torch.manual_seed(0)
        metric = torchmetrics("kid").KernelInceptionDistance(
            feature=_Given(real.shape[1]), subsets=KERNEL_SUBSETS, subset_size=size
        )
        unit = real.double().square().mean().sqrt().clamp(min=1e-12)
        metric.update(real.double() / unit, real=True)
        metric.update(fake.double() / unit, real=False)
        mean, deviation = metric.compute()
    return Measure(1e3 * mean.item(), 1e3 * deviation.item() / KERNEL_SUBSETS**0.5)


def torchmetrics(module: str) -> Any:
    """`torchmetrics.image.MODULE`. Raises `GancliError` that names the extra where it is not installed."""
    import importlib

    try:
        return importlib.import_module(f"torchmetrics.image.{module}")
    except ModuleNotFoundError as error:
        raise GancliError(
            f"{error.name} is missing, which Fréchet and kernel distances need: pip install 'gancli[metrics]' "
            "(or leave them out with --metrics)"
        ) from error


class Neighbourhoods(NamedTuple):
    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(fake: Tensor, real: Tensor, k: int = NEIGHBOURS) -> Neighbourhoods:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A set's neighbourhoods are balls that reach from each of its points to its k-th nearest other. Precision: share of
    fakes in a real ball; recall: of reals in a fake ball; density: real balls a fake lies in, over k; coverage: share of
    real balls that hold a fake. Raises `ValueError` for sets of k or fewer.
    """
    if min(len(fake), len(real)) <= k:
        raise ValueError(f"neighbourhoods need more than {k} points in each set")
    fake_reach, real_reach = _reach(fake, k), _reach(real, k)
    num_balls_hit, num_precise = 0, 0
    recalled = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for start in range(0, len(fake), CHUNK):
        rows = slice(start, start + CHUNK)
        distances = torch.cdist(fake[rows], real)
        within = distances < real_reach
        num_balls_hit += int(within.sum())
        num_precise += int(within.any(1).sum())
        covered |= within.any(0)
        recalled |= (distances < fake_reach[rows, None]).any(0)
    density = num_balls_hit / (k * len(fake))
    return Neighbourhoods(
        num_precise / len(fake), recalled.double().mean().item(), density, covered.double().mean().item()
    )


def _reach(points: Tensor, k: int) -> Tensor:
    """Each point's distance to its k-th nearest other, float `[N]`."""
    reach = [torch.cdist(some, points).topk(k + 1, largest=False).values[:, -1] for some in torch.split(points, CHUNK)]
    return torch.cat(reach)


class Modes(NamedTuple):
    num_found: int
    kl: float  # nats


def modes(counts: Tensor) -> Modes:
    """How many classes were found, and how unevenly: int64 `[classes]`, how many pictures are of each, to Σ p·ln(p / (1/K))
    over the K classes (Srivastava et al. 2017). 0 is even and ln K all in one; n pictures drawn evenly give
    (K - 1) / 2n."""
    shares = counts.double() / counts.sum()
    kl = torch.special.xlogy(shares, shares * len(counts)).sum().item()
    return Modes(int((counts > 0).sum()), kl)


def spread(features: Tensor, num_partners: int = 8) -> float:
    """Mean distance between the features of two pictures, each with its next few: near 0 where all pictures are one."""
    partners = range(1, min(num_partners + 1, len(features)))
    return torch.stack([(features - features.roll(shift, 0)).norm(dim=1).mean() for shift in partners]).mean().item()
