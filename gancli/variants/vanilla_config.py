"""GAN: two fully connected networks, the original.

Paper: Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio: Generative Adversarial Nets, 2014,
arXiv:1406.2661

G turns noise z into a picture through two hidden layers; D turns a picture into one logit, real or not. D and G take one
step each per batch. The default adds what practice has found since: batch norm in G and a gradient penalty on real
pictures (R1). The preset `article` is the well-known TensorFlow 1 tutorial on MNIST: two layers of 128, uniform z, one-sided
smoothing, Adam 1e-3. The preset `paper` is the 2014 paper's MNIST experiment: maxout D with dropout, SGD.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gancli.config import VariantConfig, game, option
from gancli.errors import UsageError


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
    optimizer: Literal["adam", "sgd"] = option("adam", "sgd: with the paper's schedules of learning rate and momentum")
    lr: float = option(1e-3, "learning rate", gt=0, le=1)
    lr_decay: float = game.lr_decay(0.0, only_with="optimizer=adam")
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
