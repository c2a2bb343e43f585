"""Conditional GAN: fully connected networks that are told the class.

Paper: Mirza, Osindero: Conditional Generative Adversarial Nets, 2014, arXiv:1411.1784

G turns noise z and a label into a picture of that class; D judges whether a picture is a real one of its label. The data set
must have labels. The default adds what practice has found since: batch norm in G, a gradient penalty on real pictures (R1)
and an averaged G. The preset `paper` is the paper's MNIST experiment: maxout D with dropout, SGD.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gancli.config import VariantConfig, game, option


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
    optimizer: Literal["adam", "sgd"] = option("adam", "sgd: with the paper's schedules of learning rate and momentum")
    lr: float = option(1e-3, "learning rate", gt=0, le=1)
    lr_decay: float = game.lr_decay(0.0, only_with="optimizer=adam")
    beta1: float = option(0.5, "Adam's beta1", ge=0, lt=1, only_with="optimizer=adam")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"lr_decay": 1.0, "batch_size": 64, "epochs": 60, "ema": 0.9995},
        # Differs from the paper: PyTorch's initial weights; pictures in [-1, 1] by tanh, not [0, 1] by a sigmoid; no word
        # there of the length: 480 epochs of MNIST bring the step size to its floor.
        "paper": {
            "latent_dim": 100, "noise": "uniform", "latent_width": 200, "label_width": 1000, "inner_width": 0,
            "width": 1200, "slope": 0.0, "norm": "none", "discriminator": "maxout", "dropout": 0.5, "r1": 0.0,
            "optimizer": "sgd", "lr": 0.1, "batch_size": 100, "epochs": 480, "ema": 0.0,
        },
    }  # fmt: skip
