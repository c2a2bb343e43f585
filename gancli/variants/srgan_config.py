"""Super-resolution GAN: images enlarged 2, 4 or 8 times, with plausible detail.

Paper: Ledig, Theis, Huszár, Caballero et al.: Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network, 2017, arXiv:1609.04802

Training has two phases: in the first, G minimises the mean squared error (pretrain, "SRResNet"); in the second, also an
adversarial loss. The content loss of the second phase is the squared error of pixels (the paper's SRGAN-MSE) or, with
`--content vgg`, of features of a VGG19 network trained on ImageNet. The default suits short runs: a smaller G without batch
norm that adds detail to the bicubic enlargement, and a learning rate that decays. The preset `paper` has the paper's
networks, losses and numbers of steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gancli.config import VariantConfig, option, shared_options
from gancli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the SRGAN."""

    scale: int = option(4, "enlargement factor: 2, 4 or 8", ge=2, le=8)
    width: int = option(32, "feature maps of G", ge=1, le=1024, source="64 in section 2.1.1")
    blocks: int = option(8, "residual blocks of G", ge=0, le=256, source="16 in section 3.2")
    norm: Literal["batch", "none"] = option(
        "none", "G's normalisation; batch is the paper's", source="none: Lim et al. 2017"
    )
    skip: Literal["bicubic", "none"] = option("bicubic", "base image that G's detail is added to; none is the paper's")
    upsampler: Literal["direct", "doubling"] = option(
        "doubling",
        "last layers of G; direct: one 3x3 convolution and pixel shuffle; doubling is the paper's: one for each factor of "
        "2, and a 9x9 convolution",
        source="direct: Shi et al. 2016",
    )
    d_width: int = option(24, "feature maps of D's first layer; doubled with depth, up to 8 times", ge=1, le=1024)
    d_norm: Literal["batch", "spectral"] = option("spectral", "D's normalisation; batch is the paper's")
    content: Literal["mse", "features", "vgg"] = option(
        "mse", "content loss of the adversarial phase; mse: pixels; features: pixels and D's features; vgg: VGG19 features "
        "(weights: see --vgg-weights)",
        source="section 2.2.1; features: Wang et al. 2018",
    )  # fmt: skip
    vgg_weights: str | None = option(
        None,
        "safetensors file with torchvision's VGG19 weights",
        metavar="FILE",
        path=True,
        default_text="torchvision's download",
    )
    loss: shared_options.Loss = shared_options.adversarial_loss()
    r1: float = shared_options.r1_weight(0.0)
    r2: float = shared_options.r2_weight()
    gp: float = shared_options.gp_weight()
    adversarial: float = option(1e-3, "weight of the adversarial loss", ge=0, le=1000, source="equation 3")
    pretrain_steps: int | None = option(
        None, "steps of the first phase", ge=0, le=10**12, default_text="five sixths of the run"
    )
    lr: float = shared_options.learning_rate(part=" in the first phase")
    adversarial_lr: float = shared_options.learning_rate(2e-4, " in the second phase")
    decay: Literal["cosine", "step"] = option(
        "cosine",
        "learning rate schedule of a phase: cosine to a hundredth; step: a tenth in the second half of the second phase",
    )
    beta1: float = shared_options.adam_beta1(0.9, source="section 3.2")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"upsampler": "direct", "batch_size": 16, "steps": 4000, "ema": 0.99},
        "quick": {"within": "10m"},
        # Differs from the paper: G reads images in [-1, 1] (the paper: [0, 1]), and D's images may have any size.
        "paper": {
            "width": 64, "blocks": 16, "norm": "batch", "skip": "none", "upsampler": "doubling", "d_width": 64,
            "d_norm": "batch", "content": "vgg", "pretrain_steps": 1_000_000, "lr": 1e-4, "adversarial_lr": 1e-4,
            "decay": "step", "batch_size": 16, "steps": 1_200_000, "ema": 0.0,
        },
    }  # fmt: skip

    def check(self) -> None:
        if self.scale not in (2, 4, 8):
            raise UsageError(f"--scale {self.scale}: must be 2, 4 or 8")
        if self.vgg_weights is not None and self.content != "vgg":
            raise UsageError(f"--vgg-weights {self.vgg_weights}: is for --content vgg")
