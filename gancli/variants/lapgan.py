"""The training step of the LAPGAN. Its options, and a description, are in `lapgan_config`; its networks in
`nn/pyramid_networks`."""

import dataclasses
from collections.abc import Iterator, Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.images import to_float
from gancli.nn.adversarial import LOSSES
from gancli.nn.clusters import ClusterGenerator
from gancli.nn.penalties import Penalties, penalty_subset
from gancli.nn.pyramid import Chain, halve, laplacian
from gancli.nn.pyramid_networks import (
    CoarseGenerator,
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    Discriminator,
    Generator,
)
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, learning_rate_schedule
from gancli.variants.lapgan_config import Config

SMALLEST = (4, 7)  # pixels, or doublings of these
UPDATES_PER_EPOCH = 500  # the paper's schedules count epochs, of 50,000 images in batches of 100


class Lapgan(Variant):
    """Gk and Dk for each level k of a Laplacian pyramid; level 0 is the finest.

    G's latents are a plane of noise, float `[B, 1, h, w]`, for each finer level, and z, float `[B, latent_dim]`, for the
    coarsest, with one number more for each of its clusters.
    """

    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        if config.conditional and not images.class_names:
            raise UsageError(
                "--conditional: the images of --dataset have no labels; give a data set that has, or leave it out"
            )
        self.sizes = level_sizes(images.size, config.coarsest)
        if config.coarse_layers == "convolutional" and self.sizes[-1] < 2 * min(SMALLEST):
            raise UsageError(
                "--coarse-layers convolutional (also in --preset colour): must have 8 pixels or more in the coarsest level, "
                f"which has {self.sizes[-1]}; raise --image-size or --coarsest, or use dense"
            )
        self.num_clusters = 0 if config.conditional else config.self_conditioned
        *finer, coarsest = self.sizes
        generators = [self._build_generator(size) for size in self.sizes]
        self.chain = Chain(generators, images.channels, coarsest, config.resize)
        self.generator = self.chain
        self.networks = {f"G{k}": generator for k, generator in enumerate(generators)} | {
            f"D{k}": self._build_discriminator(size) for k, size in enumerate(self.sizes)
        }
        self.clusters = generators[-1] if isinstance(generators[-1], ClusterGenerator) else None
        self.latent_shapes = (*((1, size, size) for size in finer), (config.latent_dim + self.num_clusters,))
        self.noise = config.noise
        self.loss = LOSSES[config.loss]

    @property
    def conditional(self) -> bool:
        return self.config.conditional

    @property
    def num_levels(self) -> int:
        return len(self.sizes)

    def num_classes(self, size: int) -> int:
        """Return the number of classes, or of clusters, that the level with images of this size is conditioned on."""
        if self.conditional:
            return self.images.num_classes
        return self.num_clusters if size == self.sizes[-1] else 0

    def _build_generator(self, size: int) -> nn.Module:
        config, common = self.config, (self.images.channels, size, self.num_classes(size))
        batch_norm, bounded = config.norm == "batch", config.bounded
        if size != self.sizes[-1]:
            return Generator(
                *common, width=config.width, layers=config.layers, upsampling=config.upsampling, batch_norm=batch_norm,
                bounded=bounded,
            )  # fmt: skip
        coarse: nn.Module
        if config.coarse_layers == "convolutional":
            coarse = ConvolutionalGenerator(
                ImageSpec(self.images.channels, size),
                self.num_classes(size),
                latent_dim=config.latent_dim,
                width=config.width,
            )
        else:
            coarse = CoarseGenerator(
                *common, latent_dim=config.latent_dim, width=config.coarse_width, batch_norm=batch_norm, bounded=bounded
            )
        if not self.num_clusters:
            return coarse
        return ClusterGenerator(coarse, self.num_clusters, self.images.channels * size**2, config.noise)

    def _build_discriminator(self, size: int) -> nn.Module:
        config, coarsest, spectral = self.config, size == self.sizes[-1], self.config.d_norm == "spectral"
        channels, num_classes = self.images.channels, self.num_classes(size)
        if coarsest and config.coarse_layers == "convolutional":
            return ConvolutionalDiscriminator(
                ImageSpec(channels, size), num_classes, width=config.width, spectral=spectral
            )
        return Discriminator(
            channels, size, num_classes, width=config.coarse_d_width if coarsest else config.width,
            layers="coarse" if coarsest else config.layers, dropout=config.dropout, enhanced=config.d_sees == "enhanced",
            spectral=spectral,
        )  # fmt: skip

    @classmethod
    def resolve_defaults(cls, config: Config, steps: int, num_images: int) -> Config:  # noqa: ARG003
        """Return `config` without clusters if there are labels."""
        return dataclasses.replace(config, self_conditioned=0) if config.conditional else config

    def fit_to_images(self, images: Tensor) -> None:
        if self.clusters is not None:
            coarse = to_float(images)
            for _ in range(self.num_levels - 1):
                coarse = halve(coarse, self.config.resize)
            self.clusters.fit(coarse)

    def level_images(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return self.chain.levels(*arguments)

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of Algorithm 1 of the paper for every level. Levels share no gradients and no images."""
        labels = batch.condition if self.conditional else None
        latents = self.sample_latents(len(batch.images), batch.images.device)
        num_parts = self.num_parts(self.config, len(batch.images))
        label_parts = [None] * num_parts if labels is None else labels.tensor_split(num_parts)
        for k, level in enumerate(laplacian(batch.images, self.num_levels, self.config.resize, self.config.perturb)):
            parts = zip(*(whole.tensor_split(num_parts) for whole in (latents[k], *level)), label_parts, strict=True)
            for part in islice(parts, self.num_updates(k)):
                yield from self.level_step(k, *part)

    @classmethod
    def num_parts(cls, config: Config, batch_size: int) -> int:
        return max(1, min(config.coarse_updates, batch_size // 2))  # batch norm needs two images

    def num_updates(self, k: int) -> int:
        """Return the number of updates of level k in a step."""
        return 1 + (self.config.coarse_updates - 1) * k // (self.num_levels - 1)

    def level_step(
        self, k: int, z: Tensor, residual: Tensor, low_pass: Tensor, labels: Tensor | None
    ) -> Iterator[Update]:
        """Yield an update of D and one of G of level k, both conditioned on l_k of the real images. h_k is the
        `residual`."""
        discriminator = self.networks[f"D{k}"]
        labels = self.level_labels(k, residual, labels)
        fake = self.networks[f"G{k}"](z, low_pass, labels=labels)
        both = torch.cat([residual, fake.detach()])
        both_labels = None if labels is None else labels.repeat(2)
        real_logits, fake_logits = discriminator(both, low_pass.repeat(2, 1, 1, 1), both_labels).chunk(2)
        d_loss = self.loss.discriminator(real_logits, fake_logits)
        penalty = self.penalty(k, residual, fake, low_pass, labels)
        yield Update(f"D{k}", d_loss + penalty, {f"{self.loss.term}_{k}": d_loss})

        fake_logits = discriminator(fake, low_pass, labels)
        g_loss = self.loss.generator(fake_logits, lambda: discriminator(residual, low_pass, labels))
        yield Update(f"G{k}", g_loss, {f"g_loss_{k}": g_loss})

    def penalty(
        self, k: int, residual: Tensor, fake: Tensor, low_pass: Tensor, labels: Tensor | None
    ) -> Tensor | float:
        """Return the weighted penalties on the gradient of level k's D with respect to h_k, which is that with respect
        to the image or, if D reads frequencies, with respect to these."""
        discriminator, penalties = self.networks[f"D{k}"], self.penalties(k)
        if not penalties or not isinstance(discriminator, Discriminator) or discriminator.frequencies is None:
            return penalties(discriminator, residual, fake, low_pass, labels)
        subset = penalty_subset(residual)
        real_h, fake_h, low = subset.of(residual), subset.of(fake), subset.of(low_pass)
        subset_labels = None if labels is None else subset.of(labels)
        real = discriminator.preprocess(real_h + low)
        made = discriminator.preprocess((fake_h + low).detach()) if penalties.r2 or penalties.gp else real
        return penalties.on_subset(lambda x: discriminator.logits(x, real_h, subset_labels), real, made, subset)

    def penalties(self, k: int) -> Penalties:
        """Return the penalty weights of level k. Those of finer levels are proportional to the number of pixels, as
        gradients are larger where a change of the image is spread over fewer of them. `--r2` is a factor of R1's
        weight."""
        config, pixels = self.config, (self.sizes[k] / self.sizes[0]) ** 2
        if k == self.num_levels - 1:
            return Penalties(config.coarse_r1, config.coarse_r1 * config.r2, config.gp)
        return Penalties(config.r1 * pixels, config.r1 * pixels * config.r2, config.gp * pixels)

    def d_logits(self, images: Tensor, labels: Tensor) -> Tensor:
        d_labels = labels if self.conditional else None
        levels = enumerate(laplacian(images, self.num_levels, self.config.resize))
        logits: Tensor = sum(
            self.networks[f"D{k}"](*level, self.level_labels(k, level[0], d_labels)) for k, level in levels
        )
        return logits

    def level_labels(self, k: int, residual: Tensor, labels: Tensor | None) -> Tensor | None:
        """Return the labels of level k: in the coarsest level the clusters of its images, if there are any."""
        if self.clusters is None or k < self.num_levels - 1:
            return labels
        return self.clusters.labels(residual)

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """Return the optimizer of each network. Schedules count its updates, of which the coarsest level has several in
        a step."""
        return {name: self.rule(int(name[1:]), steps) for name in self.networks}

    def rule(self, k: int, steps: int) -> Optimizer:
        """Return the optimizer of the networks of level k."""
        lr = self.config.coarse_lr if k == self.num_levels - 1 else self.config.lr
        if self.config.optimizer == "sgd":
            return Sgd(lr, momentum=_paper_momentum, schedule=_paper_decay)
        return Adam(lr, self.config.beta1, schedule=learning_rate_schedule(self.config, steps, self.num_updates(k)))


def level_sizes(size: int, coarsest: int) -> tuple[int, ...]:
    """Return the sizes of the pyramid's levels, finest first: at least two, down to at most `coarsest` pixels. Raises
    `UsageError` unless the size is at least 8, and 4 or 7 times a power of two."""
    if size < 2 * min(SMALLEST) or not any(size == smallest << times for smallest in SMALLEST for times in range(16)):
        raise UsageError(
            f"--image-size {size}: must be at least 8, and 4 or 7 times a power of two for lapgan: "
            "8, 14, 16, 28, 32, 56, 64, 112, 128, …"
        )
    sizes = [size, size // 2]
    while sizes[-1] > coarsest:
        sizes.append(sizes[-1] // 2)
    return tuple(sizes)


def _paper_decay(updates: int) -> float:
    """Divide by 1 + 4e-5 per epoch (as remembered from the official code; unconfirmed)."""
    return float((1 + 4e-5) ** -(updates // UPDATES_PER_EPOCH))


def _paper_momentum(updates: int) -> float:
    """Rise from 0.5 to 0.8, as in the paper, by 0.0008 per epoch (as remembered from the official code; unconfirmed)."""
    return min(0.8, 0.5 + 0.0008 * (updates // UPDATES_PER_EPOCH))
