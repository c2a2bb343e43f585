"""One image file of any mode, size and orientation to 8-bit grey or RGB."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError

from gancli.data.formats import GREY_MODES, accepted
from gancli.data.image_metadata import ORIENTATION, read_metadata
from gancli.errors import DataError
from gancli.text import counted, few

ALPHA_MODES = frozenset({"LA", "La", "RGBA", "RGBa", "PA"})
WIDE_MODES = ("I", "F")  # what the names of modes of more than 8 bits begin with
MOVING = frozenset({"GIF", "PNG", "WEBP", "AVIF", "TIFF"})  # what has frames; an MPO's are depths, a PSD's are layers
# What is told of images, once for all of them, after their number.
ANIMATED = "with several frames or pages: the first is taken"
DEEP = "with more than 8 bits per channel: reduced to 8 bits"
ON_WHITE = "with transparency: composited on white"
TRUSTED = 8  # times its alpha, at most 1, is how much the colour of a pixel counts against that around it
MAX_PIXELS = 1 << 27  # 134 million: far above any photograph, far below what exhausts memory
# Of a large picture: nothing that shows anything comes to less, and a few damaged bytes can claim seconds of work.
LARGE, MAX_PIXELS_PER_BYTE = 1 << 24, 10_000
# What sets a picture upright, by its EXIF orientation. ImageOps.exif_transpose also writes EXIF anew; odd EXIF stops it.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, by name, instead of as a warning
warnings.filterwarnings("ignore", module=r"PIL\.")  # on odd metadata; broken pixels raise
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else what it logs of odd files goes to stderr


@dataclass(frozen=True)
class Head:
    """What an image's header says: upright size in pixels, and whether it is grey."""

    width: int
    height: int
    grey: bool


def read_head(data: bytes, name: str) -> Head:
    """The header of an encoded image, of which the beginning may do. Raises `DataError` naming it."""
    with _opened(data, name, "read") as image:
        width, height = image.size
        if _orientation(image) in (5, 6, 7, 8):  # they lie on their side
            width, height = height, width
        return Head(width, height, image.mode in GREY_MODES)


@dataclass(frozen=True)
class First:
    """A picture of mode L or RGB, and what is to be told of it (`ANIMATED`, …)."""

    picture: Image.Image
    remarks: tuple[str, ...]


def add_remarks(told: dict[str, list[str]], said: Iterable[str], name: str) -> None:
    """Note what is `said` of a picture in what is `told` of all."""
    for words in said:
        told.setdefault(words, []).append(name)


def remarks(told: Mapping[str, Sequence[str]]) -> list[str]:
    """What is told of pictures, a line for each kind of thing."""
    return [f"{counted(len(names), 'image')} {words} ({few(names)})" for words, names in told.items()]


def decode(data: bytes, name: str, side: int | None = None) -> Image.Image:
    """An encoded image upright, as Pillow mode L or RGB; alpha is composited on white. Raises `DataError` naming it.

    Given the `side` it will be resized to, a large JPEG may be decoded at a half, quarter or eighth, but at no less than
    twice that side: several times faster, with no visible difference.
    """
    return decode_first(data, name, side).picture


def decode_first(data: bytes, name: str, side: int | None = None) -> First:
    """As `decode`; of several frames the first."""
    with _opened(data, name, "decoded") as image:
        if side is not None:
            image.draft(None, (2 * side, 2 * side))
        remarks = _remarks(image, data)
        image.load()
        upright = _upright(image)
        rgba = _rgba(upright)
        if rgba is not None and rgba.getchannel("A").getextrema() != (255, 255):
            remarks.append(ON_WHITE)
        return First(_eight_bit(upright, rgba), tuple(remarks))


@dataclass(frozen=True)
class Layers:
    """A picture taken apart: colour (mode L or RGB), transparency (mode L) if it has any, `info` for the file it is saved
    in (`image_metadata`), and what is to be told of it (`ANIMATED`, …). Where nothing is visible, the colour is that of the
    pixels around."""

    colour: Image.Image
    alpha: Image.Image | None
    info: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def decode_layers(data: bytes, name: str) -> Layers:
    """An encoded image upright, with its transparency apart. Raises `DataError` naming it."""
    with _opened(data, name, "decoded") as image:
        return layers_of(image, tuple(_remarks(image, data)))


def layers_of(image: Image.Image, remarks: tuple[str, ...] = ()) -> Layers:
    """A Pillow image upright, with its transparency apart. Raises whatever Pillow does where it cannot be loaded."""
    image.load()
    info, more = read_metadata(image, image.mode in GREY_MODES)
    remarks += more
    upright = _upright(image)
    if (rgba := _rgba(upright)) is None:
        return Layers(_eight_bit(upright, None), None, info, remarks)
    alpha = rgba.getchannel("A")
    colour = _filled(rgba).convert("L" if upright.mode in GREY_MODES else "RGB")
    return Layers(colour, alpha, info, remarks)


def _filled(rgba: Image.Image) -> Image.Image:
    """The colours of a picture without its transparency. What was hidden under it (often black) must not bleed into what is
    visible when the picture is resized: transparent pixels get the colours around them, of a picture half as large."""
    trusted = rgba.getchannel("A").point([min(255, TRUSTED * value) for value in range(256)])
    colour = rgba.convert("RGB")
    if trusted.getextrema()[0] == 255 or max(rgba.size) == 1:
        return colour
    rgba.putalpha(trusted)
    around = _filled(rgba.reduce(2)).resize(rgba.size, Image.Resampling.BILINEAR)
    return Image.composite(colour, around, trusted)


def shape_of(image: Image.Image) -> tuple[int, int, int]:
    """Width, height and bytes per pixel in memory of a Pillow image as it lies in its file."""
    plain_grey = image.mode in GREY_MODES - ALPHA_MODES and "transparency" not in image.info
    return (*image.size, 1 if plain_grey else 4)


def read_shape(data: bytes, name: str) -> tuple[int, int, int]:
    """Width, height and bytes per pixel in memory of an encoded image as it lies in its file, without decoding it (which
    EXIF may need). Raises `DataError` naming it."""
    with _opened(data, name, "read") as image:
        return shape_of(image)


@contextlib.contextmanager
def _opened(data: bytes, name: str, doing: str) -> Iterator[Image.Image]:
    """An encoded image within bounds, to be `doing` ("decoded", …). Raises `DataError`, for what is done with it, too."""
    try:
        with Image.open(io.BytesIO(data), formats=accepted(name)) as image:
            num_pixels = image.width * image.height
            if num_pixels > MAX_PIXELS:
                raise DataError(f"{name}: {image.width}×{image.height} pixels are over the limit of {MAX_PIXELS}")
            if num_pixels > max(LARGE, MAX_PIXELS_PER_BYTE * len(data)):
                raise DataError(f"{name}: {image.width}×{image.height} pixels in {len(data)} bytes: empty, or damaged")
            yield image
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name}: not a picture, or a damaged one") from None
    except Exception as error:  # broken files make Pillow's plugins raise anything
        words = " ".join(f"{error or type(error).__name__}".split())[:200]
        raise DataError(f"{name}: cannot be {doing} ({words})") from None


def _remarks(image: Image.Image, data: bytes) -> list[str]:
    """What is to be told of a picture that is open, but not yet loaded."""
    is_deep = image.mode.startswith(WIDE_MODES) or ";16" in str(getattr(image, "tile", ""))
    return [ANIMATED] * _has_more(image, data) + [DEEP] * is_deep


def _has_more(image: Image.Image, data: bytes) -> bool:
    """Whether there are frames after the first. One that cannot be read is none: the first is what counts."""
    if image.format not in MOVING:
        return False
    try:
        if image.format == "GIF":  # looking for its second frame would change the first
            with Image.open(io.BytesIO(data), formats=("GIF",)) as again:
                return bool(getattr(again, "is_animated", False))
        return bool(getattr(image, "is_animated", False))
    except Exception:  # as above
        return False


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # the picture is whole where its EXIF is not
        return 1


def _upright(image: Image.Image) -> Image.Image:
    turn = UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _rgba(image: Image.Image) -> Image.Image | None:
    """A picture that may be transparent somewhere, as RGBA; None for others."""
    if image.mode not in ALPHA_MODES and "transparency" not in image.info:
        return None
    if not image.mode.startswith(WIDE_MODES):
        return image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
    rgba = _scaled_down(image).convert("RGBA")  # Pillow's own conversion would clip it to white
    visible = (_values(image) != image.info["transparency"]).to(torch.uint8) * 255
    rgba.putalpha(Image.frombytes("L", image.size, visible.numpy().tobytes()))
    return rgba


def _eight_bit(image: Image.Image, rgba: Image.Image | None) -> Image.Image:
    """A picture in grey or colour; if it has transparency, and so is given as `rgba`, on white."""
    if rgba is not None:
        flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        return flat.convert("L") if image.mode in GREY_MODES else flat
    if image.mode.startswith(WIDE_MODES):
        return _scaled_down(image)
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def _scaled_down(image: Image.Image) -> Image.Image:
    """16- and 32-bit grey as 8-bit; Pillow's own conversion would clip everything above 255 to white."""
    values = _values(image)
    if image.mode == "F":
        top = 1.0 if values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
    else:
        top = 65535.0 if image.mode.startswith("I;16") or values.max() > 255 else 255.0
    grey = (values * (255 / top)).round().clamp(0, 255).to(torch.uint8)
    return Image.frombytes("L", image.size, grey.numpy().tobytes())


def _values(image: Image.Image) -> torch.Tensor:
    """The numbers in a picture of more than 8 bits."""
    if image.mode == "F":
        return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.float32).nan_to_num()
    return torch.frombuffer(bytearray(image.convert("I").tobytes()), dtype=torch.int32).float()
