"""GAN: two fully connected networks, the original.

Paper: Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio: Generative Adversarial Nets, 2014 (arXiv:1406.2661)

G turns noise z into a picture through two hidden layers; D turns a picture into one logit, real or not. D and G take one
step each per batch. The preset `article` is the well-known TensorFlow 1 tutorial on MNIST: two layers of 128, uniform z,
one-sided smoothing, Adam 1e-3. The preset `paper` is the 2014 paper's MNIST experiment: maxout D with dropout, SGD.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from gancli import losses
from gancli.config import VariantConfig, option
from gancli.data.batch import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Update, Variant


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the vanilla GAN."""

    latent_dim: int = option(100, "length of z", ge=1, le=8192)
    noise: Literal["normal", "uniform", "unit-uniform"] = option("normal", "z: N(0, 1), U(-1, 1) or U(-√3, √3)")
    width: int = option(512, "units per hidden layer", ge=1, le=16384)
    dropout: float = option(0.3, "share of D's hidden units dropped", ge=0, lt=1)
    smoothing: float = option(0.0, "how far below 1 D's target for real images lies", ge=0, lt=1)
    lr: float = option(2e-4, "Adam's step size", gt=0, le=1)
    beta1: float = option(0.5, "Adam's beta1", ge=0, lt=1)

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 128, "epochs": 25, "ema": 0.999},
        "article": {
            "noise": "uniform", "width": 128, "dropout": 0.0, "smoothing": 0.1, "lr": 1e-3, "beta1": 0.9,
            "batch_size": 100, "epochs": 500, "ema": 0.0,
        },
    }  # fmt: skip


class Vanilla(Variant):
    convolutional = False
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.latent_shapes = ((config.latent_dim,),)
        self.noise = config.noise
        num_pixels = images.channels * images.size**2
        shape = (images.channels, images.size, images.size)
        self.generator = nn.Sequential(
            nn.Linear(config.latent_dim, config.width), nn.LeakyReLU(0.2),
            nn.Linear(config.width, config.width), nn.LeakyReLU(0.2),
            nn.Linear(config.width, num_pixels), nn.Tanh(), nn.Unflatten(1, shape),
        )  # fmt: skip
        self.D = nn.Sequential(
            nn.Flatten(),
            nn.Linear(num_pixels, config.width), nn.LeakyReLU(0.2), nn.Dropout(config.dropout),
            nn.Linear(config.width, config.width), nn.LeakyReLU(0.2), nn.Dropout(config.dropout),
            nn.Linear(config.width, 1),
        )  # fmt: skip
        self.networks = {"G": self.generator, "D": self.D}

    def step(self, batch: Batch) -> Iterator[Update]:
        """Algorithm 1 of the paper with k = 1. Real and fake go through D together: there is no batch norm in it."""
        fake = self.generator(*self.inputs(batch.condition))
        real_logits, fake_logits = self.D(torch.cat([batch.images, fake.detach()])).chunk(2)
        d_loss = losses.discriminator(real_logits, fake_logits, 1 - self.config.smoothing)
        believed = {"d_real": losses.probability(real_logits), "d_fake": losses.probability(fake_logits)}
        yield Update("D", d_loss, {"d_loss": d_loss, **believed})

        g_loss = losses.non_saturating(self.D(fake))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def optimizers(self) -> Mapping[str, Optimizer]:
        adam = Adam(self.config.lr, self.config.beta1)
        return {"G": adam, "D": adam}
