"""The networks of one level of a Laplacian pyramid: what makes its residual, and what judges it.

All of them are told the level's `low_pass`, the enlarged coarser picture, and the label, int64 `[B]`, or None without
classes (`num_classes` 0).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from gancli.nn.layers import Frequencies, LabelPlane, Tanh, spectral_norms

RESIDUAL_GAIN = 2.0  # its deviation is 0.1 to 0.25, the picture's 0.5 to 0.6
PULL = 2.0  # of the coarser picture within the tanh: without a residual, black and white stay nearly that


class CoarseGenerator(nn.Module):
    """float z `[B, latent_dim]` → the coarsest residual, which is the picture itself: `low_pass` is all zeros there.
    `bounded`: within [-1, 1]."""

    def __init__(
        self, channels: int, size: int, num_classes: int, *, latent_dim: int, width: int, batch_norm: bool, bounded: bool
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Embedding(num_classes, latent_dim) if num_classes else None
        num_inputs = latent_dim * (2 if num_classes else 1)
        layers: list[nn.Module] = []
        for fewer in (num_inputs, width):
            layers.append(nn.Linear(fewer, width, bias=not batch_norm))
            layers += [nn.BatchNorm1d(width)] if batch_norm else []
            layers.append(nn.ReLU())
        last: list[nn.Module] = [Tanh()] if bounded else []
        pixels = nn.Linear(width, channels * size**2)
        self.layers = nn.Sequential(*layers, pixels, *last, nn.Unflatten(1, (channels, size, size)))

    def forward(self, z: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], 1)
        picture: Tensor = self.layers(z)
        return picture.float() - low_pass


class Generator(nn.Module):
    """One plane of noise, float `[B, 1, size, size]`, and `low_pass`, float `[B, C, size, size]` → the residual: what that
    picture lacks. `bounded`: their sum lies within [-1, 1].

    `layers`: flat: the 7×7 convolutions of Denton et al. 2015; strided: at half the size, where `low_pass` already has all
    it knows, at a quarter of the cost.
    """

    def __init__(
        self, channels: int, size: int, num_classes: int, *, width: int, layers: Literal["strided", "flat"],
        batch_norm: bool, bounded: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bounded = bounded
        self.join = LabelPlane(num_classes, size)
        num_inputs = channels + 1 + bool(num_classes)
        convolutions: list[nn.Module]
        bias = not batch_norm
        if layers == "flat":
            convolutions = [
                nn.Conv2d(num_inputs, width, 7, 1, 3, bias=bias),
                nn.Conv2d(width, width, 7, 1, 3, bias=bias),
            ]
            last = nn.Conv2d(width, channels, 5, 1, 2)
        else:
            inner = [nn.Conv2d(width, width, 3, 1, 1, bias=bias) for _ in range(2)]
            outer = max(1, width // 2)
            first = nn.Conv2d(num_inputs, width, 4, 2, 1, bias=bias)
            up = nn.ConvTranspose2d(width, outer, 4, 2, 1, bias=bias)
            convolutions = [first, *inner, up]
            last = nn.Conv2d(outer, channels, 3, 1, 1)
        inside: list[nn.Module] = []
        for convolution in convolutions:
            num_maps = convolution.out_channels
            assert isinstance(num_maps, int)
            inside += [convolution, *([nn.BatchNorm2d(num_maps)] if batch_norm else []), nn.ReLU()]
        self.layers = nn.Sequential(*inside, last)

    def forward(self, z: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        residual: Tensor = self.layers(self.join(torch.cat([low_pass, z], 1), labels)).float()
        if self.bounded:
            return torch.tanh(PULL * low_pass + residual) - low_pass
        return residual


class Discriminator(nn.Module):
    """A residual and the `low_pass` it belongs to, both float `[B, C, size, size]`, added before the first layer (and, if
    `enhanced`, the residual beside it, or in the coarsest level frequencies instead) → logits, float `[B, 1]`.

    `layers`: coarse: fully connected, with `dropout`; strided: convolutions that halve; flat: those of Denton et al. 2015.
    """

    def __init__(
        self, channels: int, size: int, num_classes: int, *, width: int, layers: Literal["coarse", "strided", "flat"],
        dropout: float, enhanced: bool, spectral: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.join = LabelPlane(num_classes, size)
        self.both = enhanced and layers != "coarse"
        self.frequencies = Frequencies(size) if enhanced and layers == "coarse" else None
        num_inputs = channels * (1 + self.both) + bool(num_classes)
        if layers == "coarse":
            self.layers = _fully_connected(num_inputs * size**2, width, dropout)
        else:
            self.layers = (_flat if layers == "flat" else _strided)(num_inputs, width, size)
        if spectral:
            spectral_norms(self.layers)

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


def _fully_connected(num_pixels: int, width: int, dropout: float) -> nn.Sequential:
    hidden: list[nn.Module] = [nn.LeakyReLU(0.2), *([nn.Dropout(dropout)] if dropout else [])]
    first, second = nn.Linear(num_pixels, width), nn.Linear(width, width)
    return nn.Sequential(nn.Flatten(), first, *hidden, second, *hidden, nn.Linear(width, 1))


def _flat(num_inputs: int, width: int, size: int) -> nn.Sequential:
    first, second = nn.Conv2d(num_inputs, width, 5, 1, 2), nn.Conv2d(width, width, 5, 2, 2)
    last = [nn.Linear(width * (size // 2) ** 2, 1)]
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), *last)


def _strided(num_inputs: int, width: int, size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fewer, more in ((num_inputs, width), (width, 2 * width)):
        layers += [nn.Conv2d(fewer, more, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * (size // 4) ** 2, 1))
