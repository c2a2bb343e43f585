"""Conversions of images: uint8 ↔ [-1, 1], Pillow, grids and files. Outside this file, pixels are float in [-1, 1]."""

import io
import math
from collections.abc import Mapping

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

PNG_EFFORT = 4  # of zlib's 0 to 9: half the time of the default 6 for 0.2 % more bytes of an enlarged photograph
# Lossless: a third of the time of the default (method 4, quality 80) for 1 % more bytes.
WEBP_EFFORT = {"method": 2, "quality": 20}
# Peak memory of encoding with the file's bytes, in bytes per pixel (of noise, in Pillow 13).
ENCODING_BYTES = {".png": 3, ".jpg": 4, ".jpeg": 4, ".webp": 36}
MAX_SIDE = {".png": 1_000_000, ".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}  # pixels; libpng's limit for .png


def to_float(pixels: Tensor) -> Tensor:
    """Convert uint8 `[..., H, W]` to float32 in [-1, 1]; 0 ↦ -1, 255 ↦ 1."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Convert float `[..., H, W]` in [-1, 1] (values outside are clipped) to uint8, rounded to the nearest."""
    return images.to(torch.float32).add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_pil(pixels: Tensor, zoom: int = 1) -> Image.Image:
    """Convert uint8 `[C, H, W]` with 1 (grey) or 3 (RGB) channels to a Pillow image of mode L or RGB. Each pixel becomes
    `zoom` × `zoom` pixels."""
    channels, height, width = pixels.shape
    raw = pixels.permute(1, 2, 0).contiguous().cpu().flatten().numpy().tobytes()
    image = Image.frombytes("L" if channels == 1 else "RGB", (width, height), raw)
    return image if zoom == 1 else image.resize((width * zoom, height * zoom), Image.Resampling.NEAREST)


def from_pil(image: Image.Image) -> Tensor:
    """Convert a Pillow image of mode L or RGB to uint8 `[C, H, W]`."""
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(image.height, image.width, -1).permute(2, 0, 1)


def columns_for(count: int, num_classes: int = 1) -> int:
    """Return the number of columns that makes a grid of `count` tiles as square as possible (64 → 8), and a multiple of
    `num_classes`, so that a column is of one class (3 → 9)."""
    square = max(1, math.ceil(math.sqrt(count)))
    return num_classes * max(1, round(square / num_classes))


def grid_size(count: int, height: int, width: int, columns: int | None = None, gap: int = 2) -> tuple[int, int]:
    """Return the width and height in pixels of the `grid` of `count` tiles of that height and width."""
    columns = min(columns or columns_for(count), count)
    return columns * (width + gap) - gap, math.ceil(count / columns) * (height + gap) - gap


def grid(pixels: Tensor, columns: int | None = None, gap: int = 2) -> Tensor:
    """Arrange images in a grid: uint8 `[N, C, H, W]` → uint8 `[C, rows·(H+gap)-gap, columns·(W+gap)-gap]`.

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


def encode(image: Image.Image, suffix: str, texts: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a `.png`, `.jpg`/`.jpeg` or (lossless) `.webp` file of `image`, with the metadata in its `info`
    that the format supports: `icc_profile` and `exif` (bytes), `dpi` (two numbers). `texts`: keywords and texts of a PNG's
    text chunks (tEXt; iTXt for a text that is not Latin-1); other formats have none."""
    metadata = {name: image.info[name] for name in ("icc_profile", "exif", "dpi") if image.info.get(name)}
    buffer = io.BytesIO()
    if suffix == ".png":
        chunks = PngImagePlugin.PngInfo()
        for keyword, text in (texts or {}).items():
            chunks.add_text(keyword, text)
        image.save(buffer, "PNG", compress_level=PNG_EFFORT, pnginfo=chunks, **metadata)
    elif suffix == ".webp":
        image.save(buffer, "WEBP", lossless=True, exact=True, **WEBP_EFFORT, **metadata)
    else:
        image.save(buffer, "JPEG", quality=95, subsampling=0, **metadata)
    return buffer.getvalue()
