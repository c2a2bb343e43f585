"""Toy: three independent pairs of networks, as LAPGAN has them.

Paper: none; it proves the contract before it is needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gancli.config import VariantConfig, option
from gancli.nn import adversarial
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Update, Variant


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the toy."""

    toy_width: int = option(8, "units of the hidden layer", ge=1, le=64)

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 16, "epochs": 1, "ema": 0.9},
        "wide": {"toy_width": 16},
    }


class Chain(nn.Module):
    """The mean of three generators' pictures."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, *latents: Tensor) -> Tensor:
        return torch.stack([g(z) for g, z in zip(self.members, latents, strict=True)]).mean(0)


class ThreePairs(Variant):
    convolutional = False
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        pixels = images.channels * images.size**2
        shape = (images.channels, images.size, images.size)
        width = config.toy_width
        generators: list[nn.Module] = [
            nn.Sequential(
                nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(),
                nn.Linear(width, pixels), nn.Tanh(), nn.Unflatten(1, shape),
            )
            for _ in range(3)
        ]  # fmt: skip
        self.generator = Chain(generators)
        self.networks = {f"G{level}": g for level, g in enumerate(generators)} | {
            f"D{level}": nn.Sequential(nn.Flatten(), nn.Linear(pixels, 1), nn.Dropout(0.1)) for level in range(3)
        }
        self.latent_shapes = ((4,), (4,), (4,))

    def step(self, batch: Batch) -> Iterator[Update]:
        for level, z in enumerate(self.sample_inputs(batch.condition)):
            generator, discriminator = self.networks[f"G{level}"], self.networks[f"D{level}"]
            fake = generator(z)
            d_loss = adversarial.discriminator(discriminator(batch.images), discriminator(fake.detach()))
            yield Update(f"D{level}", d_loss, {f"d_loss_{level}": d_loss})
            g_loss = adversarial.non_saturating(discriminator(fake))
            yield Update(f"G{level}", g_loss, {f"g_loss_{level}": g_loss})

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:  # noqa: ARG002
        return dict.fromkeys(self.networks, Adam(1e-3, 0.5))
