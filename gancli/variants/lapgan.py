"""Laplacian pyramid GAN: a small picture, then the detail of each larger size.

Paper: Denton, Chintala, Szlam, Fergus: Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks, 2015,
arXiv:1506.05751

The coarsest level is a plain GAN. Every finer level k has a conditional pair of its own: G_k makes the detail (the
residual) that belongs to an enlarged coarser picture, D_k judges the sum of the two. All levels learn from the real
pyramid, independently of each other and in one run; sampling runs through them from coarse to fine. Sizes halve down to
7 or 8 pixels: 28 is 7→14→28, 32 is 8→16→32, 64 is 8→16→32→64. The default adds what practice has found since: batch norm
in G, a gradient penalty (R1) in D, G at half its level's size. The preset `paper` has the paper's networks and schedules.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.config import VariantConfig, option
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.nn import losses
from gancli.nn.layers import Frequencies, Tanh, spectral_norm
from gancli.nn.pyramid import double, halve
from gancli.variant import Adam, Optimizer, Phase, Schedule, Sgd, Update, Variant, constant


@dataclass(frozen=True, kw_only=True)
class Config(VariantConfig):
    """Options of the LAPGAN."""

    resize: Literal["bilinear", "binomial"] = option(
        "bilinear",
        "how levels are made: bilinear halving and doubling, or Burt and Adelson's blur",
        source="section 2.2",
    )
    conditional: bool = option(False, "feed the label to every G and D, so that `gan sample --label` can ask for one")
    latent_dim: int = option(32, "length of the coarsest level's z; finer levels have one plane", ge=1, le=8192)
    noise: Literal["normal", "uniform"] = option("normal", "z: N(0, 1) or U(-1, 1)")
    coarse_width: int = option(512, "units of a hidden layer of the coarsest G", ge=1, le=16384)
    coarse_d_width: int = option(512, "units of a hidden layer of the coarsest D", ge=1, le=16384)
    # Differs from the paper: the coarsest level decides what a picture shows and costs least, so it learns more often.
    coarse_updates: int = option(
        6,
        "updates of the coarsest level per step, each on its part of the batch; the finest has one, on the first part, and "
        "levels between them in proportion",
        ge=1,
        le=100,
    )
    width: int = option(32, "feature maps of the finer levels", ge=1, le=1024)
    layers: Literal["strided", "flat"] = option(
        "strided", "finer levels: with halvings, or the paper's 7×7 convolutions"
    )
    # Differs from the paper, whose D sees the sum alone: on colour pictures the residual is a hundredth of its power, and a
    # small D overlooked that it was missing. In the coarsest level the finest of its frequencies are as weak.
    d_sees: Literal["sum", "enhanced"] = option(
        "enhanced", "D: the picture; or also its residual, enhanced (coarsest: its frequencies, the finer the more)"
    )
    norm: Literal["batch", "none"] = option("batch", "normalisation of G's hidden layers")
    d_norm: Literal["spectral", "none"] = option("none", "normalisation of D", source="spectral: Miyato et al. 2018")
    r1: float = option(0.1, "weight of the R1 penalty; 0: none", ge=0, le=1000, source="Mescheder et al. 2018")
    coarse_r1: float = option(0.03, "the same, of the coarsest level", ge=0, le=1000)
    dropout: float = option(0.0, "share of the coarsest D's hidden units dropped", ge=0, lt=1)
    bounded: bool = option(True, "keep each level's picture within [-1, 1] by a tanh; else residuals are linear")
    perturb: float = option(
        0.05, "noise on the coarser picture in training, so that its sampled form is no surprise", ge=0, le=1
    )
    optimizer: Literal["adam", "sgd"] = option("adam", "sgd: with the paper's schedules of step size and momentum")
    lr: float = option(1e-3, "step size", gt=0, le=1)
    coarse_lr: float = option(2e-3, "the same, of the coarsest level", gt=0, le=1)
    falling: float = option(
        1.0,
        "share of the run, at its end, over which Adam's step sizes fall to nothing",
        ge=0,
        le=1,
        only_with="optimizer=adam",
    )
    beta1: float = option(0.5, "Adam's beta1", ge=0, lt=1, only_with="optimizer=adam")

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {"batch_size": 384, "epochs": 45, "ema": 0.9995},
        # Differs from the paper: PyTorch's initial weights, a fixed number of epochs, pictures of 32 pixels where it crops
        # CIFAR-10 to 28, and --conditional is left to the user (the paper has both forms).
        "paper": {
            "latent_dim": 100, "noise": "uniform", "coarse_width": 1200, "coarse_d_width": 600, "coarse_updates": 1,
            "width": 64,
            "layers": "flat", "d_sees": "sum", "norm": "none", "r1": 0.0, "coarse_r1": 0.0, "dropout": 0.5,
            "bounded": False, "perturb": 0.0, "falling": 0.0,
            "optimizer": "sgd", "lr": 0.02, "coarse_lr": 0.02, "batch_size": 100, "epochs": 375, "ema": 0.0,
        },
    }  # fmt: skip


COARSEST = (4, 7, 8)  # pixels
UPDATES_PER_EPOCH = 500  # the paper's schedules go by epochs: 50,000 pictures, in batches of 100
RESIDUAL_GAIN = 2.0  # its deviation is 0.1 to 0.25, the picture's 0.5 to 0.6
PULL = 2.0  # of the coarser picture within the tanh: without a residual, black and white stay nearly that


class LabelPlane(nn.Module):
    """Labels, int64 `[B]`, joined to pictures as one more channel: a linear map of the one-hot label (section 3.2).
    Without classes, the pictures as they are."""

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.embed = nn.Embedding(num_classes, size**2) if num_classes else None

    def forward(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is None:
            return pictures
        return torch.cat([pictures, self.embed(labels).view(-1, 1, self.size, self.size)], 1)


class CoarseGenerator(nn.Module):
    """float z `[B, latent_dim]` → the coarsest residual, which is the picture itself: `low_pass` is all zeros there."""

    def __init__(self, config: Config, channels: int, size: int, num_classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        num_inputs = config.latent_dim * (2 if num_classes else 1)
        layers: list[nn.Module] = []
        for fewer in (num_inputs, config.coarse_width):
            layers.append(nn.Linear(fewer, config.coarse_width))
            layers += [nn.BatchNorm1d(config.coarse_width)] if config.norm == "batch" else []
            layers.append(nn.ReLU())
        last: list[nn.Module] = [Tanh()] if config.bounded else []
        shape = (channels, size, size)
        pixels = nn.Linear(config.coarse_width, channels * size**2)
        self.layers = nn.Sequential(*layers, pixels, *last, nn.Unflatten(1, shape))

    def forward(self, z: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], 1)
        picture: Tensor = self.layers(z)
        return picture.float() - low_pass


class Generator(nn.Module):
    """One plane of noise, float `[B, 1, size, size]`, and the enlarged coarser picture `low_pass`, float
    `[B, C, size, size]` → the residual: what that picture lacks, within [-2, 2].

    `strided` works at half the size, where `low_pass` already has all it knows, at a quarter of the cost.
    """

    def __init__(self, config: Config, channels: int, size: int, num_classes: int) -> None:
        super().__init__()
        self.bounded = config.bounded
        self.join = LabelPlane(num_classes, size)
        num_inputs, width = channels + 1 + bool(num_classes), config.width
        convolutions: list[nn.Module]
        if config.layers == "flat":
            convolutions = [nn.Conv2d(num_inputs, width, 7, 1, 3), nn.Conv2d(width, width, 7, 1, 3)]
            last = nn.Conv2d(width, channels, 5, 1, 2)
        else:
            inner = [nn.Conv2d(width, width, 3, 1, 1) for _ in range(2)]
            outer = max(1, width // 2)
            first, up = nn.Conv2d(num_inputs, width, 4, 2, 1), nn.ConvTranspose2d(width, outer, 4, 2, 1)
            convolutions = [first, *inner, up]
            last = nn.Conv2d(outer, channels, 3, 1, 1)
        layers: list[nn.Module] = []
        for convolution in convolutions:
            num_maps = convolution.out_channels
            assert isinstance(num_maps, int)
            layers += [convolution, *([nn.BatchNorm2d(num_maps)] if config.norm == "batch" else []), nn.ReLU()]
        self.layers = nn.Sequential(*layers, last)

    def forward(self, z: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        residual: Tensor = self.layers(self.join(torch.cat([low_pass, z], 1), labels)).float()
        if self.bounded:
            return torch.tanh(PULL * low_pass + residual) - low_pass
        return residual


class Discriminator(nn.Module):
    """A residual and the `low_pass` it belongs to, both float `[B, C, size, size]`, added before the first layer (and, if
    `d_sees` enhanced, the residual beside it, or in the coarsest level frequencies instead) → logits, float `[B, 1]`."""

    def __init__(self, config: Config, channels: int, size: int, num_classes: int, coarsest: bool) -> None:
        super().__init__()
        self.join = LabelPlane(num_classes, size)
        self.both = config.d_sees == "enhanced" and not coarsest
        self.frequencies = Frequencies(size) if config.d_sees == "enhanced" and coarsest else None
        num_inputs = channels * (1 + self.both) + bool(num_classes)
        if coarsest:
            self.layers = _coarse_discriminator(config, num_inputs * size**2)
        else:
            self.layers = _fine_discriminator(config, num_inputs, size)
        if config.d_norm == "spectral":
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)

    def forward(self, residual: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        return self.judge(self.seen(residual + low_pass), residual, labels)

    def seen(self, picture: Tensor) -> Tensor:
        return picture if self.frequencies is None else self.frequencies(picture)

    def judge(self, seen: Tensor, residual: Tensor, labels: Tensor | None) -> Tensor:
        """Logits of what was `seen` of a picture, and its residual."""
        if self.both:
            seen = torch.cat([seen, RESIDUAL_GAIN * residual], 1)
        logits: Tensor = self.layers(self.join(seen, labels))
        return logits


def _coarse_discriminator(config: Config, num_pixels: int) -> nn.Sequential:
    width = config.coarse_d_width
    hidden: list[nn.Module] = [nn.LeakyReLU(0.2), *([nn.Dropout(config.dropout)] if config.dropout else [])]
    first, second = nn.Linear(num_pixels, width), nn.Linear(width, width)
    return nn.Sequential(nn.Flatten(), first, *hidden, second, *hidden, nn.Linear(width, 1))


def _fine_discriminator(config: Config, num_inputs: int, size: int) -> nn.Sequential:
    width = config.width
    if config.layers == "flat":
        first, second = nn.Conv2d(num_inputs, width, 5, 1, 2), nn.Conv2d(width, width, 5, 2, 2)
        last = [nn.Linear(width * (size // 2) ** 2, 1)]
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), *last)
    layers: list[nn.Module] = []
    for fewer, more in ((num_inputs, width), (width, 2 * width)):
        layers += [nn.Conv2d(fewer, more, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * (size // 4) ** 2, 1))


class Chain(nn.Module):
    """All levels, from coarse to fine: latents of levels 0 (the finest) to K (and int64 labels `[B]`) → pictures, float
    `[B, C, size, size]` (section 2.3: Ĩ_k = u(Ĩ_{k+1}) + G_k(z_k, u(Ĩ_{k+1})))."""

    def __init__(self, members: list[nn.Module], channels: int, coarsest: int, resize: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shape = (channels, coarsest, coarsest)
        self.resize = resize

    def levels(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The picture of each level, coarse to fine."""
        latents, labels = arguments[: len(self.members)], arguments[len(self.members) :]
        pictures: list[Tensor] = []
        low_pass = latents[-1].new_zeros(len(latents[-1]), *self.shape)
        for generator, z in reversed(list(zip(self.members, latents, strict=True))):
            if pictures:
                low_pass = double(pictures[-1], self.resize)
            pictures.append(low_pass + generator(z, low_pass, labels[0] if labels else None))
        return tuple(pictures)

    def forward(self, *arguments: Tensor) -> Tensor:
        return self.levels(*arguments)[-1]


class Lapgan(Variant):
    config: Config

    def __init__(self, config: Config, images: ImageSpec) -> None:
        super().__init__(config, images)
        if config.conditional and not images.class_names:
            raise UsageError(
                "--conditional: the images of --dataset have no labels; give a data set that has, or leave it out"
            )
        self.sizes = level_sizes(images.size)
        num_classes = images.num_classes if config.conditional else 0
        *finer, coarsest = self.sizes
        generators: list[nn.Module] = [Generator(config, images.channels, size, num_classes) for size in finer]
        generators.append(CoarseGenerator(config, images.channels, coarsest, num_classes))
        self.chain = Chain(generators, images.channels, coarsest, config.resize)
        self.generator = self.chain
        self.networks = {f"G{k}": generator for k, generator in enumerate(generators)} | {
            f"D{k}": Discriminator(config, images.channels, size, num_classes, size == coarsest)
            for k, size in enumerate(self.sizes)
        }
        self.latent_shapes = (*((1, size, size) for size in finer), (config.latent_dim,))
        self.noise = config.noise

    @property
    def conditional(self) -> bool:
        return self.config.conditional

    @property
    def num_levels(self) -> int:
        return len(self.sizes)

    def levels(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return self.chain.levels(*arguments)

    def pyramid(self, pictures: Tensor, perturb: float = 0.0) -> list[tuple[Tensor, Tensor]]:
        """Per level, finest first: the residual h_k and the `low_pass` l_k, which add up to the picture I_k.

        `perturb`: deviation of the noise that goes into I_{k+1} before l_k is made of it; h_k makes up for it.
        """
        levels = []
        for _ in self.sizes[1:]:
            smaller = halve(pictures, self.config.resize)
            disturbed = smaller + perturb * torch.randn_like(smaller) if perturb else smaller
            low_pass = double(disturbed, self.config.resize)
            levels.append((pictures - low_pass, low_pass))
            pictures = smaller
        return [*levels, (pictures, torch.zeros_like(pictures))]

    def step(self, batch: Batch) -> Iterator[Update]:
        """Algorithm 1 of the paper, at every level. No gradient and no picture goes from one level to another."""
        labels = batch.condition if self.conditional else None
        latents = self.latents(len(batch.images), batch.images.device)
        num_parts = max(1, min(self.config.coarse_updates, len(batch.images) // 2))  # batch norm needs two pictures
        label_parts = [None] * num_parts if labels is None else labels.tensor_split(num_parts)
        for k, level in enumerate(self.pyramid(batch.images, self.config.perturb)):
            parts = zip(*(whole.tensor_split(num_parts) for whole in (latents[k], *level)), label_parts, strict=True)
            for part in islice(parts, self.num_updates(k)):
                yield from self.level_step(k, *part)

    def num_updates(self, k: int) -> int:
        """Updates of level k in a step."""
        return 1 + (self.config.coarse_updates - 1) * k // (self.num_levels - 1)

    def level_step(
        self, k: int, z: Tensor, residual: Tensor, low_pass: Tensor, labels: Tensor | None
    ) -> Iterator[Update]:
        """D and then G of level k, both told l_k of the real picture."""
        fake = self.networks[f"G{k}"](z, low_pass, labels)
        both = torch.cat([residual, fake.detach()])
        twice = None if labels is None else labels.repeat(2)
        real_logits, fake_logits = self.networks[f"D{k}"](both, low_pass.repeat(2, 1, 1, 1), twice).chunk(2)
        d_loss = losses.discriminator(real_logits, fake_logits)
        weight = self.penalty_weight(k)
        penalty = weight * self.penalty(k, residual, low_pass, labels) if weight else 0.0
        yield Update(f"D{k}", d_loss + penalty, {f"d_loss_{k}": d_loss})

        g_loss = losses.non_saturating(self.networks[f"D{k}"](fake, low_pass, labels))
        yield Update(f"G{k}", g_loss, {f"g_loss_{k}": g_loss})

    def penalty(self, k: int, residual: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        """R1 on a share of the real pictures of level k: of D's slope along h_k, which is that along the picture, or along
        what the coarsest D sees of it."""
        judge = self.networks[f"D{k}"]
        assert isinstance(judge, Discriminator)
        few, few_pictures = losses.penalised(residual), losses.penalised(low_pass)
        few_labels = None if labels is None else losses.penalised(labels)
        if judge.frequencies is not None:
            return losses.r1(lambda seen: judge.judge(seen, few, few_labels), judge.seen(few + few_pictures))
        return losses.r1(lambda h: judge(h, few_pictures, few_labels), few)

    def penalty_weight(self, k: int) -> float:
        """A finer level's weight goes by its share of pixels: the same change of a picture is spread over fewer of them
        in a smaller one, so slopes grow."""
        return (
            self.config.coarse_r1 if k == self.num_levels - 1 else self.config.r1 * (self.sizes[k] / self.sizes[0]) ** 2
        )

    def optimizers(self) -> Mapping[str, Optimizer]:
        return {name: self.rule(name, constant) for name in self.networks}

    def rule(self, network: str, schedule: Schedule) -> Optimizer:
        """How a network is trained; `schedule` is Adam's."""
        lr = self.config.coarse_lr if network[1:] == str(self.num_levels - 1) else self.config.lr
        if self.config.optimizer == "sgd":
            return Sgd(lr, momentum=_paper_momentum, schedule=_paper_decay)
        return Adam(lr, self.config.beta1, schedule=schedule)

    def phases(self, steps: int) -> tuple[Phase, ...]:
        """One; the schedules go by the updates of a network, of which the coarsest has several in a step."""
        rules = {
            name: self.rule(name, self.schedule(steps * self.num_updates(int(name[1:])))) for name in self.networks
        }
        return (Phase("train", steps, self.step, rules),)

    def schedule(self, updates: int) -> Schedule:
        """The factor of the step size in a run of so many updates: 1, then falling in a straight line to 0."""
        share = self.config.falling
        return (lambda done: min(1.0, (1 - done / updates) / share)) if share else constant


def level_sizes(size: int) -> tuple[int, ...]:
    """The sizes of the pyramid's levels, finest first: at least two. Raises `UsageError` for sizes that do not fit."""
    sizes = [size]
    while sizes[-1] not in COARSEST or len(sizes) == 1:
        if sizes[-1] % 2 or sizes[-1] <= min(COARSEST):
            raise UsageError(
                f"--image-size {size}: must halve down to 7 or 8 pixels for lapgan: 14, 16, 28, 32, 56, 64, 112, 128 (or 8)"
            )
        sizes.append(sizes[-1] // 2)
    return tuple(sizes)


def _paper_decay(updates: int) -> float:
    """Divided by 1 + 4e-5 per epoch (from memory of the official code; no source here confirmed it)."""
    return float((1 + 4e-5) ** -(updates // UPDATES_PER_EPOCH))


def _paper_momentum(updates: int) -> float:
    """From 0.5 by 0.0008 per epoch, up to 0.8 (the step from memory; the ends are the paper's)."""
    return min(0.8, 0.5 + 0.0008 * (updates // UPDATES_PER_EPOCH))
