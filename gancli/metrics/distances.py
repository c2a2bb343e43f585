"""Distances between two sets of images by their features, float `[N, D]`: Fréchet and kernel distances, precision, recall,
density and coverage; modes and diversity. Also the Inception FID by torchmetrics, given the weights of its network."""

import hashlib
import importlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gancli.config.paths import read_file
from gancli.errors import GancliError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.metrics.metric import Metric, MetricValue, make_metric

NEIGHBOURS = 5  # Naeem et al. 2020, section 4
CHUNK = 1000
INCEPTION_CHUNK = 50
KERNEL_SUBSETS, KERNEL_SUBSET_SIZE = 100, 1000  # Bińkowski et al. 2018
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
SHA256_BEGINS = "6726825d"


def frechet(fake: Tensor, real: Tensor) -> MetricValue:
    """Return the Fréchet distance of the two sets' Gaussians (Heusel et al. 2017), in float64."""
    (fake_mean, fake_cov), (real_mean, real_cov) = ((x.mean(0), torch.cov(x.T)) for x in (fake.double(), real.double()))
    # The trace of the root of a product is the sum of the roots of its eigenvalues, which are real up to rounding.
    cross = torch.linalg.eigvals(fake_cov @ real_cov).sqrt().real.sum()
    distance = (fake_mean - real_mean).square().sum() + fake_cov.trace() + real_cov.trace() - 2 * cross
    return MetricValue(distance.item())


def kernel(fake: Tensor, real: Tensor) -> MetricValue:
    """Return the squared MMD with the cubic kernel (Bińkowski et al. 2018), ×10³: the mean over 100 subsets of at most
    1,000, and its standard error, in float64; no error if each subset is all the images. Features are divided by the RMS of
    the real ones, so that their scale does not dominate the kernel."""
    size = min(KERNEL_SUBSET_SIZE, len(fake), len(real))
    unit = real.double().square().mean().sqrt().clamp(min=1e-12)
    fake, real = fake.double() / unit, real.double() / unit
    rng = torch.Generator().manual_seed(0)
    values = []
    for _ in range(KERNEL_SUBSETS):
        some_real, some_fake = (x[torch.randperm(len(x), generator=rng)[:size]] for x in (real, fake))
        values.append(_squared_mmd(some_fake, some_real))
    found = 1e3 * torch.stack(values)
    varied = size < max(len(fake), len(real))
    return MetricValue(found.mean().item(), found.std(correction=0).item() / KERNEL_SUBSETS**0.5 if varied else None)


def _squared_mmd(fake: Tensor, real: Tensor) -> Tensor:
    """Return the unbiased estimate of the squared MMD of two sets of n points, float64 `[n, D]`."""
    n, dim = fake.shape

    def cubic(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / dim + 1) ** 3

    within = sum((products.sum() - products.trace()) for products in (cubic(fake, fake), cubic(real, real)))
    return within / (n * (n - 1)) - 2 * cubic(fake, real).mean()


class Neighbourhoods(NamedTuple):
    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(fake: Tensor, real: Tensor, k: int = NEIGHBOURS) -> Neighbourhoods:
    """Return precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    The neighbourhood of a point is the ball up to its k-th nearest neighbour in its own set. Precision: share of fakes in a
    real ball; recall: share of reals in a fake ball; density: mean number of real balls around a fake, over k; coverage:
    share of real balls that contain a fake. Raises `ValueError` for sets of k points or fewer.
    """
    if min(len(fake), len(real)) <= k:
        raise ValueError(f"neighbourhoods need more than {k} points in each set")
    fake_radii, real_radii = _radii(fake, k), _radii(real, k)
    num_balls_hit, num_precise = 0, 0
    recalled = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for start in range(0, len(fake), CHUNK):
        rows = slice(start, start + CHUNK)
        distances = torch.cdist(fake[rows], real)
        within = distances < real_radii
        num_balls_hit += int(within.sum())
        num_precise += int(within.any(1).sum())
        covered |= within.any(0)
        recalled |= (distances < fake_radii[rows, None]).any(0)
    density = num_balls_hit / (k * len(fake))
    return Neighbourhoods(
        num_precise / len(fake), recalled.double().mean().item(), density, covered.double().mean().item()
    )


def _radii(points: Tensor, k: int) -> Tensor:
    """Return each point's distance to its k-th nearest neighbour, float `[N]`."""
    radii = [torch.cdist(some, points).topk(k + 1, largest=False).values[:, -1] for some in torch.split(points, CHUNK)]
    return torch.cat(radii)


class Modes(NamedTuple):
    num_found: int
    kl: float  # nats


def modes(counts: Tensor) -> Modes:
    """Return the number of classes found, and the KL divergence Σ p·ln(p / (1/K)) of their shares from equal ones, given
    the images per class, int64 `[K]` (Srivastava et al. 2017). The divergence of n images of uniformly random classes is
    (K - 1) / 2n on average; that of a single class is ln K."""
    shares = counts.double() / counts.sum()
    kl = torch.special.xlogy(shares, shares * len(counts)).sum().item()
    return Modes(int((counts > 0).sum()), kl)


def diversity(features: Tensor, num_partners: int = 8) -> float:
    """Return the mean distance between the features of an image and those of the next few: near 0 if all are alike."""
    partners = range(1, min(num_partners + 1, len(features)))
    return torch.stack([(features - features.roll(shift, 0)).norm(dim=1).mean() for shift in partners]).mean().item()


class InceptionFid:
    """The canonical FID (Heusel et al. 2017) against one set of real images, on `device`.

    `weights`: torch-fidelity's file. It is a pickle, so only that very file, by its checksum, is opened. Raises
    `UsageError` for any other, and `GancliError` if the extra `metrics` is missing.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        try:
            checksum = hashlib.sha256(read_file(weights)).hexdigest()
        except OSError as error:
            raise GancliError(os_problem(f"--inception {weights}", "read", error)) from None
        if not checksum.startswith(SHA256_BEGINS):
            raise UsageError(
                f"--inception {weights}: not torch-fidelity's {WEIGHTS} (sha256 begins {checksum[:8]}, not {SHA256_BEGINS})"
            )
        try:
            fid = importlib.import_module("torchmetrics.image.fid")
            importlib.import_module("torch_fidelity")
        except ModuleNotFoundError as error:
            raise GancliError(f"--inception: {error.name} is missing: pip install 'gancli[metrics]'") from error
        self._device = device
        self._metric: Any = fid.FrechetInceptionDistance(
            feature=2048, reset_real_features=False, feature_extractor_weights_path=str(weights)
        ).to(device)

    def set_reference(self, real: Tensor, others: Tensor, emit: Emit) -> None:
        """Set the real images, uint8 `[N, C, H, W]`, and compute the distance of `others`; grey ones become RGB."""
        self._update(real, True, emit)
        self._floor = self._distance(others, emit)

    def measure(self, pixels: Tensor, emit: Emit) -> Metric:
        """Return the FID of images, uint8 `[N, C, H, W]`."""
        return make_metric("inception fid", self._distance(pixels, emit), len(pixels), self._floor)

    def _distance(self, pixels: Tensor, emit: Emit) -> MetricValue:
        self._update(pixels, False, emit)
        value = self._metric.compute().item()
        self._metric.reset()
        return MetricValue(value)

    def _update(self, pixels: Tensor, real: bool, emit: Emit) -> None:
        for start in range(0, len(pixels), INCEPTION_CHUNK):
            emit(Preparing("extracting Inception features", start, len(pixels), "images"))
            some = pixels[start : start + INCEPTION_CHUNK].expand(-1, 3, -1, -1)
            self._metric.update(some.to(self._device), real=real)
