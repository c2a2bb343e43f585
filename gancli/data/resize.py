"""Resizing whole data sets."""

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 2048


def resized(pixels: Tensor, size: int) -> Tensor:
    """uint8 `[N, C, H, W]` → uint8 `[N, C, size, size]`: centre-cropped to a square, then resized with antialiasing."""
    height, width = pixels.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[..., top : top + side, left : left + side]
    if side == size:
        return square.contiguous()
    chunks = [
        F.interpolate(part.float(), (size, size), mode="bicubic", antialias=True)
        .round_()
        .clamp_(0, 255)
        .to(torch.uint8)
        for part in torch.split(square, CHUNK)
    ]
    return torch.cat(chunks)
