"""Blocks shared by variants."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

ENHANCED_BY = 1.5


class Maxout(nn.Module):
    """The largest of `num_pieces` affine maps per unit: float `[B, in]` → `[B, num_units]` (Goodfellow et al. 2013)."""

    def __init__(self, num_inputs: int, num_units: int, num_pieces: int) -> None:
        super().__init__()
        self.affine = nn.Linear(num_inputs, num_units * num_pieces)
        self.num_units = num_units

    def forward(self, x: Tensor) -> Tensor:
        return torch.amax(self.affine(x).unflatten(1, (self.num_units, -1)), dim=2)


class Tanh(nn.Module):
    """tanh, in fp32 whatever the input. In bf16 it is exactly ±1, with a gradient of exactly 0, from 3.5 on: pixels that are
    black would no longer learn."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.float())


class CellMeans(nn.Module):
    """Pictures, float `[B, C, H, W]` → the means of `cells`×`cells` cells, as `nn.AdaptiveAvgPool2d` cuts them: `[B, C,
    cells, cells]`. By two products, whose backward pass has a deterministic form on CUDA, as that module's has not."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height == width == self.cells:
            return x
        return self._shares(height, x) @ x @ self._shares(width, x).mT

    def _shares(self, size: int, like: Tensor) -> Tensor:
        """`[cells, size]`: what each pixel of a side counts for in each cell."""
        cell = torch.arange(self.cells, device=like.device)[:, None]
        pixel = torch.arange(size, device=like.device)
        first, end = cell * size // self.cells, -(-(cell + 1) * size // self.cells)
        inside = ((pixel >= first) & (pixel < end)).to(like.dtype)
        return inside / inside.sum(1, keepdim=True)


class ConvAfterShuffle(nn.Conv2d):
    """A convolution of what `nn.PixelShuffle(2)` would make of its input: features, float `[B, 4·in, h, w]` → `[B, out, 2h,
    2w]`. Its weight is the convolution's own, `[out, in, k, k]`, k one more than a multiple of four; zeros around.

    The shuffle comes last, so that a wide kernel with few outputs becomes a narrower one with four times the outputs on a
    quarter of the places (9×9 with 3: 5×5 with 12), which is what libraries are fast in.
    """

    def __init__(self, num_inputs: int, num_outputs: int, kernel: int) -> None:
        assert kernel % 4 == 1
        super().__init__(num_inputs, num_outputs, kernel, 1, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        kernel = self._kernel()
        return F.pixel_shuffle(F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2), 2)

    def _kernel(self) -> Tensor:
        """`[4·out, 4·in, n, n]`, n = k // 2 + 1: at place i, row 2y + a of the output reads row 2(y + i - k // 4) + b of the
        input by tap 2i + b - a, or not at all where there is no such tap."""
        size, places = self.kernel_size[0], self.kernel_size[0] // 2 + 1
        windows = [slice(1 + b - a, 1 + b - a + size, 2) for a in (0, 1) for b in (0, 1)]
        padded = F.pad(self.weight, (1, 1, 1, 1))
        rows = torch.stack([padded[:, :, window] for window in windows])
        both = torch.stack([rows[..., window] for window in windows])
        split = both.view(2, 2, 2, 2, self.out_channels, self.in_channels, places, places)  # column a, b, row a, b
        return split.permute(4, 2, 0, 5, 3, 1, 6, 7).reshape(4 * self.out_channels, -1, places, places)


class ConvAfterDoubling(nn.Conv2d):
    """A 3×3 convolution of pictures enlarged twice by repeating pixels: float `[B, in, h, w]` → `[B, out, 2h, 2w]` (Odena et
    al. 2016: no checkerboard, as all pixels of a cell are made by the same weights). Zeros around. `odd`: without the last
    row and column, `[B, out, 2h - 1, 2w - 1]`.

    Computed as one transposed convolution, whose 4×4 kernel is the 3×3 one spread over 2×2 cells.
    """

    def __init__(self, num_inputs: int, num_outputs: int, bias: bool = True, odd: bool = False) -> None:
        super().__init__(num_inputs, num_outputs, 3, 1, 1, bias=bias)
        self.cut = odd

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.flip(2, 3).transpose(0, 1)
        wide = F.pad(weight, (0, 1)) + F.pad(weight, (1, 0))
        kernel = F.pad(wide, (0, 0, 0, 1)) + F.pad(wide, (0, 0, 1, 0))
        doubled = F.conv_transpose2d(x, kernel, self.bias, 2, 1)
        return doubled[..., :-1, :-1] if self.cut else doubled


class Frequencies(nn.Module):
    """Pictures, float `[B, C, size, size]` → their cosine transform (orthonormal DCT-II), of the same shape, in fp32, with
    frequency f (cycles per two sides) enhanced (1 + f)^1.5 times.

    For a fully connected D: the power of pictures falls with f, and without this so does what it learns.
    """

    transform: Tensor
    gain: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        k = torch.arange(size, dtype=torch.float32, device="cpu")  # on the meta device this would import Dynamo
        transform = torch.cos(math.pi / size * k[:, None] * (k[None] + 0.5)) * (2 / size) ** 0.5
        transform = transform * torch.where(k > 0, 1.0, 0.5**0.5)[:, None]
        gain = (1 + torch.hypot(k[:, None], k[None])) ** ENHANCED_BY
        device = torch.get_default_device()
        self.register_buffer("transform", transform.to(device), persistent=False)
        self.register_buffer("gain", gain.to(device), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        with torch.autocast(pictures.device.type, enabled=False):
            return self.transform @ pictures.float() @ self.transform.mT * self.gain


class LabelPlane(nn.Module):
    """Labels, int64 `[B]`, joined to pictures as one more channel: a linear map of the one-hot label (Denton et al. 2015,
    section 3.2). Without classes, the pictures as they are."""

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.embed = nn.Embedding(num_classes, size**2) if num_classes else None

    def forward(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is None:
            return pictures
        return torch.cat([pictures, self.embed(labels).view(-1, 1, self.size, self.size)], 1)


class SpectralNorm(nn.Module):
    """Divides a weight `[out, …]`, taken as a matrix `[out, rest]`, by its largest singular value (Miyato et al. 2018).

    One power iteration per forward pass in training mode; `u` is the left singular vector so far. In fp32 always: the
    library's own version iterates in half precision under autocast.
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
    """`layer` with its `weight` under `SpectralNorm`."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    # Unsafe: without a first run, which the meta device has no autocast for.
    parametrize.register_parametrization(layer, "weight", SpectralNorm(len(weight)), unsafe=True)
    return layer


def spectral_norms(layers: nn.Sequential) -> None:
    """Every convolution and linear map of `layers` under `SpectralNorm`."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)


def dcgan_init(network: nn.Module) -> None:
    """Radford et al. 2015, section 4: weights N(0, 0.02), those of batch norm N(1, 0.02); biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
