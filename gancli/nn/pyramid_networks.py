"""The networks of one level of a Laplacian pyramid (Denton et al. 2015): generators of its residual, and the
discriminator.

All of them are conditioned on the level's low-pass image, the doubled coarser image, float `[B, C, size, size]`, and on
the label, int64 `[B]`, or None without classes (`num_classes` 0).
"""

import itertools
from typing import Literal

import torch
from torch import Tensor, nn

from gancli.nn import dcgan_networks
from gancli.nn.layers import Frequencies, LabelPlane, Tanh, dropout, label_embedding, norm_activation, spectral_norms
from gancli.spec import ImageSpec

RESIDUAL_GAIN = 2.0  # the standard deviation of residuals is 0.1 to 0.25, that of images 0.5 to 0.6
LOW_PASS_GAIN = 2.0  # inside the tanh: with a residual of 0, black and white stay nearly black and white


class CoarseGenerator(nn.Module):
    """float z `[B, latent_dim]` → the coarsest residual, float `[B, C, size, size]`, which is the image itself, as
    `low_pass` is 0 there. `bounded`: within [-1, 1]."""

    def __init__(
        self, channels: int, size: int, num_classes: int, *, latent_dim: int, width: int, batch_norm: bool, bounded: bool
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = label_embedding(num_classes, latent_dim) if num_classes else None
        num_inputs = latent_dim * (2 if num_classes else 1)
        layers: list[nn.Module] = []
        for inputs in (num_inputs, width):
            layers += norm_activation(nn.Linear(inputs, width, bias=not batch_norm), batch_norm, nn.ReLU())
        last: list[nn.Module] = [Tanh()] if bounded else []
        pixels = nn.Linear(width, channels * size**2)
        self.layers = nn.Sequential(*layers, pixels, *last, nn.Unflatten(1, (channels, size, size)))

    def forward(self, z: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], 1)
        image: Tensor = self.layers(z)
        return image.float() - low_pass


class ConvolutionalGenerator(nn.Module):
    """As `CoarseGenerator`, with the G of the DCGAN: float z `[B, latent_dim]` → the coarsest residual, always within
    [-1, 1]."""

    def __init__(self, images: ImageSpec, num_classes: int, *, latent_dim: int, width: int) -> None:
        super().__init__()
        self.network = dcgan_networks.Generator(
            images, num_classes, latent_dim=latent_dim, width=width, upsampling="resize"
        )

    def forward(self, z: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        image: Tensor = self.network(z, labels)
        return image.float() - low_pass


class Generator(nn.Module):
    """One plane of noise, float `[B, 1, size, size]`, and `low_pass` → the residual, float `[B, C, size, size]`.
    `bounded`: the sum of residual and low-pass image is within [-1, 1].

    `layers`: "flat": the 7×7 convolutions of the paper; "strided": convolutions at half the size, at a quarter of the
    cost, and `upsampling`, "resize" or "transposed".
    """

    def __init__(
        self, channels: int, size: int, num_classes: int, *, width: int, layers: Literal["strided", "flat"],
        upsampling: str, batch_norm: bool, bounded: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bounded = bounded
        self.join = LabelPlane(num_classes, size)
        num_inputs = channels + 1 + bool(num_classes)
        convolutions: list[nn.Conv2d | nn.ConvTranspose2d]
        bias = not batch_norm
        if layers == "flat":
            convolutions = [nn.Conv2d(inputs, width, 7, 1, 3, bias=bias) for inputs in (num_inputs, width)]
            last = nn.Conv2d(width, channels, 5, 1, 2)
        else:
            inner = [nn.Conv2d(width, width, 3, 1, 1, bias=bias) for _ in range(2)]
            outer = max(1, width // 2)
            first = nn.Conv2d(num_inputs, width, 4, 2, 1, bias=bias)
            up = dcgan_networks.doubling(upsampling, width, outer, dcgan_networks.HALVING, bias=bias)
            convolutions = [first, *inner, up]
            last = nn.Conv2d(outer, channels, 3, 1, 1)
        blocks = [norm_activation(convolution, batch_norm, nn.ReLU()) for convolution in convolutions]
        self.layers = nn.Sequential(*itertools.chain(*blocks), last)

    def forward(self, z: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        residual: Tensor = self.layers(self.join(torch.cat([low_pass, z], 1), labels)).float()
        if self.bounded:
            return torch.tanh(LOW_PASS_GAIN * low_pass + residual) - low_pass
        return residual


class Discriminator(nn.Module):
    """A residual, float `[B, C, size, size]`, and `low_pass` → logits, float `[B, 1]`. The first layer reads their sum,
    the image; if `enhanced`, it also reads the residual or, in the coarsest level, the image's frequencies instead.

    `layers`: "coarse": fully connected, with `dropout`; "strided": strided convolutions; "flat": those of the paper.
    """

    def __init__(
        self, channels: int, size: int, num_classes: int, *, width: int, layers: Literal["coarse", "strided", "flat"],
        dropout: float, enhanced: bool, spectral: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.join = LabelPlane(num_classes, size)
        self.reads_residual = enhanced and layers != "coarse"
        self.frequencies = Frequencies(size) if enhanced and layers == "coarse" else None
        num_inputs = channels * (1 + self.reads_residual) + bool(num_classes)
        if layers == "coarse":
            self.layers = _fully_connected(num_inputs * size**2, width, dropout)
        else:
            self.layers = (_flat if layers == "flat" else _strided)(num_inputs, width, size)
        if spectral:
            spectral_norms(self.layers)

    def forward(self, residual: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        return self.logits(self.preprocess(residual + low_pass), residual, labels)

    def preprocess(self, image: Tensor) -> Tensor:
        """Return the image or, if the coarsest level is `enhanced`, its frequencies."""
        return image if self.frequencies is None else self.frequencies(image)

    def logits(self, preprocessed: Tensor, residual: Tensor, labels: Tensor | None) -> Tensor:
        """Return the logits of a preprocessed image and its residual."""
        if self.reads_residual:
            preprocessed = torch.cat([preprocessed, RESIDUAL_GAIN * residual], 1)
        logits: Tensor = self.layers(self.join(preprocessed, labels))
        return logits


class ConvolutionalDiscriminator(nn.Module):
    """The D of the DCGAN, for the coarsest level: an image, float `[B, C, size, size]`, as the sum of residual and
    `low_pass` → logits, float `[B, 1]`."""

    def __init__(self, images: ImageSpec, num_classes: int, *, width: int, spectral: bool) -> None:
        super().__init__()
        norm = "spectral" if spectral else "none"
        self.network = dcgan_networks.Discriminator(images, num_classes, width=width, norm=norm)

    def forward(self, residual: Tensor, low_pass: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.network(residual + low_pass, labels)
        return logits


def _fully_connected(num_pixels: int, width: int, dropout_probability: float) -> nn.Sequential:
    hidden: list[nn.Module] = [nn.LeakyReLU(0.2), *dropout(dropout_probability)]
    first, second = nn.Linear(num_pixels, width), nn.Linear(width, width)
    return nn.Sequential(nn.Flatten(), first, *hidden, second, *hidden, nn.Linear(width, 1))


def _flat(num_inputs: int, width: int, size: int) -> nn.Sequential:
    first, second = nn.Conv2d(num_inputs, width, 5, 1, 2), nn.Conv2d(width, width, 5, 2, 2)
    last = [nn.Linear(width * (size // 2) ** 2, 1)]
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), *last)


def _strided(num_inputs: int, width: int, size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((num_inputs, width), (width, 2 * width)):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * (size // 4) ** 2, 1))
