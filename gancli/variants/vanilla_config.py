"""GAN: two fully connected networks, the original.

Paper: Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio: Generative Adversarial Nets, 2014,
arXiv:1406.2661

G maps noise z to an image through two hidden layers; D maps an image to one logit, real or generated. Each batch updates D
and G once. The default adds later findings: batch norm in G, a gradient penalty on real images (R1), and clusters of the
images in place of classes (`--self-conditioned`; 0: none). The preset `article` is the well-known TensorFlow 1 tutorial on
MNIST: two layers of 128 units, uniform z, one-sided label smoothing, Adam with learning rate 1e-3. The preset `paper` is
the paper's MNIST experiment: maxout D with dropout, SGD.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gancli.config import option, shared_options
from gancli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Config(shared_options.FullyConnectedConfig):
    """Options of the vanilla GAN."""

    smoothing: float = option(0.0, "how far D's target for real images lies below 1", ge=0, lt=1)
    shift: float = option(
        0.0, "fraction of D's images shifted by up to a fourteenth of their side", ge=0, le=1, source="Zhao et al. 2020"
    )

    r1: float = shared_options.r1_weight(0.3)
    self_conditioned: int = shared_options.num_clusters("100")

    def check(self) -> None:
        super().check()
        if self.smoothing and self.loss != "non-saturating":
            raise UsageError(f"--loss {self.loss}: has no targets to smooth; give --smoothing 0, not {self.smoothing}")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"self_conditioned": 100, "lr_decay": 1.0, "batch_size": 64, "epochs": 80, "ema": 0.9995},
        "quick": {"image_size": 32, "within": "10m"},
        "article": {
            "latent_dim": 100, "noise": "uniform", "width": 128, "inner_width": 128, "norm": "none", "r1": 0.0,
            "smoothing": 0.1, "self_conditioned": 0, "beta1": 0.9, "lr_decay": 0.0, "batch_size": 100, "epochs": 500,
            "ema": 0.0,
        },
        # Differs from the paper: PyTorch's initial weights, no limit on the norm of D's columns, a fixed number of epochs.
        "paper": {
            "latent_dim": 100, "noise": "unit-uniform", "width": 1200, "inner_width": 1200, "slope": 0.0, "norm": "none",
            "r1": 0.0, "self_conditioned": 0, "discriminator": "maxout", "input_dropout": 0.2, "dropout": 0.5,
            "optimizer": "sgd", "lr_decay": 0.0, "lr": 0.1, "batch_size": 100, "epochs": 300, "ema": 0.0,
        },
    }  # fmt: skip
