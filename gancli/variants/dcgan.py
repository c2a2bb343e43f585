"""The networks and the training step of the DCGAN; `dcgan_config` has its page and its options."""

import dataclasses
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.nn import losses
from gancli.nn.augment import diff_augment
from gancli.nn.games import GAMES, Penalties
from gancli.nn.layers import ConvAfterDoubling, Tanh, dcgan_init, spectral_norms
from gancli.variant import Adam, Optimizer, Update, Variant, linear_decay
from gancli.variants.dcgan_config import Config

ALL_POLICIES, FEW_IMAGES = "colour,translation,cutout", 5_000
MAX_WIDENING = 8  # of feature maps, from the picture inwards
COARSEST = 4  # pixels
Kernel = tuple[int, int, int]
HALVING, HALVING_ODD = (4, 2, 1), (3, 2, 1)  # kernel, stride, padding: of an even size, and of 7 to 4 (and back)


class Generator(nn.Module):
    """float z `[B, latent_dim]` (and int64 labels `[B]`) → pictures, float `[B, C, size, size]` in [-1, 1]."""

    def __init__(self, config: Config, images: ImageSpec, widths: list[int]) -> None:
        super().__init__()
        num_inputs = config.latent_dim
        self.embed = None
        if config.conditional:
            self.embed = nn.Embedding(images.num_classes, config.latent_dim)
            num_inputs += config.latent_dim
        layers: list[nn.Module] = []
        kernels = [(COARSEST, 1, 0), *halvings(images.size)[:0:-1]]
        for kernel, fewer, more in zip(kernels, [num_inputs, *widths[:0:-1]], widths[::-1], strict=True):
            layers += [self.enlarging(config, fewer, more, kernel, bias=False), nn.BatchNorm2d(more), nn.ReLU()]
        last = self.enlarging(config, widths[0], images.channels, HALVING, bias=True)
        self.layers = nn.Sequential(*layers, last, Tanh())
        dcgan_init(self)

    @staticmethod
    def enlarging(config: Config, num_inputs: int, num_outputs: int, kernel: Kernel, bias: bool) -> nn.Module:
        """Doubling a side (4 pixels to 8, or to 7) as `--upsampling` says; from 1 to 4 by a transposed convolution."""
        if config.upsampling == "resize" and kernel in (HALVING, HALVING_ODD):
            return ConvAfterDoubling(num_inputs, num_outputs, bias=bias, odd=kernel == HALVING_ODD)
        return nn.ConvTranspose2d(num_inputs, num_outputs, *kernel, bias=bias)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], 1)
        pictures: Tensor = self.layers(z[:, :, None, None])
        return pictures


class Discriminator(nn.Module):
    """Pictures (and int64 labels `[B]`, which come in as one more channel) → logits, float `[B, 1]`."""

    def __init__(self, config: Config, images: ImageSpec, widths: list[int]) -> None:
        super().__init__()
        self.size = images.size
        self.embed = nn.Embedding(images.num_classes, images.size**2) if config.conditional else None
        batch_norm = config.norm == "batch"
        channels = images.channels + config.conditional
        layers: list[nn.Module] = []
        for kernel, fewer, more in zip(halvings(images.size), [channels, *widths[:-1]], widths, strict=True):
            normed = batch_norm and bool(layers)
            layers.append(nn.Conv2d(fewer, more, *kernel, bias=not normed))
            layers += [nn.BatchNorm2d(more)] if normed else []
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, COARSEST), nn.Flatten())
        dcgan_init(self)
        if config.norm == "spectral":
            spectral_norms(self.layers)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        if self.embed is not None:
            x = torch.cat([x, self.embed(labels).view(-1, 1, self.size, self.size)], 1)
        logits: Tensor = self.layers(x)
        return logits


class Dcgan(Variant):
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        if config.conditional and not images.class_names:
            raise UsageError(
                "--conditional: the images of --dataset have no labels; give a data set that has, or leave it out"
            )
        num_halvings = len(halvings(images.size))
        widths = [config.width * min(2**level, MAX_WIDENING) for level in range(num_halvings)]
        self.policies = () if config.augment in (None, "none") else tuple(config.augment.split(","))
        self.latent_shapes = ((config.latent_dim,),)
        self.generator = Generator(config, images, widths)
        self.D = Discriminator(config, images, widths)
        self.networks = {"G": self.generator, "D": self.D}
        self.game, self.penalties = GAMES[config.loss], Penalties(config.r1, config.r2, config.gp)

    @property
    def conditional(self) -> bool:
        return self.config.conditional

    @classmethod
    def settled(cls, config: Config, steps: int, num_images: int) -> Config:  # noqa: ARG003
        """With the augmentation that so many pictures need."""
        few = ALL_POLICIES if num_images < FEW_IMAGES else "none"
        return config if config.augment is not None else dataclasses.replace(config, augment=few)

    def step(self, batch: Batch) -> Iterator[Update]:
        """D, then G. In a batch-normalised D, real and fake pictures are batches of their own: their statistics differ."""
        labels = batch.condition
        fake = self.generator(*self.inputs(labels))
        if self.config.norm == "batch":
            real_logits, fake_logits = self.believe(batch.images, labels), self.believe(fake.detach(), labels)
        else:
            both = torch.cat([batch.images, fake.detach()])
            real_logits, fake_logits = self.believe(both, labels.repeat(2)).chunk(2)
        d_loss = self.game.discriminator(real_logits, fake_logits)
        believed = {"d_real": losses.probability(real_logits), "d_fake": losses.probability(fake_logits)}
        penalty = self.penalty(batch, fake) if self.penalties else 0.0
        yield Update("D", d_loss + penalty, {self.game.term: d_loss, **believed})

        g_loss = self.game.generator(self.believe(fake, labels), lambda: self.believe(batch.images, labels))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def believe(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """D's logits of augmented pictures."""
        logits: Tensor = self.D(diff_augment(pictures, self.policies), labels)
        return logits

    def penalty(self, batch: Batch, fake: Tensor) -> Tensor | float:
        few = losses.penalised(batch.images)
        labels = few.of(batch.condition)
        return self.penalties.of(lambda x: self.believe(x, labels), few.of(batch.images), few.of(fake), few)

    def judged(self, pictures: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.D(pictures, labels)
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        adam = Adam(self.config.lr, self.config.beta1, schedule=linear_decay(self.config.lr_decay, steps))
        return {"G": adam, "D": adam}


def halvings(size: int) -> list[Kernel]:
    """The convolutions (kernel, stride, padding) that halve `size` down to 4. Raises `UsageError` for sizes they can't."""
    kernels = {4 << times: [HALVING] * times for times in range(1, 9)}
    kernels |= {7 << times: [*[HALVING] * times, HALVING_ODD] for times in range(1, 9)}
    if size not in kernels:
        smaller, larger = sorted(s for s in kernels if s < size)[-1:], sorted(s for s in kernels if s > size)[:1]
        near = " and ".join(map(str, (*smaller, *larger)))
        raise UsageError(f"--image-size {size}: must be 4 or 7 times a power of two for dcgan; the nearest: {near}")
    return kernels[size]
