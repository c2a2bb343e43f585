"""Laplacian pyramid GAN: a small image first, then the detail of each larger size.

Paper: Denton, Chintala, Szlam, Fergus: Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks, 2015,
arXiv:1506.05751

The coarsest level is a plain GAN. Every finer level k has its own conditional pair: G_k generates the detail (the residual)
of an enlarged coarser image, D_k judges their sum. All levels are trained on the pyramid of real images, independently and
in one run; sampling goes through them from coarse to fine. Sizes are 4 or 7 times a power of two, and halve down to 7 or 8
pixels (`--coarsest`): 28 is 7→14→28, 32 is 8→16→32, 64 is 8→16→32→64. The default adds later findings: batch norm in G, a
gradient penalty (R1) in D, G at half the size of its level, and clusters of the coarsest images in place of classes. The
preset `colour`, for images in colour, goes down to 16 pixels only, with the networks of the DCGAN in the coarsest level; the
preset `paper` has the paper's networks and schedules.
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
    coarsest: int = option(
        8,
        "largest size of the coarsest level, in pixels; images are halved until it is reached, at least once",
        ge=8,
        le=256,
    )
    conditional: bool = option(False, "use the label in every G and D, for `gan sample --label`")
    self_conditioned: int = shared_options.num_clusters(
        "50", "the coarsest level's images", only_with="conditional=False"
    )
    latent_dim: int = option(
        32,
        "length of the coarsest level's z, not counting the numbers that choose a cluster; finer levels have one plane",
        ge=1,
        le=8192,
    )
    noise: Literal["normal", "uniform"] = option("normal", "distribution of z: N(0, 1) or U(-1, 1)")
    coarse_width: int = option(
        512, "units of a hidden layer of the coarsest G", ge=1, le=16384, only_with="coarse_layers=dense"
    )
    coarse_d_width: int = option(
        512, "units of a hidden layer of the coarsest D", ge=1, le=16384, only_with="coarse_layers=dense"
    )
    coarse_layers: Literal["dense", "convolutional"] = option(
        "dense",
        "networks of the coarsest level: fully connected as in the paper, or dcgan's, with --width feature maps",
    )
    # Differs from the paper: the coarsest level decides the content and costs least, so it is updated more often.
    coarse_updates: int = option(
        6,
        "updates of the coarsest level per step, each on its part of the batch; the finest has one, on the first part, "
        "those in between in proportion",
        ge=1,
        le=100,
    )
    width: int = option(32, "feature maps of the finer levels", ge=1, le=1024)
    layers: Literal["strided", "flat"] = option(
        "strided", "networks of finer levels: strided convolutions, or the paper's 7×7 convolutions"
    )
    upsampling: Literal["resize", "transposed"] = option(
        "transposed",
        "how a strided G of a finer level doubles the size: repeated pixels and a convolution, or a transposed convolution",
        source="resize: Odena et al. 2016",
        only_with="layers=strided",
    )
    # Differs from the paper, whose D sees the sum alone: on colour images the residual has a hundredth of its power, and
    # a small D ignored it. In the coarsest level the highest frequencies are as weak.
    d_sees: Literal["sum", "enhanced"] = option(
        "enhanced",
        "D's input: the image, or also its amplified residual (a dense coarsest level: amplified high frequencies)",
    )
    norm: Literal["batch", "none"] = option(
        "batch", "normalisation of G's hidden layers; a convolutional coarsest level always has batch norm"
    )
    d_norm: Literal["spectral", "none"] = option("none", "normalisation of D", source="spectral: Miyato et al. 2018")
    loss: shared_options.Loss = shared_options.adversarial_loss()
    r1: float = shared_options.r1_weight(0.1)
    coarse_r1: float = option(0.03, "weight of the R1 penalty of the coarsest level; 0: none", ge=0, le=1000)
    r2: float = option(0.0, "weight of the R2 penalty, on generated images, relative to R1; 0: none", ge=0, le=1000)
    gp: float = shared_options.gp_weight()
    dropout: float = option(
        0.0, "fraction of the coarsest D's hidden units dropped", ge=0, lt=1, only_with="coarse_layers=dense"
    )
    bounded: bool = option(True, "bound each level's image to [-1, 1] by a tanh; else residuals are linear")
    perturb: float = option(
        0.05, "standard deviation of noise on the coarser image in training, to match sampled ones", ge=0, le=1
    )
    optimizer: shared_options.UpdateRule = shared_options.update_rule()
    lr: float = shared_options.learning_rate()
    coarse_lr: float = shared_options.learning_rate(2e-3, " of the coarsest level")
    lr_decay: float = shared_options.final_decay(1.0, only_with="optimizer=adam")
    lr_schedule: shared_options.DecayShape = shared_options.decay_shape(only_with="optimizer=adam")
    warmup: int = shared_options.warmup_steps(only_with="optimizer=adam")
    beta1: float = shared_options.adam_beta1(only_with="optimizer=adam")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"self_conditioned": 50, "batch_size": 384, "epochs": 45, "ema": 0.9995},
        "quick": {"image_size": 32, "within": "10m"},
        "colour": {
            "image_size": 32, "coarsest": 16, "coarse_layers": "convolutional", "upsampling": "resize",
            "self_conditioned": 0, "coarse_updates": 4, "coarse_lr": 1e-3, "coarse_r1": 0.1, "r1": 0.3,
            "batch_size": 256, "epochs": 20,
        },
        # Differs from the paper: PyTorch's initial weights, a fixed number of epochs, images of 32 pixels where it crops
        # CIFAR-10 to 28, and no labels unless --conditional is set (the paper has both forms).
        "paper": {
            "self_conditioned": 0, "latent_dim": 100, "noise": "uniform", "coarse_width": 1200,
            "coarse_d_width": 600,
            "coarse_updates": 1, "width": 64,
            "layers": "flat", "d_sees": "sum", "norm": "none", "r1": 0.0, "coarse_r1": 0.0, "dropout": 0.5,
            "bounded": False, "perturb": 0.0, "lr_decay": 0.0,
            "optimizer": "sgd", "lr": 0.02, "coarse_lr": 0.02, "batch_size": 100, "epochs": 375, "ema": 0.0,
        },
    }  # fmt: skip

    def check(self) -> None:
        shared_options.check_schedule(self.lr_decay, self.lr_schedule)
