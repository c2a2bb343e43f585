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
from gancli.nn.dcgan_networks import Discriminator, Generator
from gancli.nn.penalties import Penalties
from gancli.spec import Batch, ImageSpec
from gancli.variant import Adam, Optimizer, Update, Variant, learning_rate_schedule
from gancli.variants.dcgan_config import Config

ALL_POLICIES, FEW_IMAGES = "colour,translation,cutout", 5_000


class Dcgan(Variant):
    """G: z (and label) → image. D: image (and label) → logit."""

    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        if config.conditional and not images.class_names:
            raise UsageError(
                "--conditional: the images of --dataset have no labels; give a data set that has, or leave it out"
            )
        self.policies = () if config.augment in (None, "none") else tuple(config.augment.split(","))
        clusters = 0 if config.conditional else config.self_conditioned
        num_classes = images.num_classes if config.conditional else clusters
        self.latent_shapes = ((config.latent_dim + clusters,),)
        self.generator: nn.Module = Generator(
            images, num_classes, latent_dim=config.latent_dim, width=config.width, upsampling=config.upsampling,
            label_scale=config.label_scale if config.conditional else 1.0,
        )  # fmt: skip
        self.D = Discriminator(images, num_classes, width=config.width, norm=config.norm)
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
