"""The networks and the training step of the SRGAN; `srgan_config` has its page and its options."""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.batches.pairs import enlarge
from gancli.config.paths import input_file
from gancli.data.spec import ImageSpec
from gancli.nn import losses
from gancli.nn.games import GAMES, Penalties
from gancli.nn.layers import CellMeans, ConvAfterShuffle, spectral_norms
from gancli.nn.vgg import Vgg19Features
from gancli.text import Note
from gancli.variant import Adam, Optimizer, Phase, Schedule, Update, Variant, constant
from gancli.variants.srgan_config import Config

PRETRAIN_SHARE = 5 / 6  # of the run: 1e6 of the paper's 1.2e6 steps
LAST_SHARE = 0.01  # of the step size, at the end of a cosine
D_SMALLEST = 32  # pixels; what is smaller is enlarged before D
D_POOL, D_HIDDEN = 6, 1024  # 96 px crops come out of D's convolutions as 6×6
OUTER_KERNEL = 9


class Block(nn.Module):
    """conv – norm – PReLU – conv – norm, added to what came in (section 2.1.1)."""

    def __init__(self, width: int, batch_norm: bool) -> None:
        super().__init__()

        def normed() -> list[nn.Module]:
            norm = [nn.BatchNorm2d(width)] if batch_norm else []
            return [nn.Conv2d(width, width, 3, 1, 1, bias=not batch_norm), *norm]

        self.layers = nn.Sequential(*normed(), nn.PReLU(), *normed())

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.layers(x)
        return added


class Generator(nn.Module):
    """SRResNet: low-resolution pictures, float `[B, C, h, w]` in [-1, 1] → `[B, C, h·scale, w·scale]`, about in [-1, 1]."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        width, batch_norm = config.width, config.norm == "batch"
        self.scale, self.skip = config.scale, config.skip == "bicubic"
        self.head = nn.Sequential(nn.Conv2d(channels, width, OUTER_KERNEL, 1, OUTER_KERNEL // 2), nn.PReLU())
        norm = [nn.BatchNorm2d(width)] if batch_norm else []
        last = [nn.Conv2d(width, width, 3, 1, 1, bias=not batch_norm), *norm]
        self.body = nn.Sequential(*(Block(width, batch_norm) for _ in range(config.blocks)), *last)
        doublings: list[nn.Module] = []
        for _ in range(config.scale.bit_length() - 1):
            doublings += [nn.Conv2d(width, 4 * width, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()]
        doublings[-2] = nn.Identity()  # the last convolution shuffles
        final = ConvAfterShuffle(width, channels, OUTER_KERNEL)
        if self.skip:  # detail starts at nothing: the first picture is the bicubic one
            nn.init.zeros_(final.weight)
            nn.init.zeros_(final.bias)  # type: ignore[arg-type]
        self.tail = nn.Sequential(*doublings, final)

    def forward(self, low_res: Tensor) -> Tensor:
        features = self.head(low_res)
        picture: Tensor = self.tail(features + self.body(features)).float()
        if self.skip:
            picture = picture + enlarge(low_res, self.scale)
        return picture


class Discriminator(nn.Module):
    """Pictures of any size, float `[B, C, H, W]` → logits, float `[B, 1]` (figure 4). What the convolutions find is
    averaged into 6×6 cells before the fully connected layers."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        batch_norm, width = config.d_norm == "batch", config.d_width
        layers: list[nn.Module] = []
        fewer = channels
        for position in range(8):
            more, stride = width * 2 ** (position // 2), 1 + position % 2
            normed = batch_norm and bool(position)
            layers.append(nn.Conv2d(fewer, more, 3, stride, 1, bias=not normed))
            layers += [nn.BatchNorm2d(more)] if normed else []
            layers.append(nn.LeakyReLU(0.2))
            fewer = more
        hidden = nn.Linear(fewer * D_POOL**2, D_HIDDEN)
        pool: list[nn.Module] = [CellMeans(D_POOL), nn.Flatten()]
        self.layers = nn.Sequential(*layers, *pool, hidden, nn.LeakyReLU(0.2), nn.Linear(D_HIDDEN, 1))
        if config.d_norm == "spectral":
            spectral_norms(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        # Smaller pictures would come down to 1×1 before the last halving, whose weights' gradient torch 2.14 leaves partly
        # uninitialised on the CPU in bf16 (found by the contract test: NaN in 1 of 3 runs).
        if min(x.shape[2:]) < D_SMALLEST:
            x = F.interpolate(x, tuple(max(D_SMALLEST, side) for side in x.shape[2:]), mode="nearest-exact")
        logits: Tensor = self.layers(x)
        return logits


class Srgan(Variant):
    config: Config
    reads = "low_res"

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.scale = config.scale
        self.latent_shapes = ()
        self.generator = Generator(config, images.channels)
        self.D = Discriminator(config, images.channels)
        self.networks = {"G": self.generator, "D": self.D}
        self.game, self.penalties = GAMES[config.loss], Penalties(config.r1, config.r2, config.gp)
        self.vgg = Vgg19Features() if config.content == "vgg" else None

    def prepare(self, device: torch.device) -> tuple[str, ...]:
        if self.vgg is None:
            line = "squared error of pixels (the paper's SRGAN-MSE); --content vgg takes VGG19 features instead"
            return (Note(f"content loss: {line}"),)
        path = self.config.vgg_weights
        origin = self.vgg.load(None if path is None else str(input_file(path, "--vgg-weights")))
        self.vgg.to(device)
        return (Note(f"content loss: VGG19 features after φ5,4, weights from {origin}"),)

    def arguments(self, latents: tuple[Tensor, ...], condition: Tensor) -> tuple[Tensor, ...]:
        """A picture is enlarged in one way only: there is no noise."""
        return (*latents, condition)

    @property
    def reach(self) -> int:
        """Half the receptive field: what lies further away, in pixels of `low_res`, changes nothing."""
        per_doubling = (0.5**level for level in range(self.scale.bit_length() - 1))
        last = OUTER_KERNEL // 2 / self.scale
        return OUTER_KERNEL // 2 + 2 * self.config.blocks + 1 + math.ceil(sum(per_doubling, last))

    def pretrain_step(self, batch: Batch) -> Iterator[Update]:
        """SRResNet: the squared error alone (equation 4)."""
        mse = F.mse_loss(self.generator(batch.condition), batch.images)
        yield Update("G", mse, {"mse": mse})

    def step(self, batch: Batch) -> Iterator[Update]:
        """D, then G by content and by D (equation 3)."""
        fake = self.generator(batch.condition)
        if self.config.d_norm == "batch":  # real and fake pictures have statistics of their own
            real_logits, fake_logits = self.D(batch.images), self.D(fake.detach())
        else:
            real_logits, fake_logits = self.D(torch.cat([batch.images, fake.detach()])).chunk(2)
        d_loss = self.game.discriminator(real_logits, fake_logits)
        believed = {"d_real": losses.probability(real_logits), "d_fake": losses.probability(fake_logits)}
        penalty = self.penalty(batch.images, fake) if self.penalties else 0.0
        yield Update("D", d_loss + penalty, {self.game.term: d_loss, **believed})

        content = self.content(fake, batch.images)
        g_loss = self.game.generator(self.D(fake), lambda: self.D(batch.images))
        yield Update("G", content + self.config.adversarial * g_loss, {"content": content, "g_loss": g_loss})

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor | float:
        few = losses.penalised(real)
        return self.penalties.of(self.D, few.of(real), few.of(fake), few)

    def content(self, fake: Tensor, real: Tensor) -> Tensor:
        if self.vgg is None:
            return F.mse_loss(fake, real)
        with torch.no_grad():
            wanted = self.vgg(real)
        return F.mse_loss(self.vgg(fake).float(), wanted.float())

    def optimizers(self, steps: int) -> Mapping[str, Optimizer]:
        """Of the second phase, of `steps` steps."""
        schedule = self.schedule(steps, lambda updates: 1.0 if updates < steps / 2 else 0.1)
        adam = Adam(self.config.adversarial_lr, self.config.beta1, schedule=schedule)
        return {"G": adam, "D": adam}

    @classmethod
    def settled(cls, config: Config, steps: int, num_images: int = 0) -> Config:  # noqa: ARG003
        """With the steps of the first phase."""
        asked = config.pretrain_steps
        return dataclasses.replace(config, pretrain_steps=round(steps * PRETRAIN_SHARE) if asked is None else asked)

    def phases(self, steps: int) -> tuple[Phase, ...]:
        """Pretrain and adversarial, each with optimizers of its own."""
        first = min(self.settled(self.config, steps).pretrain_steps or 0, steps)
        pretrain = Adam(self.config.lr, self.config.beta1, schedule=self.schedule(first, constant))
        last = steps - first
        return (
            Phase("pretrain", first, self.pretrain_step, {"G": pretrain}),
            Phase(f"adversarial-{self.config.content}", last, self.step, self.optimizers(last)),
        )

    def schedule(self, steps: int, otherwise: Schedule) -> Schedule:
        """The factor of the step size over a phase of `steps` updates: a falling cosine, or the paper's."""
        if self.config.decay == "step":
            return otherwise
        return lambda updates: LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * updates / steps)) / 2
