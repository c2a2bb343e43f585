"""Self-conditioning (Liu et al. 2020): clusters of the training images in place of classes, for images without labels.

Differs from the paper: clusters are those of k-means on pixels, computed once, instead of on D's features during
training.
"""

import math

import torch
from torch import Tensor, nn

MAX_FITTED, ITERATIONS = 10_000, 20  # images, and rounds of k-means
MIN_IMAGES = 100  # per cluster: D would know the images of a smaller one by heart
RANGES = {"uniform": 1.0, "unit-uniform": 3.0**0.5}  # of noise; that of N(0, 1) has none


def num_clusters(requested: int, num_images: int) -> int:
    """Return how many clusters so many images are split into: `requested`, or as many as have 100 images each on average; 0
    if that is no more than one."""
    count = min(requested, num_images // MIN_IMAGES)
    return count if count > 1 else 0


class Clusters(nn.Module):
    """Images, float `[B, C, H, W]` → the nearest cluster of each, int64 `[B]`."""

    centres: Tensor

    def __init__(self, num_clusters: int, num_pixels: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(num_clusters, num_pixels))

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return nearest(images.flatten(1).float(), self.centres)


class ClusterGenerator(nn.Module):
    """A generator whose class is a part of its noise: z, float `[B, n + K]`, and what else `conditional` takes → images,
    float `[B, C, H, W]`. `conditional` is called with the first n numbers of z, that, and int64 labels `[B]`.

    The last K numbers of z choose the label: cluster k has the probability p_k, its share of the training images. It is
    the largest of log p_k + Gumbel noise (Gumbel 1954), made of these numbers; so most points on the way from one image
    to another belong to the clusters of the two.
    """

    log_shares: Tensor

    def __init__(self, conditional: nn.Module, num_clusters: int, noise: str) -> None:
        super().__init__()
        self.conditional = conditional
        self.range = RANGES.get(noise)
        self.register_buffer("log_shares", torch.zeros(num_clusters))

    def choose(self, noise: Tensor) -> Tensor:
        """Return the cluster, int64 `[B]`, of noise, float `[B, K]`."""
        unit = noise / self.range if self.range else torch.erf(noise / math.sqrt(2))
        return (self.log_shares - torch.log(-torch.log((unit + 1) / 2))).argmax(1)

    def forward(self, z: Tensor, *others: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images; of the clusters `labels`, if these are given."""
        own, noise = z.tensor_split([z.shape[1] - len(self.log_shares)], 1)
        images: Tensor = self.conditional(own, *others, self.choose(noise) if labels is None else labels)
        return images


class OneHotLabel(nn.Module):
    """`layers` of the flattened input, float `[B, …]`, joined with the one-hot label, int64 `[B]`. At first the label has
    the effect of a single number, and noise is not ignored beside it."""

    def __init__(self, layers: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.layers, self.num_classes = layers, num_classes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        # F.one_hot reads the largest label on the host, which cannot be captured.
        one_hot = (labels[:, None] == torch.arange(self.num_classes, device=labels.device)).to(x.dtype)
        found: Tensor = self.layers(torch.cat([x.flatten(1), one_hot], 1))
        return found


def images_to_fit(images: Tensor) -> Tensor:
    """Return at most 10,000 of the images, uint8 `[N, C, H, W]`, always the same ones, as float in [-1, 1]."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[:MAX_FITTED].sort().values].float() / 127.5 - 1


def fit_clusters(generator: ClusterGenerator, clusters: Clusters, images: Tensor) -> None:
    """Set the clusters to those of images, float `[N, C, H, W]`: always the same ones for the same images."""
    rng = torch.Generator().manual_seed(0)
    centres, shares = k_means(images.flatten(1), len(clusters.centres), rng)
    clusters.centres.copy_(centres)
    generator.log_shares.copy_(shares.clamp_min(1e-12).log())


def k_means(points: Tensor, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the centres of k-means (Lloyd 1982), float `[count, D]`, of points, float `[N, D]`, N ≥ count, and the share of
    the points that belong to each: float `[count]`. It starts from random points; a centre that loses all of its points
    stays."""
    centres = points[torch.randperm(len(points), generator=rng)[:count]]
    for _ in range(ITERATIONS):
        members = _members(points, centres)
        sizes = members.sum(0)
        centres = torch.where(sizes[:, None] > 0, members.mT @ points / sizes[:, None].clamp_min(1), centres)
    return centres, _members(points, centres).mean(0)


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Return the index of the nearest centre, `[count, D]`, of each point `[N, D]`: int64 `[N]`."""
    return (points @ centres.mT - centres.square().sum(1) / 2).argmax(1)


def _members(points: Tensor, centres: Tensor) -> Tensor:
    """Return which points belong to which centre: `[N, count]`, 1 or 0."""
    return torch.nn.functional.one_hot(nearest(points, centres), len(centres)).to(points.dtype)
