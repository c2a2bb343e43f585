"""Conditional GAN: fully connected networks that are told the class.

Paper: Mirza, Osindero: Conditional Generative Adversarial Nets, 2014, arXiv:1411.1784

G turns noise z and a label into a picture of that class; D judges whether a picture is a real one of its label. The data set
must have labels. The default adds what practice has found since: batch norm in G, a gradient penalty on real pictures (R1)
and an averaged G. The preset `paper` is the paper's MNIST experiment: maxout D with dropout, SGD.
"""

import itertools
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
from gancli.nn.games import GAMES, Penalties
from gancli.nn.layers import Maxout, Tanh
from gancli.variant import Adam, Optimizer, Sgd, Update, Variant, falling


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the conditional GAN."""

    latent_dim: int = option(32, "length of z", ge=1, le=8192)
    noise: Literal["normal", "uniform", "unit-uniform"] = option("normal", "z: N(0, 1), U(-1, 1) or U(-√3, √3)")
    latent_width: int = option(0, "units of z's own hidden layer in G; 0: none", ge=0, le=16384)
    label_width: int = option(32, "numbers that G makes of a label", ge=1, le=16384)
    inner_width: int = option(
        256, "units of the joint layer further from the picture; 0: no such layer", ge=0, le=16384
    )
    width: int = option(512, "units of the joint layer next to the picture", ge=1, le=16384)
    slope: float = option(0.2, "of leaky ReLU below zero; 0: ReLU", ge=0, lt=1)
    norm: Literal["batch", "none"] = option("batch", "normalisation of G's joint layers")
    discriminator: Literal["leaky", "maxout"] = option("leaky", "D's hidden layers: leaky ReLU, or the paper's maxout")
    input_dropout: float = option(0.0, "share of D's input pixels dropped", ge=0, lt=1)
    dropout: float = option(0.0, "share of hidden units dropped, in G and D", ge=0, lt=1)
    loss: game.Loss = game.loss()
    r1: float = game.r1(0.3)
    r2: float = game.r2()
    gp: float = game.gp()
    optimizer: Literal["adam", "sgd"] = option("adam", "sgd: with the paper's schedules of step size and momentum")
    lr: float = option(1e-3, "step size", gt=0, le=1)
    falling: float = game.falling(0.0, only_with="optimizer=adam")
    beta1: float = option(0.5, "Adam's beta1", ge=0, lt=1, only_with="optimizer=adam")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"falling": 1.0, "batch_size": 64, "epochs": 60, "ema": 0.9995},
        # Differs from the paper: PyTorch's initial weights; pictures in [-1, 1] by tanh, not [0, 1] by a sigmoid; no word
        # there of the length: 480 epochs of MNIST bring the step size to its floor.
        "paper": {
            "latent_dim": 100, "noise": "uniform", "latent_width": 200, "label_width": 1000, "inner_width": 0,
            "width": 1200, "slope": 0.0, "norm": "none", "discriminator": "maxout", "dropout": 0.5, "r1": 0.0,
            "optimizer": "sgd", "lr": 0.1, "batch_size": 100, "epochs": 480, "ema": 0.0,
        },
    }  # fmt: skip


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
        rule: Optimizer = Adam(self.config.lr, self.config.beta1, schedule=falling(self.config.falling, steps))
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
