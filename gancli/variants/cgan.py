"""The networks and the training step of the conditional GAN. Its options, and a description, are in `cgan_config`."""

import itertools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.nn import adversarial
from gancli.nn.layers import Maxout, Tanh, dropout, norm_activation, one_hot
from gancli.nn.penalties import Penalties
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, learning_rate_schedule
from gancli.variants.cgan_config import Config

LOWEST_LR_FACTOR = 1e-5  # the paper's learning rate falls from 0.1 to 1e-6
UPDATES_TO_FULL_MOMENTUM = 150_000  # 250 epochs of MNIST, as in the code of Goodfellow et al. 2014


class Generator(nn.Module):
    """float z `[B, latent_dim]`, int64 labels `[B]` → images, float `[B, C, size, size]` in [-1, 1]."""

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__()
        num_features = config.latent_width or config.latent_dim
        z_layer: list[nn.Module] = []
        label_layer: list[nn.Module] = [nn.Embedding(images.num_classes, config.label_width)]
        if config.latent_width:  # as in the paper: z and label have a hidden layer each
            z_layer = [nn.Linear(config.latent_dim, num_features), nn.ReLU(), *dropout(config.dropout)]
            label_layer += [nn.ReLU(), *dropout(config.dropout)]
        self.from_z, self.from_label = nn.Sequential(*z_layer), nn.Sequential(*label_layer)
        shape = (images.channels, images.size, images.size)
        widths = [num_features + config.label_width, *filter(None, [config.inner_width]), config.width]
        layers: list[nn.Module] = []
        batch_norm = config.norm == "batch"
        for num_inputs, num_units in itertools.pairwise(widths):
            linear = nn.Linear(num_inputs, num_units, bias=not batch_norm)
            layers += norm_activation(linear, batch_norm, nn.LeakyReLU(config.slope)) + dropout(config.dropout)
        self.joint = nn.Sequential(*layers, nn.Linear(config.width, num_pixels(images)), Tanh(), nn.Unflatten(1, shape))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.joint(torch.cat([self.from_z(z), self.from_label(labels)], 1))
        return images


class Discriminator(nn.Module):
    """Images, float `[B, C, size, size]`, and int64 labels `[B]` → logits, float `[B, 1]`. The first layer is linear in
    both."""

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__()
        inner = config.inner_width or config.width
        self.from_picture = nn.Sequential(
            nn.Flatten(), *dropout(config.input_dropout), nn.Linear(num_pixels(images), config.width)
        )
        # The linear map of a one-hot label, initialised with N(0, 1), as large as that of the pixels.
        self.from_label = nn.Embedding(images.num_classes, config.width)
        hidden = [nn.LeakyReLU(config.slope), *dropout(config.dropout)]
        self.joint = nn.Sequential(*hidden, nn.Linear(config.width, inner), *hidden, nn.Linear(inner, 1))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.joint(self.from_picture(x) + self.from_label(labels))
        return logits


class MaxoutDiscriminator(nn.Module):
    """The paper's D: a maxout layer for images, float `[B, C, size, size]`, one for int64 labels `[B]`, then a joint
    one → logits, float `[B, 1]`."""

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__()
        self.num_classes = images.num_classes
        hidden = dropout(config.dropout)
        self.from_picture = nn.Sequential(
            nn.Flatten(), *dropout(config.input_dropout), Maxout(num_pixels(images), 240, 5), *hidden
        )
        self.from_label = nn.Sequential(Maxout(images.num_classes, 50, 5), *hidden)
        self.joint = nn.Sequential(Maxout(240 + 50, 240, 4), *hidden, nn.Linear(240, 1))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        one_hots = one_hot(labels, self.num_classes, x.dtype)
        logits: Tensor = self.joint(torch.cat([self.from_picture(x), self.from_label(one_hots)], 1))
        return logits


class Cgan(Variant):
    """G: z and label → image. D: image and label → logit."""

    convolutional = False
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        if not images.class_names:
            raise UsageError(
                "--dataset: its images have no labels, and cgan learns from labels; give a data set that has them "
                "(such as a folder with one folder per class), or choose --variant dcgan"
            )
        self.latent_shapes = ((config.latent_dim,),)
        self.noise = config.noise
        self.generator = Generator(config, images)
        self.D = (
            MaxoutDiscriminator(config, images) if config.discriminator == "maxout" else Discriminator(config, images)
        )
        self.networks = {"G": self.generator, "D": self.D}
        self.loss, self.penalties = adversarial.LOSSES[config.loss], Penalties(config.r1, config.r2, config.gp)

    @property
    def conditional(self) -> bool:
        return True

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of D, each on its part of the batch, and one of G on the last part (equation 2 of the paper). D
        has no batch norm, so it takes real and fake images in one batch."""
        for part in batch.parts(self.config.d_steps):
            labels = part.condition
            fake = self.generator(*self.sample_inputs(labels))
            both = torch.cat([part.images, fake.detach()])
            real_logits, fake_logits = self.D(both, labels.repeat(2)).chunk(2)
            d_loss = self.loss.discriminator(real_logits, fake_logits)
            probabilities = adversarial.d_probabilities(real_logits, fake_logits)
            penalty = self.penalties(self.D, part.images, fake, labels)
            yield Update("D", d_loss + penalty, {self.loss.term: d_loss, **probabilities})

        g_loss = self.loss.generator(self.D(fake, labels), lambda: self.D(part.images, labels))
        yield Update("G", g_loss, {"g_loss": g_loss})

    @classmethod
    def num_parts(cls, config: Config, batch_size: int) -> int:  # noqa: ARG003
        return config.d_steps

    def d_logits(self, images: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.D(images, labels)
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """Return Adam or, for `--optimizer sgd`, the paper's schedules: momentum rises from 0.5 to 0.7."""
        config = self.config
        return {
            "G": self.rule(config.lr, steps, 1),
            "D": self.rule(config.d_lr or config.lr, steps, config.d_steps),
        }

    def rule(self, lr: float, steps: int, updates_per_step: int) -> Optimizer:
        """Return the optimizer of one network, for a run of `steps` steps."""
        if self.config.optimizer == "sgd":
            return Sgd(lr, momentum=_paper_momentum, schedule=_paper_decay)
        schedule = learning_rate_schedule(self.config, steps, updates_per_step)
        return Adam(lr, self.config.beta1, schedule=schedule)


def num_pixels(images: ImageSpec) -> int:
    return images.channels * images.size**2


def _paper_decay(updates: int) -> float:
    return max(LOWEST_LR_FACTOR, 1.00004**-updates)


def _paper_momentum(updates: int) -> float:
    return 0.5 + 0.2 * min(1.0, updates / UPDATES_TO_FULL_MOMENTUM)
