"""R3GAN: a relativistic loss, two gradient penalties, and residual networks without normalisation.

Paper: Huang, Gokaslan, Kuleshov, Tompkin: The GAN is dead; long live the GAN! A Modern Baseline GAN, 2024, arXiv:2501.05441

D compares: its loss is that of the difference between the logits of a real and a fake image (RpGAN). A penalty on the slope
of D at real images (R1) and one at fake images (R2) make training converge. G and D mirror each other: stages of residual
blocks, each a 1×1 convolution, a grouped 3×3 one and a 1×1 one, with bilinear resizing between stages, and neither
normalisation nor other devices of StyleGAN. Initial weights keep the variance in a deep network without normalisation
(Fixup): the last convolution of a block is 0. Scaled down from the paper, for images of 28 to 64 pixels.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.config import VariantConfig, option
from gancli.errors import UsageError
from gancli.nn import adversarial, penalties
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Update, Variant

COARSEST = (4, 5, 6, 7)  # pixels
MAX_WIDTH_FACTOR = 4  # of the feature maps next to the image
SLOPE = 0.2  # of the leaky ReLU
GAIN = math.sqrt(2 / (1 + SLOPE**2))
FINAL_LR = 0.25  # the paper: from 2e-4 to 5e-5


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the R3GAN."""

    latent_dim: int = option(64, "length of z", ge=1, le=8192, source="appendix")
    width: int = option(16, "feature maps next to the image; doubled at each halving, up to 4 times", ge=1, le=1024)
    blocks: int = option(1, "residual blocks per size", ge=1, le=16, source="section 4")
    expansion: int = option(2, "how many times wider a block is inside", ge=1, le=8, source="section 4, config E")
    group_width: int = option(16, "feature maps per group of the 3x3 convolutions", ge=1, le=1024, source="ResNeXt")
    gamma: float = option(1.0, "weight of R1 and R2", gt=0, le=1000, source="table 6; depends on the dataset")
    # Differs from the paper: a higher learning rate, for images as small as digits and runs of minutes.
    lr: float = option(5e-4, "Adam's learning rate, which falls to a quarter over the run", gt=0, le=1)
    beta2: float = option(0.99, "Adam's beta2", ge=0, lt=1, source="appendix")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 64, "epochs": 20, "ema": 0.999},
        "paper": {"width": 96, "blocks": 2, "lr": 2e-4, "batch_size": 256, "ema": 0.9995},
    }

    def check(self) -> None:
        if self.width * self.expansion % self.group_width:
            raise UsageError(
                f"--group-width {self.group_width}: must divide --width times --expansion, {self.width * self.expansion}"
            )


class R3gan(Variant):
    contract = 1
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        times, coarsest = halvings(images.size)
        widths = [config.width * min(2**level, MAX_WIDTH_FACTOR) for level in range(times + 1)]
        self.latent_shapes = ((config.latent_dim,),)
        self.generator = Generator(config, images.channels, widths, coarsest)
        self.D = Discriminator(config, images.channels, widths, coarsest)
        self.networks = {"G": self.generator, "D": self.D}
        self.penalties = penalties.Penalties(r1=config.gamma, r2=config.gamma)

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield an update of D and one of G, each on pairs of a real and a fake image (equation 2)."""
        real = batch.images
        fake = self.generator(*self.sample_latents(len(real), real.device))
        real_logits, fake_logits = self.D(torch.cat([real, fake.detach()])).chunk(2)
        d_loss = adversarial.relativistic(real_logits, fake_logits)
        # Differs from the paper: the penalties are those of an eighth of the batch, and their weight γ does not fall.
        penalty = self.penalties(self.D, real, fake)
        yield Update("D", d_loss + penalty, {"d_loss": d_loss, "penalty": torch.as_tensor(penalty)})

        g_loss = adversarial.relativistic(self.D(fake), self.D(real))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def d_logits(self, images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        logits: Tensor = self.D(images)
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        def cosine(updates: int) -> float:
            return FINAL_LR + (1 - FINAL_LR) * (1 + math.cos(math.pi * min(1.0, updates / steps))) / 2

        adam = Adam(self.config.lr, 0.0, self.config.beta2, schedule=cosine)
        return {"G": adam, "D": adam}


class Block(nn.Module):
    """A residual block: float `[B, width, h, w]` → the same shape. `num_blocks`: of its network, for the initial weights."""

    def __init__(self, config: Config, width: int, num_blocks: int) -> None:
        super().__init__()
        inner = width * config.expansion
        gain = GAIN * num_blocks ** (-1 / 4)  # Fixup (Zhang et al. 2019): L^(-1/(2m-2)) for m = 3 layers
        self.widen = convolution(width, inner, 1, gain)
        self.spatial = convolution(inner, inner, 3, gain, groups=inner // config.group_width)
        self.narrow = convolution(inner, width, 1, 0.0)
        self.bias1, self.bias2 = (nn.Parameter(torch.zeros(inner, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.widen(x) + self.bias1, SLOPE)
        y = F.leaky_relu(self.spatial(y) + self.bias2, SLOPE)
        narrowed: Tensor = self.narrow(y)
        return x + narrowed


class Resize(nn.Module):
    """Bilinear resizing by `factor`, 2 or ½, and a 1×1 convolution if the width changes."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.widths = convolution(inputs, outputs, 1, 1.0) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.factor < 1:  # each pixel is the mean of four
            y: Tensor = self.widths(F.avg_pool2d(x, 2))
            return y
        return F.interpolate(self.widths(x), scale_factor=self.factor, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """float z `[B, latent_dim]` → images, float `[B, C, size, size]`; z weighs learned maps of `coarsest` pixels."""

    def __init__(self, config: Config, channels: int, widths: list[int], coarsest: int) -> None:
        super().__init__()
        deepest, count = widths[-1], config.blocks * len(widths)
        self.basis = nn.Parameter(torch.randn(deepest, coarsest, coarsest))
        self.weigh = nn.Linear(config.latent_dim, deepest, bias=False)
        nn.init.normal_(self.weigh.weight, std=config.latent_dim**-0.5)
        layers: list[nn.Module] = [Block(config, deepest, count) for _ in range(config.blocks)]
        for more, fewer in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += [Resize(more, fewer, 2), *(Block(config, fewer, count) for _ in range(config.blocks))]
        self.layers = nn.Sequential(*layers, convolution(widths[0], channels, 1, 1.0))

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.layers(self.basis * self.weigh(z)[:, :, None, None])
        return images.clamp(-1, 1) if not self.training else images


class Discriminator(nn.Module):
    """Images → logits, float `[B, 1]`; the mirror image of the generator."""

    def __init__(self, config: Config, channels: int, widths: list[int], coarsest: int) -> None:
        super().__init__()
        deepest, count = widths[-1], config.blocks * len(widths)
        layers: list[nn.Module] = [convolution(channels, widths[0], 1, 1.0)]
        for fewer, more in itertools.pairwise(widths):
            layers += [*(Block(config, fewer, count) for _ in range(config.blocks)), Resize(fewer, more, 0.5)]
        layers += [Block(config, deepest, count) for _ in range(config.blocks)]
        layers += [convolution(deepest, deepest, coarsest, 1.0, groups=deepest), nn.Flatten()]
        last = nn.Linear(deepest, 1, bias=False)
        nn.init.normal_(last.weight, std=deepest**-0.5)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


def convolution(inputs: int, outputs: int, side: int, gain: float, groups: int = 1) -> nn.Module:
    """Return a convolution without bias: of a `side` up to 3 it keeps the size; one of the whole image leaves one pixel.
    Its initial weights have the standard deviation `gain`/√(inputs of a value)."""
    padding = side // 2 if side <= 3 else 0
    layer = nn.Conv2d(inputs, outputs, side, padding=padding, groups=groups, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs // groups * side**2))
    return layer


def halvings(size: int) -> tuple[int, int]:
    """Return how often `size` is halved, and the 4 to 7 pixels that are left. Raises `UsageError` for other sizes."""
    for times in range(1, 9):
        if size % 2**times == 0 and size // 2**times in COARSEST:
            return times, size // 2**times
    raise UsageError(f"--image-size {size}: must be 4 to 7 times a power of two for r3gan, such as 28, 32 or 64")
