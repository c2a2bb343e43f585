"""uint8 ↔ [-1, 1], grids and files. Outside this file, pixels are float in [-1, 1]."""

import io
import math

import torch
from PIL import Image
from torch import Tensor


def to_float(pixels: Tensor) -> Tensor:
    """uint8 `[..., H, W]` in 0…255 → float32 in [-1, 1]; 0 ↦ -1, 255 ↦ 1."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float `[..., H, W]` in [-1, 1] (values outside are clipped) → uint8, rounded to the nearest."""
    return images.to(torch.float32).add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_pil(pixels: Tensor) -> Image.Image:
    """uint8 `[C, H, W]` with 1 (grey) or 3 (RGB) channels → a Pillow image of mode L or RGB."""
    channels, height, width = pixels.shape
    raw = pixels.permute(1, 2, 0).contiguous().cpu().flatten().numpy().tobytes()
    return Image.frombytes("L" if channels == 1 else "RGB", (width, height), raw)


def from_pil(image: Image.Image) -> Tensor:
    """A Pillow image of mode L or RGB → uint8 `[C, H, W]`."""
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(image.height, image.width, -1).permute(2, 0, 1)


def columns_for(count: int) -> int:
    """The number of columns that makes a grid of `count` tiles as near to a square as can be (64 → 8)."""
    return max(1, math.ceil(math.sqrt(count)))


def grid_size(count: int, height: int, width: int, columns: int | None = None, gap: int = 2) -> tuple[int, int]:
    """Width and height in pixels of the `grid` of `count` tiles of that height and width."""
    columns = min(columns or columns_for(count), count)
    return columns * (width + gap) - gap, math.ceil(count / columns) * (height + gap) - gap


def grid(pixels: Tensor, columns: int | None = None, gap: int = 2) -> Tensor:
    """Tiles side by side: uint8 `[N, C, H, W]` → uint8 `[C, rows·(H+gap)-gap, columns·(W+gap)-gap]`.

    Tiles run left to right, then top to bottom; gaps and missing tiles are mid grey.
    """
    count, channels, height, width = pixels.shape
    across, down = grid_size(count, height, width, columns, gap)
    columns = min(columns or columns_for(count), count)
    canvas = torch.full((channels, down, across), 128, dtype=torch.uint8)
    for index, tile in enumerate(pixels.cpu()):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        canvas[:, top : top + height, left : left + width] = tile
    return canvas


def encode(image: Image.Image, suffix: str) -> bytes:
    """The bytes of a `.png`, `.jpg`/`.jpeg` or (lossless) `.webp` file of `image`."""
    buffer, profile = io.BytesIO(), image.info.get("icc_profile")
    if suffix == ".png":
        image.save(buffer, "PNG", icc_profile=profile)
    elif suffix == ".webp":
        image.save(buffer, "WEBP", lossless=True, exact=True, icc_profile=profile)
    else:
        image.save(buffer, "JPEG", quality=95, subsampling=0, icc_profile=profile)
    return buffer.getvalue()
