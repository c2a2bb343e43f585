"""The networks and the training step of the GAN; `vanilla_config` has its page and its options."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.data.spec import ImageSpec
from gancli.nn import losses
from gancli.nn.augment import translation
from gancli.nn.games import GAMES, Penalties
from gancli.nn.layers import Maxout, Tanh
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, linear_decay
from gancli.variants.vanilla_config import Config

MAX_SHIFT = 1 / 14  # of the side: two of MNIST's pixels
MAXOUT_UNITS, MAXOUT_PIECES = 240, 5  # the paper's D on MNIST
UPDATES_TO_FULL_MOMENTUM = 125_000  # the paper's 250 epochs of 500 batches


class Vanilla(Variant):
    convolutional = False
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.latent_shapes = ((config.latent_dim,),)
        self.noise = config.noise
        self.generator = self._build_generator()
        self.D = self._build_discriminator()
        self.networks = {"G": self.generator, "D": self.D}
        self.game, self.penalties = GAMES[config.loss], Penalties(config.r1, config.r2, config.gp)

    def _build_generator(self) -> nn.Module:
        config, shape = self.config, (self.images.channels, self.images.size, self.images.size)
        layers: list[nn.Module] = []
        for num_inputs, num_units in ((config.latent_dim, config.inner_width), (config.inner_width, config.width)):
            normed = config.norm == "batch"
            layers.append(nn.Linear(num_inputs, num_units, bias=not normed))
            layers += [nn.BatchNorm1d(num_units)] if normed else []
            layers.append(nn.LeakyReLU(config.slope))
        return nn.Sequential(*layers, nn.Linear(config.width, _pixels(self.images)), Tanh(), nn.Unflatten(1, shape))

    def _build_discriminator(self) -> nn.Module:
        config, num_pixels = self.config, _pixels(self.images)
        if config.discriminator == "maxout":
            first: list[nn.Module] = [Maxout(num_pixels, MAXOUT_UNITS, MAXOUT_PIECES)]
            second: list[nn.Module] = [Maxout(MAXOUT_UNITS, MAXOUT_UNITS, MAXOUT_PIECES)]
            last = nn.Linear(MAXOUT_UNITS, 1)
        else:
            first = [nn.Linear(num_pixels, config.width), nn.LeakyReLU(config.slope)]
            second = [nn.Linear(config.width, config.inner_width), nn.LeakyReLU(config.slope)]
            last = nn.Linear(config.inner_width, 1)
        hidden = [nn.Dropout(config.dropout)] if config.dropout else []
        entry = [nn.Dropout(config.input_dropout)] if config.input_dropout else []
        return nn.Sequential(nn.Flatten(), *entry, *first, *hidden, *second, *hidden, last)

    def step(self, batch: Batch) -> Iterator[Update]:
        """Algorithm 1 of the paper with k = 1. Real and fake go through D together: there is no batch norm in it."""
        fake = self.generator(*self.inputs(batch.condition))
        real_logits, fake_logits = self.D(torch.cat([self.seen(batch.images), self.seen(fake.detach())])).chunk(2)
        d_loss = self.d_loss(real_logits, fake_logits)
        believed = {"d_real": losses.probability(real_logits), "d_fake": losses.probability(fake_logits)}
        penalty = self.penalty(batch, fake) if self.penalties else 0.0
        yield Update("D", d_loss + penalty, {self.game.term: d_loss, **believed})

        g_loss = self.game.generator(self.D(self.seen(fake)), lambda: self.D(self.seen(batch.images)))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if self.config.loss == "non-saturating":
            return losses.discriminator(real_logits, fake_logits, 1 - self.config.smoothing)
        return self.game.discriminator(real_logits, fake_logits)

    def penalty(self, batch: Batch, fake: Tensor) -> Tensor | float:
        few = losses.penalised(batch.images)
        return self.penalties.of(self.D, few.of(batch.images), few.of(fake), few)

    def seen(self, pictures: Tensor) -> Tensor:
        """What D is shown: a share of the pictures moved a little, the rest as they are, so that G need not move its own.

        A fully connected D knows nothing of neighbouring pixels; this tells it.
        """
        count = round(self.config.shift * len(pictures))
        if not count:
            return pictures
        moved = translation(pictures[:count] + 1, MAX_SHIFT) - 1  # black, not grey, comes in from outside
        return torch.cat([moved, pictures[count:]])

    def judged(self, pictures: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        logits: Tensor = self.D(pictures)
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        rule: Optimizer = Adam(self.config.lr, self.config.beta1, schedule=linear_decay(self.config.lr_decay, steps))
        if self.config.optimizer == "sgd":
            rule = Sgd(self.config.lr, momentum=_paper_momentum, schedule=lambda updates: 1.000004**-updates)
        return {"G": rule, "D": rule}


def _pixels(images: ImageSpec) -> int:
    return images.channels * images.size**2


def _paper_momentum(updates: int) -> float:
    """From 0.5 to 0.7 over the first 250 epochs."""
    return 0.5 + 0.2 * min(1.0, updates / UPDATES_TO_FULL_MOMENTUM)
