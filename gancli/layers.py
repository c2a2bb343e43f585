"""Blocks shared by variants."""

import torch
from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of `num_pieces` affine maps per unit: float `[B, in]` → `[B, num_units]` (Goodfellow et al. 2013)."""

    def __init__(self, num_inputs: int, num_units: int, num_pieces: int) -> None:
        super().__init__()
        self.affine = nn.Linear(num_inputs, num_units * num_pieces)
        self.num_units = num_units

    def forward(self, x: Tensor) -> Tensor:
        return torch.amax(self.affine(x).unflatten(1, (self.num_units, -1)), dim=2)
