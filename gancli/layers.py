"""Blocks shared by variants."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Maxout(nn.Module):
    """The largest of `num_pieces` affine maps per unit: float `[B, in]` → `[B, num_units]` (Goodfellow et al. 2013)."""

    def __init__(self, num_inputs: int, num_units: int, num_pieces: int) -> None:
        super().__init__()
        self.affine = nn.Linear(num_inputs, num_units * num_pieces)
        self.num_units = num_units

    def forward(self, x: Tensor) -> Tensor:
        return torch.amax(self.affine(x).unflatten(1, (self.num_units, -1)), dim=2)


class SpectralNorm(nn.Module):
    """Divides a weight `[out, …]`, taken as a matrix `[out, rest]`, by its largest singular value (Miyato et al. 2018).

    One power iteration per forward pass in training mode; `u` is the left singular vector so far. In fp32 always: the
    library's own version iterates in half precision under autocast.
    """

    u: Tensor

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.register_buffer("u", F.normalize(torch.randn(num_outputs), dim=0))

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
