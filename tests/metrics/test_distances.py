"""Distances between sets of features, against references written out in float64."""

import pytest
import torch
from torch import Tensor

from gancli.metrics.distances import diversity, frechet, kernel, neighbourhoods


def features(seed: int, count: int, shift: float = 0.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    mix = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    return torch.randn(count, 6, generator=rng, dtype=torch.float64) @ mix + shift


def root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    product: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return product


def test_frechet_is_the_distance_of_two_gaussians() -> None:
    fake, real = features(0, 400), features(1, 300, 0.5)
    (m1, c1), (m2, c2) = ((x.mean(0), torch.cov(x.T)) for x in (fake, real))
    between = root(root(c1) @ c2 @ root(c1)).trace()
    expected = (m1 - m2).square().sum() + c1.trace() + c2.trace() - 2 * between
    assert frechet(fake.float(), real.float()).value == pytest.approx(expected.item(), rel=1e-5)


def test_kernel_distance_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    fake, real = features(0, 12), features(1, 12, 1.0)
    unit = real.square().mean().sqrt()

    def k(a: Tensor, b: Tensor) -> float:
        return float((torch.dot(a, b) / (6 * unit**2) + 1) ** 3)

    n = len(fake)
    inside = sum(k(x[i], x[j]) for x in (fake, real) for i in range(n) for j in range(n) if i != j)
    between = sum(k(a, b) for a in fake for b in real)
    expected = 1e3 * (inside / (n * (n - 1)) - 2 * between / n**2)
    found = kernel(fake, real)
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.error is None, "each subset is the whole set"


@pytest.mark.parametrize("k", [1, 3])
def test_neighbourhoods_are_their_definitions(k: int) -> None:
    fake, real = features(0, 40, 0.3).tolist(), features(1, 30).tolist()

    def far(a: list[float], b: list[float]) -> float:
        return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)

    def reach(points: list[list[float]]) -> list[float]:
        return [sorted(far(a, b) for j, b in enumerate(points) if j != i)[k - 1] for i, a in enumerate(points)]

    fake_reach, real_reach = reach(fake), reach(real)
    balls = [[far(f, r) < ball for r, ball in zip(real, real_reach, strict=True)] for f in fake]
    found = neighbourhoods(torch.tensor(fake, dtype=torch.float64), torch.tensor(real, dtype=torch.float64), k)
    assert found.precision == sum(map(any, balls)) / 40
    assert found.density == pytest.approx(sum(map(sum, balls)) / (k * 40))
    assert found.coverage == pytest.approx(sum(any(column) for column in zip(*balls, strict=True)) / 30)
    recalled = [any(far(r, f) < ball for f, ball in zip(fake, fake_reach, strict=True)) for r in real]
    assert found.recall == pytest.approx(sum(recalled) / 30)


def test_images_all_alike_have_precision_but_neither_coverage_nor_diversity() -> None:
    real = features(1, 200)
    found = neighbourhoods(real[:1].repeat(200, 1) + 1e-6 * features(2, 200), real)
    assert found.precision == 1
    assert found.coverage < 0.1
    assert found.recall < 0.1
    assert diversity(real[:1].repeat(50, 1)) == pytest.approx(0, abs=1e-9)
    assert diversity(real) > 1


def test_frechet_and_kernel_distances_are_those_of_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Features(torch.nn.Module):
        num_features = 6

        def forward(self, x: Tensor) -> Tensor:
            return x

    fake, real = features(0, 700), features(1, 900, 0.2)
    fid = FrechetInceptionDistance(feature=Features()).set_dtype(torch.float64)
    unit = real.square().mean().sqrt()
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="will save all extracted features"):
        kid = KernelInceptionDistance(feature=Features(), subsets=100, subset_size=700)
    for metric, scale in ((fid, 1.0), (kid, unit)):
        metric.update(real / scale, real=True)
        metric.update(fake / scale, real=False)
    mean, deviation = kid.compute()
    assert frechet(fake, real).value == pytest.approx(fid.compute().item(), rel=1e-6)
    assert kernel(fake, real).value == pytest.approx(1e3 * mean.item(), rel=1e-6)
    assert kernel(fake, real).error == pytest.approx(100 * deviation.item(), rel=1e-6)


def test_frechet_of_features_that_do_not_vary_is_finite() -> None:
    assert frechet(torch.ones(50, 4), torch.zeros(50, 4)).value == pytest.approx(4)
