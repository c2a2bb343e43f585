"""Deep convolutional GAN: strided convolutions and batch norm.

Paper: Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks, 2015, arXiv:1511.06434

G doubles the size of the image, from 4×4 on (the paper: by transposed convolutions); D halves it by strided convolutions
(28→14→7→4). There is no pooling and no hidden fully connected layer. Sizes are 4 or 7 times a power of two: 28, 32, 64, 128.
The default adds later findings: G repeats pixels and convolves them, a gradient penalty on real images (R1) replaces batch
norm in D, the learning rate is five times as high, and G's weights are averaged; for named datasets of grey images,
clusters take the place of classes (`--self-conditioned`). Options: spectral norm in D, DiffAugment for small datasets,
labels in G and D. The preset `paper` has the paper's values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gancli.config import VariantConfig, option, shared_options
from gancli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the DCGAN."""

    latent_dim: int = option(64, "length of z, not counting the numbers that choose a cluster", ge=1, le=8192)
    width: int = option(32, "feature maps next to the image; doubled at each halving, up to 8 times", ge=1, le=1024)
    conditional: bool = option(False, "use the label in G and D, for `gan sample --label`")
    self_conditioned: int = shared_options.num_clusters(
        "100 for named datasets of grey images, else 0", only_with="conditional=False"
    )
    label_scale: float = option(
        1.0,
        "factor of the label beside z in G with --conditional; with 1, images of a class can be all alike",
        gt=0,
        default_text="0.1; 1 for files of earlier versions",
    )
    # Differs from the paper: R1 instead of batch norm in D, and a higher learning rate: see docs/variants/dcgan.md.
    norm: Literal["batch", "spectral", "none"] = option(
        "none", "D's normalisation; batch is the paper's", source="spectral: Miyato et al. 2018"
    )
    upsampling: Literal["resize", "transposed"] = option(
        "transposed",
        "how G doubles the size: repeated pixels and a convolution, or the paper's transposed convolution",
        source="resize: Odena et al. 2016",
        default_text="resize; transposed for files of earlier versions",
    )
    loss: shared_options.Loss = shared_options.adversarial_loss()
    r1: float = shared_options.r1_weight(0.3)
    r2: float = shared_options.r2_weight()
    gp: float = shared_options.gp_weight()
    augment: str | None = option(
        None,
        "DiffAugment policies: colour, translation, cutout, separated by commas; or none",
        source="Zhao et al. 2020",
        default_text="all three for fewer than 5,000 images",
    )
    lr: float = shared_options.learning_rate()
    d_lr: float | None = shared_options.d_learning_rate()
    d_steps: int = shared_options.d_steps()
    lr_decay: float = shared_options.final_decay(0.0)
    lr_schedule: shared_options.DecayShape = shared_options.decay_shape()
    warmup: int = shared_options.warmup_steps()
    beta1: float = shared_options.adam_beta1(source="section 4")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"label_scale": 0.1, "upsampling": "resize", "batch_size": 64, "epochs": 20, "ema": 0.999},
        "quick": {"image_size": 32, "within": "10m"},
        # Differs from the paper: the usual width of 64, half of that in figure 1; 25 epochs, its number for faces.
        "paper": {
            "latent_dim": 100, "width": 64, "norm": "batch", "upsampling": "transposed", "r1": 0.0, "lr": 2e-4,
            "batch_size": 128, "epochs": 25, "ema": 0.0,
        },
    }  # fmt: skip

    defaults_for_grey: ClassVar[Mapping[str, object]] = {"self_conditioned": 100, "lr_decay": 1.0, "ema": 0.9995}

    def check(self) -> None:
        shared_options.check_schedule(self.lr_decay, self.lr_schedule)
        policies = {"none"} if self.augment is None else set(self.augment.split(","))
        if policies != {"none"} and not policies <= {"colour", "translation", "cutout"}:
            raise UsageError(f"--augment {self.augment}: must be none, or some of colour,translation,cutout")
