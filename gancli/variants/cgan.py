"""The networks and the training step of the conditional GAN; `cgan_config` has its page and its options."""

import itertools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.nn import losses
from gancli.nn.games import GAMES, Penalties
from gancli.nn.layers import Maxout, Tanh
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, linear_decay
from gancli.variants.cgan_config import Config

LOWEST_STEP = 1e-5  # of the first step size: the paper's 0.1 falls to 1e-6
UPDATES_TO_FULL_MOMENTUM = 150_000  # 250 epochs of MNIST, as in the code of Goodfellow et al. 2014; the paper says none


class Generator(nn.Module):
    """float z `[B, latent_dim]`, int64 labels `[B]` → pictures, float `[B, C, size, size]` in [-1, 1]."""

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__()
        num_features = config.latent_width or config.latent_dim
        z_layer: list[nn.Module] = []
        label_layer: list[nn.Module] = [nn.Embedding(images.num_classes, config.label_width)]
        if config.latent_width:  # as in the paper: a hidden layer each before z and label meet
            z_layer = [nn.Linear(config.latent_dim, num_features), nn.ReLU(), *_dropout(config.dropout)]
            label_layer += [nn.ReLU(), *_dropout(config.dropout)]
        self.from_z, self.from_label = nn.Sequential(*z_layer), nn.Sequential(*label_layer)
        shape = (images.channels, images.size, images.size)
        widths = [num_features + config.label_width, *filter(None, [config.inner_width]), config.width]
        layers: list[nn.Module] = []
        for num_inputs, num_units in itertools.pairwise(widths):
            normed = config.norm == "batch"
            layers.append(nn.Linear(num_inputs, num_units, bias=not normed))
            layers += [nn.BatchNorm1d(num_units)] if normed else []
            layers += [nn.LeakyReLU(config.slope), *_dropout(config.dropout)]
        self.joint = nn.Sequential(*layers, nn.Linear(config.width, num_pixels(images)), Tanh(), nn.Unflatten(1, shape))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        pictures: Tensor = self.joint(torch.cat([self.from_z(z), self.from_label(labels)], 1))
        return pictures


class Discriminator(nn.Module):
    """Pictures, int64 labels `[B]` → logits, float `[B, 1]`. The label joins the picture in the first joint layer."""

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__()
        inner = config.inner_width or config.width
        self.from_picture = nn.Sequential(
            nn.Flatten(), *_dropout(config.input_dropout), nn.Linear(num_pixels(images), config.width)
        )
        # A linear map of the one-hot label, as if it lay beside the pixels; N(0, 1), or the pixels drown it out.
        self.from_label = nn.Embedding(images.num_classes, config.width)
        hidden = [nn.LeakyReLU(config.slope), *_dropout(config.dropout)]
        self.joint = nn.Sequential(*hidden, nn.Linear(config.width, inner), *hidden, nn.Linear(inner, 1))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.joint(self.from_picture(x) + self.from_label(labels))
        return logits


class MaxoutDiscriminator(nn.Module):
    """The paper's D: picture and label each through a maxout layer of their own, then one joint layer."""

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__()
        self.num_classes = images.num_classes
        hidden = _dropout(config.dropout)
        self.from_picture = nn.Sequential(
            nn.Flatten(), *_dropout(config.input_dropout), Maxout(num_pixels(images), 240, 5), *hidden
        )
        self.from_label = nn.Sequential(Maxout(images.num_classes, 50, 5), *hidden)
        self.joint = nn.Sequential(Maxout(240 + 50, 240, 4), *hidden, nn.Linear(240, 1))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        classes = torch.arange(self.num_classes, device=labels.device)
        one_hot = (labels[:, None] == classes).to(x.dtype)  # F.one_hot reads the largest label, which a capture may not
        logits: Tensor = self.joint(torch.cat([self.from_picture(x), self.from_label(one_hot)], 1))
        return logits


class Cgan(Variant):
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
        self.game, self.penalties = GAMES[config.loss], Penalties(config.r1, config.r2, config.gp)

    @property
    def conditional(self) -> bool:
        return True

    def step(self, batch: Batch) -> Iterator[Update]:
        """The two-player game of the paper's equation 2. Real and fake go through D together: it has no batch norm."""
        labels = batch.condition
        fake = self.generator(*self.inputs(labels))
        both = torch.cat([batch.images, fake.detach()])
        real_logits, fake_logits = self.D(both, labels.repeat(2)).chunk(2)
        d_loss = self.game.discriminator(real_logits, fake_logits)
        believed = {"d_real": losses.probability(real_logits), "d_fake": losses.probability(fake_logits)}
        penalty = self.penalty(batch, fake) if self.penalties else 0.0
        yield Update("D", d_loss + penalty, {self.game.term: d_loss, **believed})

        g_loss = self.game.generator(self.D(fake, labels), lambda: self.D(batch.images, labels))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def penalty(self, batch: Batch, fake: Tensor) -> Tensor | float:
        few = losses.penalised(batch.images)
        labels = few.of(batch.condition)
        return self.penalties.of(lambda x: self.D(x, labels), few.of(batch.images), few.of(fake), few)

    def judged(self, pictures: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.D(pictures, labels)
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        rule: Optimizer = Adam(self.config.lr, self.config.beta1, schedule=linear_decay(self.config.lr_decay, steps))
        if self.config.optimizer == "sgd":
            rule = Sgd(self.config.lr, momentum=_paper_momentum, schedule=_paper_decay)
        return {"G": rule, "D": rule}


def num_pixels(images: ImageSpec) -> int:
    return images.channels * images.size**2


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []


def _paper_decay(updates: int) -> float:
    return max(LOWEST_STEP, 1.00004**-updates)


def _paper_momentum(updates: int) -> float:
    """From 0.5 to 0.7."""
    return 0.5 + 0.2 * min(1.0, updates / UPDATES_TO_FULL_MOMENTUM)
