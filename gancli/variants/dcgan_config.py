"""Deep convolutional GAN: strided convolutions and batch norm.

Paper: Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks, 2015, arXiv:1511.06434

G doubles the picture from 4×4 (the paper: by transposed convolutions), D halves it by strided ones (28→14→7→4); there
is no pooling and no hidden fully connected layer. Sizes are 4 or 7 times a power of two: 28, 32, 64, 128. The default
adds what practice has found since: G repeats pixels and convolves them, in D a gradient penalty on real pictures (R1)
takes the place of batch norm, the steps are five times as long, and G is averaged. Options: spectral norm in D,
DiffAugment where pictures are few, labels in G and D. The preset `paper` has the paper's own values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gancli.config import VariantConfig, option, shared_options
from gancli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the DCGAN."""

    latent_dim: int = option(64, "length of z", ge=1, le=8192)
    width: int = option(32, "feature maps next to the picture; doubled at each halving, up to 8 times", ge=1, le=1024)
    conditional: bool = option(False, "feed the label to G and D, so that `gan sample --label` can ask for one")
    # Differs from the paper: R1 instead of batch norm in D, and longer steps: see docs/variants/dcgan.md.
    norm: Literal["batch", "spectral", "none"] = option(
        "none", "D's normalisation; batch is the paper's", source="spectral: Miyato et al. 2018"
    )
    upsampling: Literal["resize", "transposed"] = option(
        "transposed",
        "how G doubles: pixels repeated and convolved, or the paper's transposed convolution",
        source="resize: Odena et al. 2016",
        default_text="resize; files of an earlier gan: transposed",
    )
    loss: shared_options.Loss = shared_options.adversarial_loss()
    r1: float = shared_options.r1_weight(0.3)
    r2: float = shared_options.r2_weight()
    gp: float = shared_options.gp_weight()
    augment: str | None = option(
        None,
        "DiffAugment: colour, translation, cutout, joined by commas; or none",
        source="Zhao et al. 2020",
        default_text="all three for fewer than 5,000 pictures",
    )
    lr: float = shared_options.learning_rate()
    lr_decay: float = shared_options.final_decay(0.0)
    beta1: float = shared_options.adam_beta1(source="section 4")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"upsampling": "resize", "batch_size": 64, "epochs": 20, "ema": 0.999},
        # Differs from the paper: the usual width of 64, half of its figure 1; as many epochs as it gives for faces (25).
        "paper": {
            "latent_dim": 100, "width": 64, "norm": "batch", "upsampling": "transposed", "r1": 0.0, "lr": 2e-4,
            "batch_size": 128, "epochs": 25, "ema": 0.0,
        },
    }  # fmt: skip

    def check(self) -> None:
        policies = {"none"} if self.augment is None else set(self.augment.split(","))
        if policies != {"none"} and not policies <= {"colour", "translation", "cutout"}:
            raise UsageError(f"--augment {self.augment}: must be none, or of colour, translation, cutout with commas")
