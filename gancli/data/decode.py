"""One image file of any mode, size and orientation to 8-bit grey or RGB."""

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from gancli.errors import DataError

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
MAX_PIXELS = 1 << 27  # 134 million: far above any photograph, far below what exhausts memory
Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, by name, instead of as a warning


@dataclass(frozen=True)
class Head:
    """What an image's header says: upright size in pixels, and whether it is grey."""

    width: int
    height: int
    grey: bool


def read_head(data: bytes, name: str) -> Head:
    """The header of an encoded image. Raises `DataError` naming it."""
    with _opened(data, name) as image:
        width, height = image.size
        if image.getexif().get(0x0112, 1) >= 5:  # orientations 5 to 8 lie on their side
            width, height = height, width
        return Head(width, height, image.mode in GREY_MODES)


def decode(data: bytes, name: str) -> Image.Image:
    """An encoded image upright, as Pillow mode L or RGB; alpha is composited on white. Raises `DataError` naming it."""
    with _opened(data, name) as image:
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
            return _eight_bit(upright)
        except (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
            # what Pillow's plugins raise for broken files
            raise DataError(f"{name}: cannot be decoded ({' '.join(str(error).split())})") from None


def square(image: Image.Image, size: int) -> Image.Image:
    """The centre square of an image at `size` pixels, antialiased."""
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def _opened(data: bytes, name: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise DataError(f"{name}: not an image that Pillow knows") from None
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError) as error:
        raise DataError(f"{name}: cannot be read ({' '.join(str(error).split())})") from None
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{name}: {image.width}×{image.height} pixels are over the limit of {MAX_PIXELS}")
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled_down(image)
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        return flat.convert("L") if image.mode in GREY_MODES else flat
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def _scaled_down(image: Image.Image) -> Image.Image:
    """16- and 32-bit grey as 8-bit; Pillow's own conversion would clip everything above 255 to white."""
    if image.mode == "F":
        values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.float32).nan_to_num()
        top = 1.0 if values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
    else:
        wide = image.convert("I")
        values = torch.frombuffer(bytearray(wide.tobytes()), dtype=torch.int32).float()
        top = 65535.0 if image.mode.startswith("I;16") or values.max() > 255 else 255.0
    grey = (values * (255 / top)).round().clamp(0, 255).to(torch.uint8)
    return Image.frombytes("L", image.size, grey.numpy().tobytes())


def is_image(path: Path | str) -> bool:
    """Whether a file's name says it is an image; hidden files and macOS's shadows are none."""
    parts = Path(path).parts
    return Path(path).suffix.lower() in SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in parts)
