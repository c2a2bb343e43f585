"""WGAN-GP: a critic that estimates a distance, and a penalty that keeps the norm of its gradient at 1.

Paper: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved Training of Wasserstein GANs, 2017, arXiv:1704.00028

D is not a classifier of real and fake images but a critic: the difference between its mean scores of real and of fake images
estimates the Wasserstein-1 distance between them, as long as the norm of D's gradient is at most 1. A penalty on norms that
differ from 1, at images between real and fake ones, ensures this; its gradient needs D's second derivatives. D is updated
several times for each update of G, each time on another part of the batch. G doubles the size with transposed convolutions,
and D halves it with strided ones. The preset `paper` has the values of the paper's Algorithm 1.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gancli.config import VariantConfig, option
from gancli.errors import UsageError
from gancli.nn.layers import Tanh
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Update, Variant


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the WGAN-GP."""

    latent_dim: int = option(64, "length of z", ge=1, le=8192)
    width: int = option(16, "feature maps next to the image; doubled at each halving", ge=1, le=1024)
    critic_updates: int = option(
        5, "updates of D per step, each on its part of the batch, before G's one", ge=1, le=100, source="Algorithm 1"
    )
    penalty: float = option(10.0, "weight of the gradient penalty", gt=0, le=1000, source="Algorithm 1")
    # Differs from the paper: a higher learning rate, for images as small as digits and runs of minutes.
    lr: float = option(5e-4, "Adam's learning rate", gt=0, le=1)
    beta1: float = option(0.0, "Adam's beta1", ge=0, lt=1, source="Algorithm 1")
    beta2: float = option(0.9, "Adam's beta2", ge=0, lt=1, source="Algorithm 1")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 320, "epochs": 50, "ema": 0.99},
        # The paper's m = 64 images for each of five updates; its networks are larger.
        "paper": {"lr": 1e-4, "batch_size": 320, "ema": 0.0},
    }


COARSEST = (4, 5, 6, 7)  # pixels
DOUBLING = (4, 2, 1)  # kernel, stride, padding; a strided convolution with them halves the size


class WganGp(Variant):
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        num_halvings, coarsest = halvings(images.size)
        widths = [config.width * 2**level for level in range(num_halvings)]
        self.latent_shapes = ((config.latent_dim,),)
        self.generator = build_generator(config.latent_dim, widths, images.channels, coarsest)
        self.D = build_critic(widths, images.channels, coarsest)
        self.networks = {"G": self.generator, "D": self.D}

    @classmethod
    def num_parts(cls, config: Config, batch_size: int) -> int:
        return min(config.critic_updates, batch_size)

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of Algorithm 1: `critic_updates` of D, each with new images and noise, then one of G."""
        parts = batch.images.tensor_split(self.num_parts(self.config, len(batch.images)))
        for real in parts:
            with torch.no_grad():
                fake = self.generator(*self.sample_latents(len(real), real.device))
            real_scores, fake_scores = self.D(torch.cat([real, fake])).float().chunk(2)
            distance = real_scores.mean() - fake_scores.mean()
            penalty, slope = gradient_penalty(self.D, real, fake)
            yield Update("D", self.config.penalty * penalty - distance, {"distance": distance, "slope": slope})

        fake = self.generator(*self.sample_latents(len(parts[0]), batch.images.device))
        g_loss = -self.D(fake).float().mean()
        yield Update("G", g_loss, {"g_loss": g_loss})

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:  # noqa: ARG002
        adam = Adam(self.config.lr, self.config.beta1, self.config.beta2)
        return {"G": adam, "D": adam}


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return E(‖∇D(x)‖ − 1)² and E‖∇D(x)‖ at random points x between real and fake images, float `[B, C, H, W]` both
    (equation 3 of the paper). Always computed in fp32 or finer: half precision is too coarse for second derivatives."""
    with torch.autocast(real.device.type, enabled=False):
        share = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
        between = (share * real + (1 - share) * fake).detach().requires_grad_()
        (gradients,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        lengths = gradients.flatten(1).norm(dim=1)
        return (lengths - 1).square().mean(), lengths.mean()


def build_generator(latent_dim: int, widths: list[int], channels: int, coarsest: int) -> nn.Module:
    """Return a network: float z `[B, latent_dim]` → images, float `[B, channels, size, size]` in [-1, 1]."""
    deepest = widths[-1] * 2
    layers: list[nn.Module] = [nn.Linear(latent_dim, deepest * coarsest**2, bias=False)]
    layers += [nn.Unflatten(1, (deepest, coarsest, coarsest)), nn.BatchNorm2d(deepest), nn.ReLU()]
    for more, fewer in zip([deepest, *widths[:0:-1]], widths[::-1], strict=True):
        layers += [nn.ConvTranspose2d(more, fewer, *DOUBLING, bias=False), nn.BatchNorm2d(fewer), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(widths[0], channels, 3, padding=1), Tanh())


def build_critic(widths: list[int], channels: int, coarsest: int) -> nn.Module:
    """Return a network: images → scores, float `[B, 1]`, unbounded; without batch norm, as each image has its own gradient
    (section 4)."""
    layers: list[nn.Module] = []
    for fewer, more in zip([channels, *widths[:-1]], widths, strict=True):
        layers += [nn.Conv2d(fewer, more, *DOUBLING), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * coarsest**2, 1))


def halvings(size: int) -> tuple[int, int]:
    """Return how often `size` is halved, and the 4 to 7 pixels that are left. Raises `UsageError` for other sizes."""
    for times in range(1, 9):
        if size % 2**times == 0 and size // 2**times in COARSEST:
            return times, size // 2**times
    raise UsageError(f"--image-size {size}: must be 4 to 7 times a power of two for wgan_gp, such as 28, 32 or 64")
