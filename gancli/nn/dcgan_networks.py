"""The convolutional networks of the DCGAN (Radford et al. 2015): G doubles the size from 4×4 on, D halves it."""

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.nn.layers import ConvAfterDoubling, Tanh, dcgan_init, label_embedding, norm_activation, spectral_norms
from gancli.spec import ImageSpec

MAX_WIDTH_FACTOR = 8  # of the feature maps next to the image
COARSEST = 4  # pixels
Kernel = tuple[int, int, int]
HALVING, HALVING_ODD = (4, 2, 1), (3, 2, 1)  # kernel, stride, padding: of even sizes, and of 7 to 4


class Generator(nn.Module):
    """float z `[B, latent_dim]` (and int64 labels `[B]`) → images, float `[B, C, size, size]` in [-1, 1]. `width`: feature
    maps next to the image. `upsampling`: "resize" or "transposed". `label_scale`: factor of the labels' embeddings: labels
    that have as much effect as z make G learn one image per class."""

    def __init__(
        self, images: ImageSpec, num_classes: int, *, latent_dim: int, width: int, upsampling: str,
        label_scale: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.label_scale = label_scale
        num_inputs, widths = latent_dim, feature_maps(images.size, width)
        self.embed = None
        if num_classes:
            self.embed = label_embedding(num_classes, latent_dim)
            num_inputs += latent_dim
        layers: list[nn.Module] = []
        kernels = [(COARSEST, 1, 0), *halvings(images.size)[:0:-1]]
        for kernel, inputs, outputs in zip(kernels, [num_inputs, *widths[:0:-1]], widths[::-1], strict=True):
            layers += [doubling(upsampling, inputs, outputs, kernel, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        last = doubling(upsampling, widths[0], images.channels, HALVING, bias=True)
        self.layers = nn.Sequential(*layers, last, Tanh())
        dcgan_init(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.label_scale * self.embed(labels)], 1)
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """Images, float `[B, C, size, size]` (and int64 labels `[B]`, as one more channel) → logits, float `[B, 1]`. `width`:
    feature maps next to the image. `norm`: "batch", "spectral" or "none"."""

    def __init__(self, images: ImageSpec, num_classes: int, *, width: int, norm: str) -> None:
        super().__init__()
        self.size, widths = images.size, feature_maps(images.size, width)
        self.embed = label_embedding(num_classes, images.size**2) if num_classes else None
        channels = images.channels + bool(num_classes)
        layers: list[nn.Module] = []
        for kernel, inputs, outputs in zip(halvings(images.size), [channels, *widths[:-1]], widths, strict=True):
            normed = norm == "batch" and bool(layers)  # not next to the image
            layers += norm_activation(nn.Conv2d(inputs, outputs, *kernel, bias=not normed), normed, nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, COARSEST), nn.Flatten())
        dcgan_init(self)
        if norm == "spectral":
            spectral_norms(self.layers)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            x = torch.cat([x, self.embed(labels).view(-1, 1, self.size, self.size)], 1)
        logits: Tensor = self.layers(x)
        return logits


def doubling(
    upsampling: str, num_inputs: int, num_outputs: int, kernel: Kernel, bias: bool
) -> nn.Conv2d | nn.ConvTranspose2d:
    """Return a layer that doubles the size (4 pixels to 8, or to 7) by `upsampling`; from 1 pixel to 4, a transposed
    convolution."""
    if upsampling == "resize" and kernel in (HALVING, HALVING_ODD):
        return ConvAfterDoubling(num_inputs, num_outputs, bias=bias, odd=kernel == HALVING_ODD)
    return nn.ConvTranspose2d(num_inputs, num_outputs, *kernel, bias=bias)


def feature_maps(size: int, width: int) -> list[int]:
    """Return the number of feature maps after each halving of `size`: doubled each time, up to 8 times `width`."""
    return [width * min(2**level, MAX_WIDTH_FACTOR) for level in range(len(halvings(size)))]


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
