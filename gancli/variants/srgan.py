"""The networks and the training steps of the SRGAN. Its options, and a description, are in `srgan_config`."""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.batches.pairs import upsample_bicubic
from gancli.config.paths import input_file
from gancli.nn import adversarial
from gancli.nn.layers import CellMeans, ConvAfterShuffle, norm_activation, spectral_norms
from gancli.nn.penalties import Penalties
from gancli.nn.vgg import Vgg19Features
from gancli.spec import Batch, ImageSpec
from gancli.text import Note
from gancli.variant import Adam, Optimizer, Phase, Schedule, Update, Variant, constant
from gancli.variants.srgan_config import Config

PRETRAIN_SHARE = 5 / 6  # the paper's 1e6 of 1.2e6 steps
LAST_LR_FACTOR = 0.01  # at the end of the cosine schedule
D_MIN_SIZE = 32  # pixels; smaller images are enlarged before D
D_POOL, D_HIDDEN = 6, 1024  # 96 px crops come out of D's convolutions as 6×6
OUTER_KERNEL = 9
FEATURE_WEIGHT = 0.01  # of the distance of D's features beside the squared error of pixels; not tuned


class Block(nn.Module):
    """A residual block, conv – norm – PReLU – conv – norm: float `[B, width, h, w]` → the same shape (section 2.1.1)."""

    def __init__(self, width: int, batch_norm: bool) -> None:
        super().__init__()

        self.layers = nn.Sequential(*_conv_norm(width, batch_norm), nn.PReLU(), *_conv_norm(width, batch_norm))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = x + self.layers(x)
        return output


def _conv_norm(width: int, batch_norm: bool) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(width)] if batch_norm else []
    return [nn.Conv2d(width, width, 3, 1, 1, bias=not batch_norm), *norm]


class Generator(nn.Module):
    """SRResNet (figure 4): low-resolution images, float `[B, C, h, w]` in [-1, 1] → `[B, C, h·scale, w·scale]`,
    unbounded."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        width, batch_norm = config.width, config.norm == "batch"
        self.scale, self.skip = config.scale, config.skip == "bicubic"
        self.head = nn.Sequential(nn.Conv2d(channels, width, OUTER_KERNEL, 1, OUTER_KERNEL // 2), nn.PReLU())
        last = _conv_norm(width, batch_norm)  # before the blocks: the order decides the random weights of a seed
        self.body = nn.Sequential(*(Block(width, batch_norm) for _ in range(config.blocks)), *last)
        final: nn.Conv2d
        if config.upsampler == "direct":
            final = nn.Conv2d(width, channels * config.scale**2, 3, 1, 1)
            layers: list[nn.Module] = [final, nn.PixelShuffle(config.scale)]
        else:
            layers = []
            for _ in range(config.scale.bit_length() - 1):
                layers += [nn.Conv2d(width, 4 * width, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()]
            final = ConvAfterShuffle(width, channels, OUTER_KERNEL)
            layers[-2:] = [nn.Identity(), layers[-1], final]  # `final` includes the last shuffle
        if self.skip:  # before training, the output is the bicubic image
            nn.init.zeros_(final.weight)
            nn.init.zeros_(final.bias)  # type: ignore[arg-type]
        self.tail = nn.Sequential(*layers)

    def forward(self, low_res: Tensor) -> Tensor:
        features = self.head(low_res)
        image: Tensor = self.tail(features + self.body(features)).float()
        return image + upsample_bicubic(low_res, self.scale) if self.skip else image


class Discriminator(nn.Module):
    """Images of any size, float `[B, C, H, W]` in [-1, 1] → logits, float `[B, 1]` (figure 4). Features are averaged
    into 6×6 cells before the fully connected layers."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        batch_norm, width = config.d_norm == "batch", config.d_width
        layers: list[nn.Module] = []
        inputs = channels
        for position in range(8):
            outputs, stride = width * 2 ** (position // 2), 1 + position % 2
            normed = batch_norm and bool(position)  # not next to the image
            convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not normed)
            layers += norm_activation(convolution, normed, nn.LeakyReLU(0.2))
            inputs = outputs
        hidden = nn.Linear(inputs * D_POOL**2, D_HIDDEN)
        self.num_feature_layers = len(layers)
        pool: list[nn.Module] = [CellMeans(D_POOL), nn.Flatten()]
        self.layers = nn.Sequential(*layers, *pool, hidden, nn.LeakyReLU(0.2), nn.Linear(D_HIDDEN, 1))
        if config.d_norm == "spectral":
            spectral_norms(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(self.enlarged(x))
        return logits

    def with_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits, and the features after each of the eight convolutions and its activation."""
        x, features = self.enlarged(x), []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index < self.num_feature_layers and isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return x, features

    @staticmethod
    def enlarged(x: Tensor) -> Tensor:
        """Return images of at least 32 pixels a side."""
        # The last strided convolution would get 1×1 inputs of smaller images; torch 2.14 leaves the gradient of its weights
        # partly uninitialised on the CPU in bf16 (the contract test had NaN in 1 of 3 runs).
        if min(x.shape[2:]) < D_MIN_SIZE:
            x = F.interpolate(x, tuple(max(D_MIN_SIZE, side) for side in x.shape[2:]), mode="nearest-exact")
        return x


def shifted_crops(*images: Tensor, most: int) -> tuple[Tensor, ...]:
    """Crop batches, float `[B, C, H, W]`, to H - most and W - most pixels, equal images of all batches at one random place.
    So the strides of D are not always at the same pixels of G's upsampler, which would leave a grid in its images."""
    count, _, height, width = images[0].shape
    top, left = torch.randint(0, most + 1, (count, 2), device=images[0].device).view(count, 2, 1, 1, 1).unbind(1)
    rows = top + torch.arange(height - most, device=top.device)[:, None]
    columns = left + torch.arange(width - most, device=left.device)

    def crop(x: Tensor) -> Tensor:
        x = x.gather(2, rows.expand(-1, x.shape[1], -1, width))
        return x.gather(3, columns.expand(-1, x.shape[1], height - most, -1))

    return tuple(map(crop, images))


class Srgan(Variant):
    """G: low-resolution image → image, without noise. D: image → logit."""

    config: Config
    condition_type = "low_res"

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.scale = config.scale
        self.latent_shapes = ()
        self.generator = Generator(config, images.channels)
        self.D = Discriminator(config, images.channels)
        self.networks = {"G": self.generator, "D": self.D}
        self.loss, self.penalties = adversarial.LOSSES[config.loss], Penalties(config.r1, config.r2, config.gp)
        self.vgg = Vgg19Features() if config.content == "vgg" else None

    def prepare(self, device: torch.device) -> tuple[str, ...]:
        if self.vgg is None:
            error = "squared error of pixels"
            named = f"{error} (the paper's SRGAN-MSE)" if self.config.content == "mse" else f"{error}, and D's features"
            line = f"{named}; --content vgg takes VGG19 features instead"
            return (Note(f"content loss: {line}"),)
        path = self.config.vgg_weights
        origin = self.vgg.load(None if path is None else str(input_file(path, "--vgg-weights")))
        self.vgg.to(device)
        return (Note(f"content loss: VGG19 features after φ5,4, weights from {origin}"),)

    def generator_inputs(self, latents: tuple[Tensor, ...], condition: Tensor) -> tuple[Tensor, ...]:
        return (*latents, condition)

    @property
    def receptive_radius(self) -> int:
        inner = OUTER_KERNEL // 2 + 2 * self.config.blocks + 1
        if self.config.upsampler == "direct":
            return inner + 1
        per_doubling = (0.5**level for level in range(self.scale.bit_length() - 1))
        last = OUTER_KERNEL // 2 / self.scale
        return inner + math.ceil(sum(per_doubling, last))

    def pretrain_step(self, batch: Batch) -> Iterator[Update]:
        """Yield an update of G, as SRResNet, by the squared error alone (equation 4)."""
        mse = F.mse_loss(self.generator(batch.condition), batch.images)
        yield Update("G", mse, {"mse": mse})

    def step(self, batch: Batch) -> Iterator[Update]:
        """Yield an update of D, and one of G by content loss and adversarial loss (equation 3)."""
        fake, real = self.generator(batch.condition), batch.images
        if self.config.content == "features":
            fake, real = shifted_crops(fake, real, most=self.scale - 1)
        if self.config.d_norm == "batch":  # the statistics of real and fake images differ
            real_logits, fake_logits = self.D(real), self.D(fake.detach())
        else:
            real_logits, fake_logits = self.D(torch.cat([real, fake.detach()])).chunk(2)
        d_loss = self.loss.discriminator(real_logits, fake_logits)
        probabilities = adversarial.d_probabilities(real_logits, fake_logits)
        penalty = self.penalties(self.D, real, fake)
        yield Update("D", d_loss + penalty, {self.loss.term: d_loss, **probabilities})

        content = self.content(fake, real)
        if self.config.content == "features":
            fake_logits, distance = self.feature_distance(fake, real)
            content = content + FEATURE_WEIGHT * distance
        else:
            fake_logits = self.D(fake)
        g_loss = self.loss.generator(fake_logits, lambda: self.D(real))
        yield Update("G", content + self.config.adversarial * g_loss, {"content": content, "g_loss": g_loss})

    def content(self, fake: Tensor, real: Tensor) -> Tensor:
        """Return the content loss: the squared error of pixels (equation 4) or of VGG19 features (equation 5)."""
        if self.vgg is None:
            return F.mse_loss(fake, real)
        with torch.no_grad():
            real_features = self.vgg(real)
        return F.mse_loss(self.vgg(fake).float(), real_features.float())

    def feature_distance(self, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Return D's logits of `fake`, and the mean absolute difference of D's features of both (Wang et al. 2018, equation
        4)."""
        logits, features = self.D.with_features(fake)
        with torch.no_grad():
            _, wanted = self.D.with_features(real)
        distances = [F.l1_loss(own.float(), other.float()) for own, other in zip(features, wanted, strict=True)]
        return logits, torch.stack(distances).mean()

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """Return the optimizers of the second phase, of `steps` steps."""
        schedule = self.schedule(steps, lambda updates: 1.0 if updates < steps / 2 else 0.1)
        adam = Adam(self.config.adversarial_lr, self.config.beta1, schedule=schedule)
        return {"G": adam, "D": adam}

    @classmethod
    def resolve_defaults(cls, config: Config, steps: int, num_images: int = 0) -> Config:  # noqa: ARG003
        """Return `config` with the number of steps of the first phase."""
        if config.pretrain_steps is not None:
            return config
        return dataclasses.replace(config, pretrain_steps=round(steps * PRETRAIN_SHARE))

    def phases(self, steps: int) -> tuple[Phase, ...]:
        """Return a pretraining and an adversarial phase."""
        first = min(self.resolve_defaults(self.config, steps).pretrain_steps or 0, steps)
        pretrain = Adam(self.config.lr, self.config.beta1, schedule=self.schedule(first, constant))
        last = steps - first
        return (
            Phase("pretrain", first, self.pretrain_step, {"G": pretrain}),
            Phase(f"adversarial-{self.config.content}", last, self.step, self.optimizers(last)),
        )

    def schedule(self, steps: int, paper_schedule: Schedule) -> Schedule:
        """Return the factor of the learning rate over a phase of `steps` updates: a cosine from 1 down, or the paper's."""
        if self.config.decay == "step":
            return paper_schedule
        return lambda updates: LAST_LR_FACTOR + (1 - LAST_LR_FACTOR) * (1 + math.cos(math.pi * updates / steps)) / 2
