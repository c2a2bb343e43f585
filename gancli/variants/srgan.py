"""Super-resolution GAN: pictures enlarged 2, 4 or 8 times, with the detail that they may have had.

Paper: Ledig, Theis, Huszár, Caballero et al.: Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network, 2017, arXiv:1609.04802

Two phases: G learns to be near the true pictures (pretrain: mean squared error, "SRResNet"), then also to be taken for one
of them by D (adversarial). The content loss of the second phase is the squared error of pixels (the paper's SRGAN-MSE) or,
with `--content vgg`, of features of a VGG19 network that was trained on ImageNet. The default is made for short runs: a
smaller G without batch norm that adds detail to the bicubic enlargement, and a step size that falls to nothing. The preset
`paper` has the paper's networks, losses and numbers of steps.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.batches.pairs import enlarge
from gancli.config import VariantConfig, game, option
from gancli.config.paths import input_file
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.nn import losses
from gancli.nn.games import GAMES, Penalties
from gancli.nn.layers import CellMeans, ConvAfterShuffle, spectral_norms
from gancli.nn.vgg import Vgg19Features
from gancli.text import Note
from gancli.variant import Adam, Optimizer, Phase, Schedule, Update, Variant, constant


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the SRGAN."""

    scale: int = option(4, "how many times larger: 2, 4 or 8", ge=2, le=8)
    width: int = option(32, "feature maps of G", ge=1, le=1024, source="64 in section 2.1.1")
    blocks: int = option(8, "residual blocks of G", ge=0, le=256, source="16 in section 3.2")
    norm: Literal["batch", "none"] = option(
        "none", "G's normalisation; batch is the paper's", source="none: Lim et al. 2017"
    )
    skip: Literal["bicubic", "none"] = option("bicubic", "what G's detail is added to; none is the paper's")
    d_width: int = option(24, "feature maps of D's first layer; doubled up to 8 times", ge=1, le=1024)
    d_norm: Literal["batch", "spectral"] = option("spectral", "D's normalisation; batch is the paper's")
    content: Literal["mse", "vgg"] = option(
        "mse", "content loss of the adversarial phase: pixels, or VGG19 features (weights: see --vgg-weights)",
        source="section 2.2.1",
    )  # fmt: skip
    vgg_weights: str | None = option(
        None,
        "safetensors file with torchvision's VGG19 weights",
        metavar="FILE",
        path=True,
        default_text="torchvision's download",
    )
    loss: game.Loss = game.loss()
    r1: float = game.r1(0.0)
    r2: float = game.r2()
    gp: float = game.gp()
    adversarial: float = option(1e-3, "weight of the adversarial loss", ge=0, le=1000, source="equation 3")
    pretrain_steps: int | None = option(
        None, "steps of the first phase", ge=0, le=10**12, default_text="five sixths of the run"
    )
    lr: float = option(1e-3, "Adam's step size in the first phase", gt=0, le=1)
    adversarial_lr: float = option(2e-4, "Adam's step size in the second phase", gt=0, le=1)
    decay: Literal["cosine", "step"] = option(
        "cosine",
        "the step size within a phase: falls to a hundredth; step: a tenth in the second half of the second phase",
    )
    beta1: float = option(0.9, "Adam's beta1", ge=0, lt=1, source="section 3.2")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 16, "steps": 4000, "ema": 0.99},
        # Differs from the paper: G reads pictures in [-1, 1] (the paper: [0, 1]), and D's pictures may have any size.
        "paper": {
            "width": 64, "blocks": 16, "norm": "batch", "skip": "none", "d_width": 64, "d_norm": "batch", "content": "vgg",
            "pretrain_steps": 1_000_000, "lr": 1e-4, "adversarial_lr": 1e-4, "decay": "step",
            "batch_size": 16, "steps": 1_200_000, "ema": 0.0,
        },
    }  # fmt: skip

    def check(self) -> None:
        if self.scale not in (2, 4, 8):
            raise UsageError(f"--scale {self.scale}: must be 2, 4 or 8")
        if self.vgg_weights is not None and self.content != "vgg":
            raise UsageError(f"--vgg-weights {self.vgg_weights}: is for --content vgg")


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
