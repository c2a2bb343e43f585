"""The networks and the training step of the DCGAN. Its options, and a description, are in `dcgan_config`."""

import dataclasses
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.images import to_float
from gancli.nn import adversarial
from gancli.nn.augment import diff_augment
from gancli.nn.clusters import ClusterGenerator
from gancli.nn.layers import ConvAfterDoubling, Tanh, dcgan_init, label_embedding, norm_activation, spectral_norms
from gancli.nn.penalties import Penalties
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Update, Variant, learning_rate_schedule
from gancli.variants.dcgan_config import Config

ALL_POLICIES, FEW_IMAGES = "colour,translation,cutout", 5_000
MAX_WIDTH_FACTOR = 8  # of the feature maps next to the image
COARSEST = 4  # pixels
Kernel = tuple[int, int, int]
HALVING, HALVING_ODD = (4, 2, 1), (3, 2, 1)  # kernel, stride, padding: of even sizes, and of 7 to 4


class Generator(nn.Module):
    """float z `[B, latent_dim]` (and int64 labels `[B]`) → images, float `[B, C, size, size]` in [-1, 1]."""

    def __init__(self, config: Config, images: ImageSpec, num_classes: int, widths: list[int]) -> None:
        super().__init__()
        num_inputs = config.latent_dim
        self.embed = None
        if num_classes:
            self.embed = label_embedding(num_classes, config.latent_dim)
            num_inputs += config.latent_dim
        layers: list[nn.Module] = []
        kernels = [(COARSEST, 1, 0), *halvings(images.size)[:0:-1]]
        for kernel, inputs, outputs in zip(kernels, [num_inputs, *widths[:0:-1]], widths[::-1], strict=True):
            layers += [self.upsampling(config, inputs, outputs, kernel, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        last = self.upsampling(config, widths[0], images.channels, HALVING, bias=True)
        self.layers = nn.Sequential(*layers, last, Tanh())
        dcgan_init(self)

    @staticmethod
    def upsampling(config: Config, num_inputs: int, num_outputs: int, kernel: Kernel, bias: bool) -> nn.Module:
        """Return a layer that doubles the size (4 pixels to 8, or to 7) by `--upsampling`; from 1 pixel to 4, a
        transposed convolution."""
        if config.upsampling == "resize" and kernel in (HALVING, HALVING_ODD):
            return ConvAfterDoubling(num_inputs, num_outputs, bias=bias, odd=kernel == HALVING_ODD)
        return nn.ConvTranspose2d(num_inputs, num_outputs, *kernel, bias=bias)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], 1)
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """Images, float `[B, C, size, size]` (and int64 labels `[B]`, as one more channel) → logits, float `[B, 1]`."""

    def __init__(self, config: Config, images: ImageSpec, num_classes: int, widths: list[int]) -> None:
        super().__init__()
        self.size = images.size
        self.embed = label_embedding(num_classes, images.size**2) if num_classes else None
        batch_norm = config.norm == "batch"
        channels = images.channels + bool(num_classes)
        layers: list[nn.Module] = []
        for kernel, inputs, outputs in zip(halvings(images.size), [channels, *widths[:-1]], widths, strict=True):
            normed = batch_norm and bool(layers)  # not next to the image
            layers += norm_activation(nn.Conv2d(inputs, outputs, *kernel, bias=not normed), normed, nn.LeakyReLU(0.2))
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
    """G: z (and label) → image. D: image (and label) → logit."""

    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        if config.conditional and not images.class_names:
            raise UsageError(
                "--conditional: the images of --dataset have no labels; give a data set that has, or leave it out"
            )
        num_halvings = len(halvings(images.size))
        widths = [config.width * min(2**level, MAX_WIDTH_FACTOR) for level in range(num_halvings)]
        self.policies = () if config.augment in (None, "none") else tuple(config.augment.split(","))
        clusters = 0 if config.conditional else config.self_conditioned
        num_classes = images.num_classes if config.conditional else clusters
        self.latent_shapes = ((config.latent_dim + clusters,),)
        self.generator: nn.Module = Generator(config, images, num_classes, widths)
        self.D = Discriminator(config, images, num_classes, widths)
        self.clusters = None
        if clusters:
            num_pixels = images.channels * images.size**2
            self.generator = self.clusters = ClusterGenerator(self.generator, clusters, num_pixels, self.noise)
        self.networks = {"G": self.generator, "D": self.D}
        self.loss, self.penalties = adversarial.LOSSES[config.loss], Penalties(config.r1, config.r2, config.gp)

    @property
    def conditional(self) -> bool:
        return self.config.conditional

    @classmethod
    def resolve_defaults(cls, config: Config, steps: int, num_images: int) -> Config:  # noqa: ARG003
        """Return `config` with an augmentation if there are few images, and without clusters if there are labels."""
        config = dataclasses.replace(config, self_conditioned=0) if config.conditional else config
        if config.augment is not None:
            return config
        return dataclasses.replace(config, augment=ALL_POLICIES if num_images < FEW_IMAGES else "none")

    def fit_to_images(self, images: Tensor) -> None:
        if self.clusters is not None:
            self.clusters.fit(to_float(images))

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of D, each on its part of the batch, and one of G on the last part. A D with batch norm takes
        real and fake images in separate batches, as their statistics differ. Fake images have the classes, or the
        clusters, of the real ones."""
        for part in batch.parts(self.config.d_steps):
            labels = self.labels(part)
            fake = self.generate(labels)
            if self.config.norm == "batch":
                real_logits = self.augmented_logits(part.images, labels)
                fake_logits = self.augmented_logits(fake.detach(), labels)
            else:
                both = torch.cat([part.images, fake.detach()])
                real_logits, fake_logits = self.augmented_logits(both, labels.repeat(2)).chunk(2)
            d_loss = self.loss.discriminator(real_logits, fake_logits)
            probabilities = adversarial.d_probabilities(real_logits, fake_logits)
            penalty = self.penalties(self.augmented_logits, part.images, fake, labels)
            yield Update("D", d_loss + penalty, {self.loss.term: d_loss, **probabilities})

        fake_logits = self.augmented_logits(fake, labels)
        g_loss = self.loss.generator(fake_logits, lambda: self.augmented_logits(part.images, labels))
        yield Update("G", g_loss, {"g_loss": g_loss})

    def labels(self, batch: Batch) -> Tensor:
        """Return the labels of a batch, int64 `[B]`: its clusters, if there are any."""
        return batch.condition if self.clusters is None else self.clusters.labels(batch.images)

    def generate(self, labels: Tensor) -> Tensor:
        """Return a new image for each label."""
        given = {} if self.clusters is None else {"labels": labels}
        images: Tensor = self.generator(*self.sample_inputs(labels), **given)
        return images

    @classmethod
    def num_parts(cls, config: Config, batch_size: int) -> int:  # noqa: ARG003
        return config.d_steps

    def augmented_logits(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return D's logits of augmented images."""
        logits: Tensor = self.D(diff_augment(images, self.policies), labels)
        return logits

    def d_logits(self, images: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.D(images, self.labels(Batch(images, labels)))
        return logits

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        config = self.config
        return {
            name: Adam(lr, config.beta1, schedule=learning_rate_schedule(config, steps, updates))
            for name, lr, updates in (("G", config.lr, 1), ("D", config.d_lr or config.lr, config.d_steps))
        }


def halvings(size: int) -> list[Kernel]:
    """Return the convolutions (kernel, stride, padding) that halve `size` down to 4. Raises `UsageError` for other
    sizes."""
    kernels = {4 << times: [HALVING] * times for times in range(1, 9)}
    kernels |= {7 << times: [*[HALVING] * times, HALVING_ODD] for times in range(1, 9)}
    if size not in kernels:
        smaller, larger = sorted(s for s in kernels if s < size)[-1:], sorted(s for s in kernels if s > size)[:1]
        near = " and ".join(map(str, (*smaller, *larger)))
        raise UsageError(f"--image-size {size}: must be 4 or 7 times a power of two for dcgan; the nearest: {near}")
    return kernels[size]
