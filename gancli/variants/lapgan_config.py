"""Laplacian pyramid GAN: a small picture, then the detail of each larger size.

Paper: Denton, Chintala, Szlam, Fergus: Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks, 2015,
arXiv:1506.05751

The coarsest level is a plain GAN. Every finer level k has a conditional pair of its own: G_k makes the detail (the
residual) that belongs to an enlarged coarser picture, D_k judges the sum of the two. All levels learn from the real
pyramid, independently of each other and in one run; sampling runs through them from coarse to fine. Sizes halve down to
7 or 8 pixels: 28 is 7→14→28, 32 is 8→16→32, 64 is 8→16→32→64. The default adds what practice has found since: batch norm
in G, a gradient penalty (R1) in D, G at half its level's size. The preset `paper` has the paper's networks and schedules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gancli.config import VariantConfig, option, shared_options


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the LAPGAN."""

    resize: Literal["bilinear", "binomial"] = option(
        "bilinear",
        "how levels are made: bilinear halving and doubling, or Burt and Adelson's blur",
        source="section 2.2",
    )
    conditional: bool = option(False, "feed the label to every G and D, so that `gan sample --label` can ask for one")
    latent_dim: int = option(32, "length of the coarsest level's z; finer levels have one plane", ge=1, le=8192)
    noise: Literal["normal", "uniform"] = option("normal", "z: N(0, 1) or U(-1, 1)")
    coarse_width: int = option(512, "units of a hidden layer of the coarsest G", ge=1, le=16384)
    coarse_d_width: int = option(512, "units of a hidden layer of the coarsest D", ge=1, le=16384)
    # Differs from the paper: the coarsest level decides what a picture shows and costs least, so it learns more often.
    coarse_updates: int = option(
        6,
        "updates of the coarsest level per step, each on its part of the batch; the finest has one, on the first part, and "
        "levels between them in proportion",
        ge=1,
        le=100,
    )
    width: int = option(32, "feature maps of the finer levels", ge=1, le=1024)
    layers: Literal["strided", "flat"] = option(
        "strided", "finer levels: with halvings, or the paper's 7×7 convolutions"
    )
    # Differs from the paper, whose D sees the sum alone: on colour pictures the residual is a hundredth of its power, and a
    # small D overlooked that it was missing. In the coarsest level the finest of its frequencies are as weak.
    d_sees: Literal["sum", "enhanced"] = option(
        "enhanced", "D: the picture; or also its residual, enhanced (coarsest: its frequencies, the finer the more)"
    )
    norm: Literal["batch", "none"] = option("batch", "normalisation of G's hidden layers")
    d_norm: Literal["spectral", "none"] = option("none", "normalisation of D", source="spectral: Miyato et al. 2018")
    loss: shared_options.Loss = shared_options.adversarial_loss()
    r1: float = shared_options.r1_weight(0.1)
    coarse_r1: float = option(0.03, "the same, of the coarsest level", ge=0, le=1000)
    r2: float = option(0.0, "R2, on fake pictures, times the weights of R1; 0: none", ge=0, le=1000)
    gp: float = shared_options.gp_weight()
    dropout: float = option(0.0, "share of the coarsest D's hidden units dropped", ge=0, lt=1)
    bounded: bool = option(True, "keep each level's picture within [-1, 1] by a tanh; else residuals are linear")
    perturb: float = option(
        0.05, "noise on the coarser picture in training, so that its sampled form is no surprise", ge=0, le=1
    )
    optimizer: shared_options.UpdateRule = shared_options.update_rule()
    lr: float = shared_options.learning_rate()
    coarse_lr: float = shared_options.learning_rate(2e-3, " of the coarsest level")
    lr_decay: float = shared_options.final_decay(1.0, only_with="optimizer=adam")
    beta1: float = shared_options.adam_beta1(only_with="optimizer=adam")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 384, "epochs": 45, "ema": 0.9995},
        # Differs from the paper: PyTorch's initial weights, a fixed number of epochs, pictures of 32 pixels where it crops
        # CIFAR-10 to 28, and --conditional is left to the user (the paper has both forms).
        "paper": {
            "latent_dim": 100, "noise": "uniform", "coarse_width": 1200, "coarse_d_width": 600, "coarse_updates": 1,
            "width": 64,
            "layers": "flat", "d_sees": "sum", "norm": "none", "r1": 0.0, "coarse_r1": 0.0, "dropout": 0.5,
            "bounded": False, "perturb": 0.0, "lr_decay": 0.0,
            "optimizer": "sgd", "lr": 0.02, "coarse_lr": 0.02, "batch_size": 100, "epochs": 375, "ema": 0.0,
        },
    }  # fmt: skip
