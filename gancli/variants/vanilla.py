"""The networks and the training step of the GAN. Its options, and a description, are in `vanilla_config`."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gancli.images import to_float
from gancli.nn import adversarial
from gancli.nn.augment import translation
from gancli.nn.clusters import ClusterGenerator, OneHotLabel
from gancli.nn.layers import Maxout, Tanh, dropout, norm_activation
from gancli.nn.penalties import Penalties
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, learning_rate_schedule
from gancli.variants.vanilla_config import Config

MAX_SHIFT = 1 / 14  # of the side: two pixels of MNIST
MAXOUT_UNITS, MAXOUT_PIECES = 240, 5  # the paper's D on MNIST
UPDATES_TO_FULL_MOMENTUM = 125_000  # the paper's 250 epochs of 500 batches


class Vanilla(Variant):
    """A fully connected G, float z `[B, latent_dim]` → images, and a fully connected D, images → logits `[B, 1]`. With
    clusters, z has as many numbers more, and both networks take the cluster as a one-hot label."""

    convolutional = False
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.latent_shapes = ((config.latent_dim + config.self_conditioned,),)
        self.noise = config.noise
        self.num_pixels = images.channels * images.size**2
        self.generator, self.D = self._build_generator(), self._build_discriminator()
        self.clusters = None
        if clusters := config.self_conditioned:
            labelled = OneHotLabel(self.generator, clusters)
            self.generator = self.clusters = ClusterGenerator(labelled, clusters, self.num_pixels, config.noise)
            self.D = OneHotLabel(self.D, clusters)
        self.networks = {"G": self.generator, "D": self.D}
        self.loss, self.penalties = adversarial.LOSSES[config.loss], Penalties(config.r1, config.r2, config.gp)

    def _build_generator(self) -> nn.Module:
        config, shape = self.config, (self.images.channels, self.images.size, self.images.size)
        batch_norm = config.norm == "batch"
        layers: list[nn.Module] = []
        inputs = config.latent_dim + config.self_conditioned
        for num_inputs, num_units in ((inputs, config.inner_width), (config.inner_width, config.width)):
            linear = nn.Linear(num_inputs, num_units, bias=not batch_norm)
            layers += norm_activation(linear, batch_norm, nn.LeakyReLU(config.slope))
        return nn.Sequential(*layers, nn.Linear(config.width, self.num_pixels), Tanh(), nn.Unflatten(1, shape))

    def _build_discriminator(self) -> nn.Module:
        config, inputs = self.config, self.num_pixels + self.config.self_conditioned
        if config.discriminator == "maxout":
            first: list[nn.Module] = [Maxout(inputs, MAXOUT_UNITS, MAXOUT_PIECES)]
            second: list[nn.Module] = [Maxout(MAXOUT_UNITS, MAXOUT_UNITS, MAXOUT_PIECES)]
            last = nn.Linear(MAXOUT_UNITS, 1)
        else:
            first = [nn.Linear(inputs, config.width), nn.LeakyReLU(config.slope)]
            second = [nn.Linear(config.width, config.inner_width), nn.LeakyReLU(config.slope)]
            last = nn.Linear(config.inner_width, 1)
        hidden = dropout(config.dropout)
        return nn.Sequential(nn.Flatten(), *dropout(config.input_dropout), *first, *hidden, *second, *hidden, last)

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of Algorithm 1 of the paper, with k = `--d-steps`, and G's on the last part of the batch. D has
        no batch norm, so it takes real and fake images in one batch. Fake images are of the clusters of the real ones."""
        for part in batch.parts(self.config.d_steps):
            labels = self.labels(part.images)
            fake = self.generator(*self.sample_latents(len(part.images), part.images.device), **labels)
            both = torch.cat([self.shift(part.images), self.shift(fake.detach())])
            both_labels = {name: label.repeat(2) for name, label in labels.items()}
            real_logits, fake_logits = self.D(both, **both_labels).chunk(2)
            d_loss = self.d_loss(real_logits, fake_logits)
            probabilities = adversarial.d_probabilities(real_logits, fake_logits)
            penalty = self.penalties(self.D, part.images, fake, *labels.values())
            yield Update("D", d_loss + penalty, {self.loss.term: d_loss, **probabilities})

        fake_logits = self.D(self.shift(fake), **labels)
        g_loss = self.loss.generator(fake_logits, lambda: self.D(self.shift(part.images), **labels))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def labels(self, images: Tensor) -> dict[str, Tensor]:
        """Return the argument `labels` of G and D, the clusters of images, int64 `[B]`; nothing without clusters."""
        return {} if self.clusters is None else {"labels": self.clusters.labels(images)}

    @classmethod
    def num_parts(cls, config: Config, batch_size: int) -> int:  # noqa: ARG003
        return config.d_steps

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return D's loss, with one-sided label smoothing if it is the cross-entropy."""
        if self.config.loss == "non-saturating":
            return adversarial.discriminator(real_logits, fake_logits, 1 - self.config.smoothing)
        return self.loss.discriminator(real_logits, fake_logits)

    def shift(self, images: Tensor) -> Tensor:
        """Return images, float `[B, C, H, W]`, with the first `--shift` of them translated a little, filled with black.
        It teaches a fully connected D that neighbouring pixels are alike, without G having to shift its own images."""
        count = round(self.config.shift * len(images))
        if not count:
            return images
        shifted = translation(images[:count] + 1, MAX_SHIFT) - 1  # fills with 0, which is then -1, black
        return torch.cat([shifted, images[count:]])

    def fit_to_images(self, images: Tensor) -> None:
        if self.clusters is not None:
            self.clusters.fit(to_float(images))

    def d_logits(self, images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        logits: Tensor = self.D(images, **self.labels(images))
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """Return Adam or, for `--optimizer sgd`, the paper's schedules: momentum rises from 0.5 to 0.7 over 250 epochs."""
        config = self.config
        return {
            "G": self.rule(config.lr, steps, 1),
            "D": self.rule(config.d_lr or config.lr, steps, config.d_steps),
        }

    def rule(self, lr: float, steps: int, updates_per_step: int) -> Optimizer:
        """Return the optimizer of one network, for a run of `steps` steps."""
        if self.config.optimizer == "sgd":
            return Sgd(lr, momentum=_paper_momentum, schedule=lambda updates: 1.000004**-updates)
        schedule = learning_rate_schedule(self.config, steps, updates_per_step)
        return Adam(lr, self.config.beta1, schedule=schedule)


def _paper_momentum(updates: int) -> float:
    return 0.5 + 0.2 * min(1.0, updates / UPDATES_TO_FULL_MOMENTUM)
