"""The text of a small variant from outside, for tests to write, change and break."""

MYGAN = '''"""My GAN: two linear maps.

Paper: none.

It is small.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gancli.config import VariantConfig, option
from gancli.errors import UsageError
from gancli.nn import adversarial
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Update, Variant


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    hidden: int = option(8, "units of the hidden layer", ge=1, le=4096)
    lr: float = option(1e-3, "learning rate", gt=0, le=1)

    presets = {"default": {"batch_size": 16, "epochs": 1, "ema": 0.5}, "wide": {"hidden": 12}}


class MyGAN(Variant):
    convolutional = False

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        shape = (images.channels, images.size, images.size)
        values = images.channels * images.size**2
        self.latent_shapes = ((6,),)
        self.generator = nn.Sequential(
            nn.Linear(6, config.hidden), nn.ReLU(), nn.Linear(config.hidden, values), nn.Tanh(), nn.Unflatten(1, shape)
        )
        self.D = nn.Sequential(nn.Flatten(), nn.Linear(values, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 1))
        self.networks = {"G": self.generator, "D": self.D}

    def step(self, batch: Batch) -> Iterator[Update]:
        real = batch.images
        fake = self.generator(*self.sample_latents(len(real), real.device))
        real_logits, fake_logits = self.D(real), self.D(fake.detach())
        loss = nn.functional.softplus(-real_logits).mean() + nn.functional.softplus(fake_logits).mean()
        yield Update("D", loss, {"d_loss": loss})

        g_loss = nn.functional.softplus(-self.D(fake)).mean()
        yield Update("G", g_loss, {"g_loss": g_loss})

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        return {name: Adam(self.config.lr) for name in self.networks}
'''
RUN = (
    "--image-size",
    "8",
    "--steps",
    "6",
    "--log-every",
    "3",
    "--device",
    "cpu",
    "--threads",
    "1",
    "--progress",
    "plain",
)
