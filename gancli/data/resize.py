"""Resizing whole data sets."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli.events import Emit, Preparing

CHUNK_VALUES = 1 << 23  # float32 values before or after, whichever are more: 32 MiB


def resized(pixels: Tensor, size: int, name: str, emit: Emit) -> Tensor:
    """uint8 `[N, C, H, W]` → uint8 `[N, C, size, size]`: centre-cropped to a square, then resized with antialiasing."""
    count, channels, height, width = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[..., top : top + side, left : left + side]
    if side == size:
        return square.contiguous()
    result = torch.empty(count, channels, size, size, dtype=torch.uint8)
    chunk = max(1, CHUNK_VALUES // (channels * max(side, size) ** 2))
    for start in range(0, count, chunk):
        emit(Preparing(f"resizing {name} to {size} px", start, count, "images"))
        part = F.interpolate(square[start : start + chunk].float(), (size, size), mode="bicubic", antialias=True)
        result[start : start + chunk] = part.round_().clamp_(0, 255).to(torch.uint8)
    return result
