"""The networks and the training step of the LAPGAN; `lapgan_config` has its page and its options."""

from collections.abc import Iterator, Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.nn import losses
from gancli.nn.games import GAMES, Penalties
from gancli.nn.levels import CoarseGenerator, Discriminator, Generator
from gancli.nn.pyramid import Chain, laplacian
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, linear_decay
from gancli.variants.lapgan_config import Config

COARSEST = (4, 7, 8)  # pixels
UPDATES_PER_EPOCH = 500  # the paper's schedules go by epochs: 50,000 pictures, in batches of 100


class Lapgan(Variant):
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        if config.conditional and not images.class_names:
            raise UsageError(
                "--conditional: the images of --dataset have no labels; give a data set that has, or leave it out"
            )
        self.sizes = level_sizes(images.size)
        *finer, coarsest = self.sizes
        generators = [self._build_generator(size) for size in self.sizes]
        self.chain = Chain(generators, images.channels, coarsest, config.resize)
        self.generator = self.chain
        self.networks = {f"G{k}": generator for k, generator in enumerate(generators)} | {
            f"D{k}": self._build_discriminator(size) for k, size in enumerate(self.sizes)
        }
        self.latent_shapes = (*((1, size, size) for size in finer), (config.latent_dim,))
        self.noise = config.noise
        self.game = GAMES[config.loss]

    @property
    def conditional(self) -> bool:
        return self.config.conditional

    @property
    def num_levels(self) -> int:
        return len(self.sizes)

    @property
    def num_classes(self) -> int:
        """That the networks are told of."""
        return self.images.num_classes if self.conditional else 0

    def _build_generator(self, size: int) -> nn.Module:
        config, common = self.config, (self.images.channels, size, self.num_classes)
        batch_norm, bounded = config.norm == "batch", config.bounded
        if size == self.sizes[-1]:
            return CoarseGenerator(
                *common, latent_dim=config.latent_dim, width=config.coarse_width, batch_norm=batch_norm, bounded=bounded
            )
        return Generator(*common, width=config.width, layers=config.layers, batch_norm=batch_norm, bounded=bounded)

    def _build_discriminator(self, size: int) -> nn.Module:
        config, coarsest = self.config, size == self.sizes[-1]
        return Discriminator(
            self.images.channels, size, self.num_classes, width=config.coarse_d_width if coarsest else config.width,
            layers="coarse" if coarsest else config.layers, dropout=config.dropout, enhanced=config.d_sees == "enhanced",
            spectral=config.d_norm == "spectral",
        )  # fmt: skip

    def levels(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return self.chain.levels(*arguments)

    def step(self, batch: Batch) -> Iterator[Update]:
        """Algorithm 1 of the paper, at every level. No gradient and no picture goes from one level to another."""
        labels = batch.condition if self.conditional else None
        latents = self.latents(len(batch.images), batch.images.device)
        num_parts = self.parts(self.config, len(batch.images))
        label_parts = [None] * num_parts if labels is None else labels.tensor_split(num_parts)
        for k, level in enumerate(laplacian(batch.images, self.num_levels, self.config.resize, self.config.perturb)):
            parts = zip(*(whole.tensor_split(num_parts) for whole in (latents[k], *level)), label_parts, strict=True)
            for part in islice(parts, self.num_updates(k)):
                yield from self.level_step(k, *part)

    @classmethod
    def parts(cls, config: Config, batch_size: int) -> int:
        return max(1, min(config.coarse_updates, batch_size // 2))  # batch norm needs two pictures

    def num_updates(self, k: int) -> int:
        """Updates of level k in a step."""
        return 1 + (self.config.coarse_updates - 1) * k // (self.num_levels - 1)

    def level_step(
        self, k: int, z: Tensor, residual: Tensor, low_pass: Tensor, labels: Tensor | None
    ) -> Iterator[Update]:
        """D and then G of level k, both told l_k of the real picture."""
        fake = self.networks[f"G{k}"](z, low_pass, labels)
        both = torch.cat([residual, fake.detach()])
        twice = None if labels is None else labels.repeat(2)
        real_logits, fake_logits = self.networks[f"D{k}"](both, low_pass.repeat(2, 1, 1, 1), twice).chunk(2)
        d_loss = self.game.discriminator(real_logits, fake_logits)
        weights = self.penalty_weights(k)
        penalty = self.penalty(k, weights, residual, fake, low_pass, labels) if weights else 0.0
        yield Update(f"D{k}", d_loss + penalty, {f"{self.game.term}_{k}": d_loss})

        judge = self.networks[f"D{k}"]
        g_loss = self.game.generator(judge(fake, low_pass, labels), lambda: judge(residual, low_pass, labels))
        yield Update(f"G{k}", g_loss, {f"g_loss_{k}": g_loss})

    def penalty(
        self, k: int, weights: Penalties, residual: Tensor, fake: Tensor, low_pass: Tensor, labels: Tensor | None
    ) -> Tensor | float:
        """On a share of the pictures of level k: of D's slope along h_k, which is that along the picture, or along what the
        coarsest D sees of it."""
        judge = self.networks[f"D{k}"]
        assert isinstance(judge, Discriminator)
        share = losses.penalised(residual)
        real, made, few_pictures = share.of(residual), share.of(fake), share.of(low_pass)
        few_labels = None if labels is None else share.of(labels)
        if judge.frequencies is None:
            return weights.of(lambda h: judge(h, few_pictures, few_labels), real, made, share)
        seen = judge.seen(real + few_pictures)
        seen_made = judge.seen((made + few_pictures).detach()) if weights.r2 or weights.gp else seen
        return weights.of(lambda x: judge.judge(x, real, few_labels), seen, seen_made, share)

    def penalty_weights(self, k: int) -> Penalties:
        """A finer level's go by its share of pixels: the same change of a picture is spread over fewer of them in a smaller
        one, so gradients grow. R2's are those of R1, as many times as `--r2` says."""
        config, pixels = self.config, (self.sizes[k] / self.sizes[0]) ** 2
        if k == self.num_levels - 1:
            return Penalties(config.coarse_r1, config.coarse_r1 * config.r2, config.gp)
        return Penalties(config.r1 * pixels, config.r1 * pixels * config.r2, config.gp * pixels)

    def judged(self, pictures: Tensor, labels: Tensor) -> Tensor:
        told = labels if self.conditional else None
        levels = enumerate(laplacian(pictures, self.num_levels, self.config.resize))
        logits: Tensor = sum(self.networks[f"D{k}"](*level, told) for k, level in levels)
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """Schedules go by the updates of a network, of which the coarsest has several in a step."""
        return {name: self.rule(int(name[1:]), steps) for name in self.networks}

    def rule(self, k: int, steps: int) -> Optimizer:
        """How the networks of level k are trained."""
        lr = self.config.coarse_lr if k == self.num_levels - 1 else self.config.lr
        if self.config.optimizer == "sgd":
            return Sgd(lr, momentum=_paper_momentum, schedule=_paper_decay)
        return Adam(lr, self.config.beta1, schedule=linear_decay(self.config.lr_decay, steps * self.num_updates(k)))


def level_sizes(size: int) -> tuple[int, ...]:
    """The sizes of the pyramid's levels, finest first: at least two. Raises `UsageError` for sizes that do not fit."""
    sizes = [size]
    while sizes[-1] not in COARSEST or len(sizes) == 1:
        if sizes[-1] % 2 or sizes[-1] <= min(COARSEST):
            raise UsageError(
                f"--image-size {size}: must halve down to 7 or 8 pixels for lapgan: 14, 16, 28, 32, 56, 64, 112, 128 (or 8)"
            )
        sizes.append(sizes[-1] // 2)
    return tuple(sizes)


def _paper_decay(updates: int) -> float:
    """Divided by 1 + 4e-5 per epoch (from memory of the official code; no source here confirmed it)."""
    return float((1 + 4e-5) ** -(updates // UPDATES_PER_EPOCH))


def _paper_momentum(updates: int) -> float:
    """From 0.5 by 0.0008 per epoch, up to 0.8 (the step from memory; the ends are the paper's)."""
    return min(0.8, 0.5 + 0.0008 * (updates // UPDATES_PER_EPOCH))
