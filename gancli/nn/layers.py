"""Layers shared by variants."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

FREQUENCY_EXPONENT = 1.5
LABEL_STD = 0.1


def norm_activation(
    layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, batch_norm: bool, activation: nn.Module
) -> list[nn.Module]:
    """Return the layer, which has no bias if batch norm follows, then batch norm if `batch_norm`, then the activation."""
    assert not (batch_norm and layer.bias is not None), "batch norm subtracts the bias"
    if not batch_norm:
        return [layer, activation]
    norm = nn.BatchNorm1d(layer.out_features) if isinstance(layer, nn.Linear) else nn.BatchNorm2d(layer.out_channels)
    return [layer, norm, activation]


def dropout(probability: float) -> list[nn.Module]:
    """Return a dropout layer in a list, which is empty for probability 0."""
    return [nn.Dropout(probability)] if probability else []


class Maxout(nn.Module):
    """The maximum of `num_pieces` affine maps per unit: float `[B, in]` → `[B, num_units]` (Goodfellow et al. 2013)."""

    def __init__(self, num_inputs: int, num_units: int, num_pieces: int) -> None:
        super().__init__()
        self.affine = nn.Linear(num_inputs, num_units * num_pieces)
        self.num_units = num_units

    def forward(self, x: Tensor) -> Tensor:
        return torch.amax(self.affine(x).unflatten(1, (self.num_units, -1)), dim=2)


class Tanh(nn.Module):
    """tanh in fp32, for any input. In bf16, tanh is exactly ±1 from ±3.5 on, with a gradient of 0, so black and white
    pixels would no longer learn."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.float())


class CellMeans(nn.Module):
    """`nn.AdaptiveAvgPool2d(cells)`: float `[B, C, H, W]` → `[B, C, cells, cells]`. Computed as two matrix products,
    whose backward pass is deterministic on CUDA."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height == width == self.cells:
            return x
        return self._weights(height, x) @ x @ self._weights(width, x).mT

    def _weights(self, size: int, like: Tensor) -> Tensor:
        """Return the weight of each pixel of a side in each cell's mean: `[cells, size]`."""
        cell = torch.arange(self.cells, device=like.device)[:, None]
        pixel = torch.arange(size, device=like.device)
        first, end = cell * size // self.cells, -(-(cell + 1) * size // self.cells)
        inside = ((pixel >= first) & (pixel < end)).to(like.dtype)
        return inside / inside.sum(1, keepdim=True)


class ConvAfterShuffle(nn.Conv2d):
    """`nn.PixelShuffle(2)` followed by a convolution: float `[B, 4·in, h, w]` → `[B, out, 2h, 2w]`. The weight is that
    of the convolution, `[out, in, k, k]`, where k is one more than a multiple of four; zero padding.

    Computed with the shuffle last: a wide kernel with few outputs becomes a narrower one with four times the outputs at
    a quarter of the positions (9×9 with 3 outputs: 5×5 with 12), for which libraries are faster.
    """

    def __init__(self, num_inputs: int, num_outputs: int, kernel: int) -> None:
        assert kernel % 4 == 1
        super().__init__(num_inputs, num_outputs, kernel, 1, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        kernel = self._kernel()
        return F.pixel_shuffle(F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2), 2)

    def _kernel(self) -> Tensor:
        """Return the kernel before the shuffle, `[4·out, 4·in, n, n]`, n = k // 2 + 1. At position i, row 2y + a of the
        output reads row 2(y + i - k // 4) + b of the input with row 2i + b - a of the weight, or 0 outside it."""
        size, num_positions = self.kernel_size[0], self.kernel_size[0] // 2 + 1
        windows = [slice(1 + b - a, 1 + b - a + size, 2) for a in (0, 1) for b in (0, 1)]
        padded = F.pad(self.weight, (1, 1, 1, 1))
        rows = torch.stack([padded[:, :, window] for window in windows])
        both = torch.stack([rows[..., window] for window in windows])
        # Dimensions: column a, b, row a, b, …
        split = both.view(2, 2, 2, 2, self.out_channels, self.in_channels, num_positions, num_positions)
        return split.permute(4, 2, 0, 5, 3, 1, 6, 7).reshape(4 * self.out_channels, -1, num_positions, num_positions)


class ConvAfterDoubling(nn.Conv2d):
    """Nearest-neighbour upsampling by 2 followed by a 3×3 convolution with zero padding: float `[B, in, h, w]` → `[B,
    out, 2h, 2w]`, without checkerboard artifacts (Odena et al. 2016). `odd`: without the last row and column, `[B, out,
    2h - 1, 2w - 1]`.

    Computed as one transposed convolution, whose 4×4 kernel is the sum of the 3×3 one over the repeated pixels.
    """

    def __init__(self, num_inputs: int, num_outputs: int, bias: bool = True, odd: bool = False) -> None:
        super().__init__(num_inputs, num_outputs, 3, 1, 1, bias=bias)
        self.odd = odd

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.flip(2, 3).transpose(0, 1)
        wide = F.pad(weight, (0, 1)) + F.pad(weight, (1, 0))
        kernel = F.pad(wide, (0, 0, 0, 1)) + F.pad(wide, (0, 0, 1, 0))
        doubled = F.conv_transpose2d(x, kernel, self.bias, 2, 1)
        return doubled[..., :-1, :-1] if self.odd else doubled


class Frequencies(nn.Module):
    """The orthonormal cosine transform (DCT-II) of images, with frequency f (cycles per two sides) amplified by (1 +
    f)^1.5: float `[B, C, size, size]` → the same shape, in fp32.

    For a fully connected D: the power of images falls with f, so D would hardly learn high frequencies.
    """

    transform: Tensor
    gain: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        k = torch.arange(size, dtype=torch.float32, device="cpu")  # on the meta device this would import Dynamo
        transform = torch.cos(math.pi / size * k[:, None] * (k[None] + 0.5)) * (2 / size) ** 0.5
        transform = transform * torch.where(k > 0, 1.0, 0.5**0.5)[:, None]
        gain = (1 + torch.hypot(k[:, None], k[None])) ** FREQUENCY_EXPONENT
        device = torch.get_default_device()
        self.register_buffer("transform", transform.to(device), persistent=False)
        self.register_buffer("gain", gain.to(device), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return self.transform @ images.float() @ self.transform.mT * self.gain


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """Return one-hot labels: int64 `[B]` → `[B, num_classes]`. F.one_hot reads the largest label on the host, which cannot
    be captured."""
    return (labels[:, None] == torch.arange(num_classes, device=labels.device)).to(dtype)


def label_embedding(num_classes: int, width: int) -> nn.Embedding:
    """Return an embedding of labels, int64 `[B]` → float `[B, width]`, with small initial values, N(0, 0.1): from N(0, 1),
    convolutional networks learned one image per class, and to ignore noise."""
    embedding = nn.Embedding(num_classes, width)
    nn.init.normal_(embedding.weight, 0.0, LABEL_STD)
    return embedding


class LabelPlane(nn.Module):
    """Appends the label as one more channel, a linear map of the one-hot label (Denton et al. 2015, section 3.2): float
    `[B, C, size, size]`, int64 `[B]` → float `[B, C + 1, size, size]`. Without classes, returns the images unchanged."""

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.embed = label_embedding(num_classes, size**2) if num_classes else None

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is None:
            return images
        return torch.cat([images, self.embed(labels).view(-1, 1, self.size, self.size)], 1)


class SpectralNorm(nn.Module):
    """Divides a weight `[out, …]`, as a matrix `[out, rest]`, by its largest singular value (Miyato et al. 2018,
    Algorithm 1).

    In training mode, each forward pass is one power iteration; `u` is the estimate of the left singular vector. Always
    in fp32: torch's version iterates in half precision under autocast.
    """

    u: Tensor

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.register_buffer("u", F.normalize(nn.init.normal_(torch.empty(num_outputs)), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            with torch.no_grad():
                v = F.normalize(matrix.mT @ self.u, dim=0)
                u = F.normalize(matrix @ v, dim=0)
                if self.training:
                    self.u.copy_(u)
            return weight / torch.dot(u, matrix @ v)


def spectral_norm(layer: nn.Module) -> nn.Module:
    """Parametrize a layer's `weight` by `SpectralNorm`, and return the layer."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    # unsafe: skips a first forward pass, as there is no autocast on the meta device.
    parametrize.register_parametrization(layer, "weight", SpectralNorm(len(weight)), unsafe=True)
    return layer


def spectral_norms(layers: nn.Sequential) -> None:
    """Parametrize the weights of all convolutions and linear layers by `SpectralNorm`."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)


def dcgan_init(network: nn.Module) -> None:
    """Initialise weights with N(0, 0.02), those of batch norm with N(1, 0.02), and biases with 0 (Radford et al. 2015,
    section 4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
