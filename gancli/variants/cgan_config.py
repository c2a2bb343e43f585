"""Conditional GAN: fully connected networks that are told the class.

Paper: Mirza, Osindero: Conditional Generative Adversarial Nets, 2014, arXiv:1411.1784

G turns noise z and a label into a picture of that class; D judges whether a picture is a real one of its label. The data set
must have labels. The default adds what practice has found since: batch norm in G, a gradient penalty on real pictures (R1)
and an averaged G. The preset `paper` is the paper's MNIST experiment: maxout D with dropout, SGD.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gancli.config import option, shared_options


@dataclass(frozen=True, kw_only=True)
class Config(shared_options.FullyConnectedConfig):
    """Options of the conditional GAN."""

    latent_width: int = option(0, "units of z's own hidden layer in G; 0: none", ge=0, le=16384)
    label_width: int = option(32, "length of the label's embedding in G", ge=1, le=16384)
    inner_width: int = option(256, "units of the other hidden layer; 0: no such layer", ge=0, le=16384)
    dropout: float = option(0.0, "fraction of hidden units dropped, in G and D", ge=0, lt=1)
    r1: float = shared_options.r1_weight(0.3)

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
