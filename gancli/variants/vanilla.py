"""GAN: two fully connected networks, the original.

Paper: Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio: Generative Adversarial Nets, 2014,
arXiv:1406.2661

G turns noise z into a picture through two hidden layers; D turns a picture into one logit, real or not. D and G take one
step each per batch. The default adds what practice has found since: batch norm in G and a gradient penalty on real
pictures (R1). The preset `article` is the well-known TensorFlow 1 tutorial on MNIST: two layers of 128, uniform z, one-sided
smoothing, Adam 1e-3. The preset `paper` is the 2014 paper's MNIST experiment: maxout D with dropout, SGD.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.config import VariantConfig, game, option
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.nn import losses
from gancli.nn.augment import translation
from gancli.nn.games import GAMES, Penalties
from gancli.nn.layers import Maxout, Tanh
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, falling


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the vanilla GAN."""

    latent_dim: int = option(32, "length of z", ge=1, le=8192)
    noise: Literal["normal", "uniform", "unit-uniform"] = option("normal", "z: N(0, 1), U(-1, 1) or U(-√3, √3)")
    width: int = option(512, "units of the hidden layer next to the picture", ge=1, le=16384)
    inner_width: int = option(256, "units of the other hidden layer", ge=1, le=16384)
    slope: float = option(0.2, "of leaky ReLU below zero; 0: ReLU", ge=0, lt=1)
    norm: Literal["batch", "none"] = option("batch", "normalisation of G's hidden layers")
    discriminator: Literal["leaky", "maxout"] = option("leaky", "D's hidden layers: leaky ReLU, or maxout of 5 pieces")
    input_dropout: float = option(0.0, "share of D's input pixels dropped", ge=0, lt=1)
    dropout: float = option(0.0, "share of D's hidden units dropped", ge=0, lt=1)
    smoothing: float = option(0.0, "how far below 1 D's target for real images lies", ge=0, lt=1)
    loss: game.Loss = game.loss()
    r1: float = game.r1(1.0)
    r2: float = game.r2()
    gp: float = game.gp()
    shift: float = option(
        0.0, "share of the pictures that D sees moved by up to a fourteenth", ge=0, le=1, source="Zhao et al. 2020"
    )
    optimizer: Literal["adam", "sgd"] = option("adam", "sgd: with the paper's schedules of step size and momentum")
    lr: float = option(1e-3, "step size", gt=0, le=1)
    falling: float = game.falling(0.0, only_with="optimizer=adam")
    beta1: float = option(0.5, "Adam's beta1", ge=0, lt=1, only_with="optimizer=adam")

    def check(self) -> None:
        if self.smoothing and self.loss != "non-saturating":
            raise UsageError(f"--loss {self.loss}: has no targets to smooth; give --smoothing 0, not {self.smoothing}")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 64, "epochs": 80, "ema": 0.9995},
        "article": {
            "latent_dim": 100, "noise": "uniform", "width": 128, "inner_width": 128, "norm": "none", "r1": 0.0,
            "smoothing": 0.1, "beta1": 0.9, "batch_size": 100, "epochs": 500, "ema": 0.0,
        },
        # Differs from the paper: PyTorch's initial weights, no limit on the norm of D's columns, a fixed number of epochs.
        "paper": {
            "latent_dim": 100, "noise": "unit-uniform", "width": 1200, "inner_width": 1200, "slope": 0.0, "norm": "none",
            "r1": 0.0, "discriminator": "maxout", "input_dropout": 0.2, "dropout": 0.5, "optimizer": "sgd",
            "lr": 0.1, "batch_size": 100, "epochs": 300, "ema": 0.0,
        },
    }  # fmt: skip


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
        rule: Optimizer = Adam(self.config.lr, self.config.beta1, schedule=falling(self.config.falling, steps))
        if self.config.optimizer == "sgd":
            rule = Sgd(self.config.lr, momentum=_paper_momentum, schedule=lambda updates: 1.000004**-updates)
        return {"G": rule, "D": rule}


def _pixels(images: ImageSpec) -> int:
    return images.channels * images.size**2


def _paper_momentum(updates: int) -> float:
    """From 0.5 to 0.7 over the first 250 epochs."""
    return 0.5 + 0.2 * min(1.0, updates / UPDATES_TO_FULL_MOMENTUM)
