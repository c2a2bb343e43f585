"""Self-conditioning (Liu et al. 2020): clusters of the training images in place of classes, for images without labels.

Differs from the paper: clusters are those of k-means on pixels, computed once, instead of on D's features during
training.
"""

import math

import torch
from torch import Tensor, nn

from gancli.nn.layers import one_hot

ITERATIONS = 20  # of k-means
MIN_IMAGES = 100  # per cluster: D would know the images of a smaller one by heart
FAR = 1e4  # from all images: each value of a centre that is not used
NO_SHARE = 1e-12  # of a cluster that is never chosen
RANGES = {"uniform": 1.0, "unit-uniform": 3.0**0.5}  # of noise; that of N(0, 1) has none


class ClusterGenerator(nn.Module):
    """A generator whose class is a part of its noise: z, float `[B, n + K]`, and what else `conditional` takes → images,
    float `[B, C, H, W]`. `conditional` is called with the first n numbers of z, that, and int64 labels `[B]`.

    The last K numbers of z choose the label: cluster k has the probability p_k, its share of the training images. It is
    the largest of log p_k + Gumbel noise (Gumbel 1954), made of these numbers; so most points on the way from one image
    to another belong to the clusters of the two. `centres`: of the clusters, `[K, num_pixels]`, 0 until they are fitted.
    """

    centres: Tensor
    log_shares: Tensor

    def __init__(self, conditional: nn.Module, num_clusters: int, num_pixels: int, noise: str) -> None:
        super().__init__()
        self.conditional = conditional
        self.range = RANGES.get(noise)
        self.register_buffer("centres", torch.zeros(num_clusters, num_pixels))
        self.register_buffer("log_shares", torch.zeros(num_clusters))

    def choose(self, noise: Tensor) -> Tensor:
        """Return the cluster, int64 `[B]`, of noise, float `[B, K]`."""
        unit = (noise / self.range).clamp(-1, 1) if self.range else torch.erf(noise / math.sqrt(2))
        return (self.log_shares - torch.log(-torch.log((unit + 1) / 2))).argmax(1)

    def forward(self, z: Tensor, *others: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images; of the clusters `labels`, if these are given."""
        own, noise = z.tensor_split([z.shape[1] - len(self.log_shares)], 1)
        images: Tensor = self.conditional(own, *others, self.choose(noise) if labels is None else labels)
        return images

    def labels(self, images: Tensor) -> Tensor:
        """Return the nearest cluster of each image, float `[B, C, H, W]`: int64 `[B]`."""
        with torch.autocast(images.device.type, enabled=False):
            return nearest(images.flatten(1).float(), self.centres)

    def fit(self, images: Tensor) -> None:
        """Set the clusters to those of images, float `[N, C, H, W]`: always the same ones for the same images, at most one
        per 100 images; the others are never chosen. Clusters that were fitted before keep their centres."""
        points = images.flatten(1)
        if not self.centres.any():
            count = max(1, min(len(self.centres), len(points) // MIN_IMAGES))
            centres = k_means(points, count, torch.Generator().manual_seed(0))
            self.centres.fill_(FAR)[:count].copy_(centres)
        sizes = torch.bincount(nearest(points, self.centres.cpu()), minlength=len(self.centres))
        self.log_shares.copy_((sizes / len(points)).clamp_min(NO_SHARE).log())


class OneHotLabel(nn.Module):
    """`layers` of the flattened input, float `[B, …]`, joined with the one-hot label, int64 `[B]`. At first the label has
    the effect of a single number, and noise is not ignored beside it."""

    def __init__(self, layers: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.layers, self.num_classes = layers, num_classes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        found: Tensor = self.layers(torch.cat([x.flatten(1), one_hot(labels, self.num_classes, x.dtype)], 1))
        return found


def k_means(points: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return the centres of k-means (Lloyd 1982), float `[count, D]`, of points, float `[N, D]`, N ≥ count. It starts from
    random points; a centre that loses all of its points stays."""
    centres = points[torch.randperm(len(points), generator=rng)[:count]]
    for _ in range(ITERATIONS):
        labels = nearest(points, centres)
        sums = torch.zeros_like(centres).index_add_(0, labels, points)
        sizes = torch.bincount(labels, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return centres


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Return the index of the nearest centre, `[count, D]`, of each point `[N, D]`: int64 `[N]`."""
    return (points @ centres.mT - centres.square().sum(1) / 2).argmax(1)
