"""Conditional GAN: fully connected networks with the class label as an input.

Paper: Mirza, Osindero: Conditional Generative Adversarial Nets, 2014, arXiv:1411.1784

G maps noise z and a label to an image of that class; D decides whether an image with its label is real. The dataset must
have labels. The default adds later findings: batch norm in G, a gradient penalty on real images (R1), and an average of G's
weights. The preset `paper` is the paper's MNIST experiment: maxout D with dropout, SGD.
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
        "quick": {"image_size": 32, "within": "10m"},
        # Differs from the paper: PyTorch's initial weights; images in [-1, 1] by tanh, not [0, 1] by a sigmoid; 480
        # epochs of MNIST, after which the learning rate is at its minimum, as the paper gives no length.
        "paper": {
            "latent_dim": 100, "noise": "uniform", "latent_width": 200, "label_width": 1000, "inner_width": 0,
            "width": 1200, "slope": 0.0, "norm": "none", "discriminator": "maxout", "dropout": 0.5, "r1": 0.0,
            "optimizer": "sgd", "lr": 0.1, "batch_size": 100, "epochs": 480, "ema": 0.0,
        },
    }  # fmt: skip
