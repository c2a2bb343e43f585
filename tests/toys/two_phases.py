"""Toy: two phases with different steps, networks and optimizers, as SRGAN has them.

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
from gancli.variant import Adam, Optimizer, Phase, Sgd, Update, Variant


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the toy."""

    pretrain_share: float = option(0.5, "share of the steps spent on pretraining", gt=0, lt=1)

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {"default": {"batch_size": 16, "epochs": 1, "ema": 0.0}}


class Labelled(nn.Module):
    """A picture from noise and a label."""

    def __init__(self, num_classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.embed = nn.Embedding(max(1, num_classes), 4)
        self.paint = nn.Conv2d(4, shape[0], 3, padding=1)
        self.size = shape[1]

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        plane = self.embed(labels)[:, :, None, None].expand(-1, -1, self.size, self.size)
        return torch.tanh(self.paint(plane + z))


class TwoPhases(Variant):
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.generator = Labelled(images.num_classes, (images.channels, images.size, images.size))
        side = (images.size - 1) // 2
        self.D = nn.Sequential(
            nn.Conv2d(images.channels, 4, 3, 2), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * side**2, 1)
        )
        self.networks = {"G": self.generator, "D": self.D}
        self.latent_shapes = ((4, images.size, images.size),)

    @property
    def conditional(self) -> bool:
        return True

    def pretrain_step(self, batch: Batch) -> Iterator[Update]:
        content = (self.generator(*self.sample_inputs(batch.condition)) - batch.images).square().mean()
        yield Update("G", content, {"content": content})

    def step(self, batch: Batch) -> Iterator[Update]:
        fake = self.generator(*self.sample_inputs(batch.condition))
        d_loss = adversarial.discriminator(self.D(batch.images), self.D(fake.detach()))
        yield Update("D", d_loss, {"d_loss": d_loss})
        g_loss = adversarial.non_saturating(self.D(fake))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:  # noqa: ARG002
        falling = Sgd(0.01, momentum=lambda n: min(0.7, 0.5 + n / 100), schedule=lambda n: 0.99**n)
        return {"G": Adam(1e-3, 0.5), "D": falling}

    def phases(self, steps: int) -> tuple[Phase, ...]:
        pretrain = round(steps * self.config.pretrain_share)
        return (
            Phase("pretrain", pretrain, self.pretrain_step, {"G": Adam(1e-2)}),
            Phase("adversarial", steps - pretrain, self.step, self.optimizers(steps - pretrain)),
        )
