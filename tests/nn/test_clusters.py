"""Clusters in place of classes: k-means, and generators whose noise chooses a cluster."""

import pytest
import torch
from torch import Tensor, nn

from gancli.nn.clusters import ClusterGenerator, OneHotLabel, k_means, nearest
from gancli.sampling.generate import slerp
from gancli.variant import Noise, sample_noise

SHARES = torch.tensor([0.5, 0.3, 0.15, 0.05])


class Labels(nn.Module):
    """A "generator" that returns its labels."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return labels.float() + 0 * z[:, 0]


def mixture(noise: Noise) -> ClusterGenerator:
    generator = ClusterGenerator(Labels(), len(SHARES), 16, noise)
    generator.log_shares.copy_(SHARES.log())
    return generator


@pytest.mark.parametrize("kind", ["normal", "uniform", "unit-uniform"])
def test_noise_chooses_each_cluster_as_often_as_its_share(kind: Noise) -> None:
    count, rng = 100_000, torch.Generator().manual_seed(1)
    noise = sample_noise(kind, (count, len(SHARES)), torch.device("cpu"), rng)
    found = mixture(kind)(torch.cat([torch.zeros(count, 1), noise], 1))
    shares = torch.bincount(found.long(), minlength=len(SHARES)) / count
    assert (shares - SHARES).abs().max() < 4 * (0.25 / count) ** 0.5


def test_extreme_noise_chooses_a_cluster_too() -> None:
    noise = torch.tensor([[9.0, 0, 0, 0], [-9.0, -9, -9, 1], [0, 0, 9, -9]])
    assert mixture("normal").choose(noise).tolist() == [0, 3, 2]


@pytest.mark.parametrize("kind", ["normal", "uniform", "unit-uniform"])
def test_the_way_between_two_images_stays_in_few_clusters(kind: Noise) -> None:
    """Also where a great arc leaves the range of uniform noise."""
    rng, generator = torch.Generator().manual_seed(2), ClusterGenerator(Labels(), 50, 16, kind)
    visited = []
    for _ in range(100):
        a, b = (sample_noise(kind, (1, 50), torch.device("cpu"), rng) for _ in range(2))
        way = torch.cat([slerp(a, b, share) for share in torch.linspace(0, 1, 50).tolist()])
        visited.append(len(set(generator.choose(way).tolist())))
    assert sum(visited) / len(visited) < 4.5


def test_k_means_finds_groups_and_their_shares() -> None:
    rng = torch.Generator().manual_seed(0)
    middles = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    groups = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    points = middles[groups] + torch.randn(100, 2, generator=rng) / 4
    # One point of each group first, so that the start is good: a bad one may leave two groups together.
    points, groups = (
        points[[0, 60, 90, *range(1, 60), *range(61, 90), *range(91, 100)]],
        torch.tensor([0, 1, 2, *[0] * 59, *[1] * 29, *[2] * 9]),
    )
    found = [k_means(points, 3, torch.Generator().manual_seed(seed)) for seed in range(20)]
    centres = min(found, key=lambda each: error(points, each))
    order = nearest(middles, centres)
    for group in range(3):
        mean = points[groups == group].double().mean(0)
        torch.testing.assert_close(centres[order[group]].double(), mean, rtol=0, atol=1e-5)


def error(points: Tensor, centres: Tensor) -> float:
    return float((points - centres[nearest(points, centres)]).square().sum())


def test_a_centre_without_points_stays_finite() -> None:
    assert torch.isfinite(k_means(torch.ones(8, 2), 4, torch.Generator().manual_seed(0))).all()


def pixels(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("images", "used"), [(1000, 5), (300, 3), (199, 1), (10, 1)])
def test_few_images_use_fewer_clusters(images: int, used: int) -> None:
    generator = ClusterGenerator(Labels(), 5, 16, "normal")
    generator.fit(pixels(images))
    shares = torch.bincount(generator.labels(pixels(images)), minlength=5) / images
    assert (shares > 0).sum() == used
    torch.testing.assert_close(generator.log_shares.exp(), shares, rtol=1e-5, atol=1e-9)
    chosen = generator(torch.randn(5000, 1 + 5, generator=torch.Generator().manual_seed(1)))
    assert len(chosen.unique()) == used


def test_the_same_images_give_the_same_clusters_whatever_the_seed() -> None:
    fitted = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        generator = ClusterGenerator(Labels(), 3, 16, "normal")
        generator.fit(pixels(300))
        fitted.append((generator.centres, generator.log_shares))
    assert all(torch.equal(a, b) for a, b in zip(*fitted, strict=True))


def test_clusters_of_another_model_stay_and_have_the_shares_of_the_new_images() -> None:
    generator = ClusterGenerator(Labels(), 3, 16, "normal")
    generator.fit(pixels(300))
    before = generator.centres.clone()
    others = pixels(50, seed=1) + 0.3
    generator.fit(others)
    assert torch.equal(generator.centres, before)
    shares = torch.bincount(generator.labels(others), minlength=3) / 50
    torch.testing.assert_close(generator.log_shares.exp(), shares, rtol=1e-5, atol=1e-9)


def test_a_one_hot_label_joins_the_input() -> None:
    join = OneHotLabel(nn.Identity(), 3)
    found = join(torch.tensor([[[[5.0]]], [[[6.0]]]]), torch.tensor([2, 0]))
    assert found.tolist() == [[5, 0, 0, 1], [6, 1, 0, 0]]


def test_given_labels_take_the_place_of_the_chosen_ones() -> None:
    assert mixture("normal")(torch.randn(3, 5), labels=torch.tensor([3, 1, 2])).tolist() == [3, 1, 2]
