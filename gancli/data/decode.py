"""Decode an image file of any mode, size and orientation to 8-bit grey or RGB, and make it square. Imports no torch."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gancli.data.formats import GREY_MODES, accepted
from gancli.data.image_metadata import ORIENTATION, read_metadata
from gancli.data.options import CropMode
from gancli.errors import DataError
from gancli.text import counted, few

ALPHA_MODES = frozenset({"LA", "La", "RGBA", "RGBa", "PA"})
WIDE_MODES = ("I", "F")  # the beginnings of modes of more than 8 bits
MOVING = frozenset(
    {"GIF", "PNG", "WEBP", "AVIF", "TIFF"}
)  # formats with frames; those of MPO are depths, of PSD layers
# Remarks about images, for a message that begins with their number.
ANIMATED = "with several frames or pages: the first is taken"
DEEP = "with more than 8 bits per channel: reduced to 8 bits"
ON_WHITE = "with transparency: composited on white"
ALPHA_GAIN = 8  # the weight of a pixel's colour, against the colours around it, is so many times its alpha, at most 1
MAX_PIXELS = 1 << 27  # 134 million: far above any photograph, far below what exhausts memory
# Of a large image. No real image exceeds this, and a few damaged bytes could claim seconds of work.
LARGE, MAX_PIXELS_PER_BYTE = 1 << 24, 10_000
# Transpositions to upright, by EXIF orientation. ImageOps.exif_transpose also rewrites EXIF, and fails on damaged EXIF.
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
    """The header of an image: its upright size in pixels, and whether it is grey."""

    width: int
    height: int
    grey: bool


def read_head(data: bytes, name: str) -> Head:
    """Return the header of an encoded image, for which its beginning may suffice. Raises `DataError`."""
    with _opened(data, name, "read") as image:
        width, height = image.size
        if _orientation(image) in (5, 6, 7, 8):  # turned by 90°
            width, height = height, width
        return Head(width, height, image.mode in GREY_MODES)


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image of mode L or RGB, and remarks about it (`ANIMATED`, …)."""

    image: Image.Image
    remarks: tuple[str, ...]


def add_remarks(names_by_remark: dict[str, list[str]], new: Iterable[str], name: str) -> None:
    """Add the `new` remarks about an image to those about all."""
    for remark in new:
        names_by_remark.setdefault(remark, []).append(name)


def remark_messages(names_by_remark: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a message for each remark: how many images it is about, and the first names."""
    return [f"{counted(len(names), 'image')} {remark} ({few(names)})" for remark, names in names_by_remark.items()]


def decode(data: bytes, name: str, side: int | None = None) -> Image.Image:
    """Return an encoded image upright, in Pillow's mode L or RGB, with alpha composited on white. Raises `DataError`.

    Given the `side` it will be resized to, a large JPEG may be decoded at a half, quarter or eighth, but at no less than
    twice that side: several times faster, with no visible difference.
    """
    return decode_image(data, name, side).image


def decode_image(data: bytes, name: str, side: int | None = None) -> DecodedImage:
    """Return what `decode` does, with remarks. Of several frames it is the first."""
    with _opened(data, name, "decoded") as image:
        if side is not None:
            image.draft(None, (2 * side, 2 * side))
        return _decoded(image, _remarks(image, data))


def eight_bit(image: Image.Image) -> DecodedImage:
    """Return a Pillow image upright, in mode L or RGB, with alpha composited on white, and remarks. Raises any error of
    Pillow if it cannot be loaded."""
    return _decoded(image, [DEEP] * image.mode.startswith(WIDE_MODES))


def _decoded(image: Image.Image, remarks: list[str]) -> DecodedImage:
    image.load()
    upright = _upright(image)
    rgba = _rgba(upright)
    if rgba is not None and rgba.getchannel("A").getextrema() != (255, 255):
        remarks.append(ON_WHITE)
    return DecodedImage(_eight_bit(upright, rgba), tuple(remarks))


@dataclass(frozen=True)
class ImageLayers:
    """A decoded image in layers: colour (mode L or RGB) and transparency (mode L), if it has any. `info`: metadata for the
    file that it is saved in (`image_metadata`). Transparent pixels have the colour of the visible pixels around them."""

    colour: Image.Image
    alpha: Image.Image | None
    info: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def decode_layers(data: bytes, name: str) -> ImageLayers:
    """Return an encoded image upright, in layers. Raises `DataError`."""
    with _opened(data, name, "decoded") as image:
        return split_layers(image, tuple(_remarks(image, data)))


def split_layers(image: Image.Image, remarks: tuple[str, ...] = ()) -> ImageLayers:
    """Return a Pillow image upright, in layers. Raises any error of Pillow if it cannot be loaded."""
    image.load()
    info, more = read_metadata(image, image.mode in GREY_MODES)
    remarks += more
    upright = _upright(image)
    if (rgba := _rgba(upright)) is None:
        return ImageLayers(_eight_bit(upright, None), None, info, remarks)
    alpha = rgba.getchannel("A")
    colour = _filled(rgba).convert("L" if upright.mode in GREY_MODES else "RGB")
    return ImageLayers(colour, alpha, info, remarks)


def _filled(rgba: Image.Image) -> Image.Image:
    """Return the colours of an image, with transparent pixels in the colours around them, from an image half as large:
    hidden colours (often black) would bleed into visible ones when it is resized."""
    weight = rgba.getchannel("A").point([min(255, ALPHA_GAIN * value) for value in range(256)])
    colour = rgba.convert("RGB")
    if weight.getextrema()[0] == 255 or max(rgba.size) == 1:
        return colour
    rgba.putalpha(weight)
    around = _filled(rgba.reduce(2)).resize(rgba.size, Image.Resampling.BILINEAR)
    return Image.composite(colour, around, weight)


def shape_of(image: Image.Image) -> tuple[int, int, int]:
    """Return the width, height and bytes per pixel in memory of a Pillow image, before it is turned upright."""
    plain_grey = image.mode in GREY_MODES - ALPHA_MODES and "transparency" not in image.info
    return (*image.size, 1 if plain_grey else 4)


def read_shape(data: bytes, name: str) -> tuple[int, int, int]:
    """Return the `shape_of` an encoded image from its header alone. Raises `DataError`."""
    with _opened(data, name, "read") as image:
        return shape_of(image)


@contextlib.contextmanager
def _opened(data: bytes, name: str, doing: str) -> Iterator[Image.Image]:
    """Open an encoded image within bounds, to be `doing` ("decoded", …). Errors, also of that, become `DataError`."""
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
        raise DataError(f"{name}: not an image, or a damaged one") from None
    except Exception as error:  # broken files make Pillow's plugins raise anything
        words = " ".join(f"{error or type(error).__name__}".split())[:200]
        raise DataError(f"{name}: cannot be {doing} ({words})") from None


def _remarks(image: Image.Image, data: bytes) -> list[str]:
    """Return the remarks about an image that is open, but not yet loaded."""
    is_deep = image.mode.startswith(WIDE_MODES) or ";16" in str(getattr(image, "tile", ""))
    return [ANIMATED] * _has_more(image, data) + [DEEP] * is_deep


def _has_more(image: Image.Image, data: bytes) -> bool:
    """Return whether there are readable frames after the first."""
    if image.format not in MOVING:
        return False
    try:
        if image.format == "GIF":  # the search for its second frame would change the first
            with Image.open(io.BytesIO(data), formats=("GIF",)) as again:
                return bool(getattr(again, "is_animated", False))
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame
        return False


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF, of an image that may be whole
        return 1


def _upright(image: Image.Image) -> Image.Image:
    turn = UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _rgba(image: Image.Image) -> Image.Image | None:
    """Return an image that may be transparent somewhere as RGBA; None for others."""
    if image.mode not in ALPHA_MODES and "transparency" not in image.info:
        return None
    if not image.mode.startswith(WIDE_MODES):
        return image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
    rgba = _scaled_down(image).convert("RGBA")  # Pillow's conversion would clip it to white
    visible = _values(image) != image.info["transparency"]
    rgba.putalpha(Image.fromarray(np.where(visible, np.uint8(255), np.uint8(0))))
    return rgba


def _eight_bit(image: Image.Image, rgba: Image.Image | None) -> Image.Image:
    """Return an image in mode L or RGB; on white if it has transparency, and so is given as `rgba`, too."""
    if rgba is not None:
        flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        return flat.convert("L") if image.mode in GREY_MODES else flat
    if image.mode.startswith(WIDE_MODES):
        return _scaled_down(image)
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def _scaled_down(image: Image.Image) -> Image.Image:
    """Return 16- and 32-bit grey as 8-bit. Pillow's conversion would clip everything above 255 to white."""
    values = _values(image)
    if image.mode == "F":
        top = 1.0 if values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
    else:
        top = 65535.0 if image.mode.startswith("I;16") or values.max() > 255 else 255.0
    return Image.fromarray(np.rint(values.clip(0, top) * np.float32(255 / top)).astype(np.uint8))


def _values(image: Image.Image) -> NDArray[np.float32]:
    """Return the values of an image of more than 8 bits."""
    return np.nan_to_num(np.asarray(image if image.mode == "F" else image.convert("I"), np.float32))


def make_square(image: Image.Image, size: int, fit: CropMode = "crop") -> Image.Image:
    """Return an image of mode L or RGB as a square of `size` pixels, antialiased: its centre (`"crop"`), all of it between
    two bars (`"pad"`), or all of it distorted (`"stretch"`)."""
    if fit == "stretch":
        return _resized(image, size, size)
    if fit == "pad":
        width, height = (max(1, round(size * side / max(image.size))) for side in image.size)
        return _padded(_resized(image, width, height), size)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    centre = image.crop((left, top, left + side, top + side))  # first, so that pixels outside do not bleed in
    return _resized(centre, size, size)


def no_effect(fit: CropMode) -> str:
    """Return the warning about a `fit` that has no effect."""
    return f"--fit {fit}: changes nothing, as all the images are square"


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.LANCZOS)


def _padded(image: Image.Image, size: int) -> Image.Image:
    """Put an image with one side of `size` in the middle of a square. Each bar has the mean colour of the edge next to it,
    to continue a plain background: G would learn to generate black bars."""
    (width, height), whole = image.size, Image.new(image.mode, (size, size))
    left, top = (size - width) // 2, (size - height) // 2
    if width < size:
        bars = (((0, 0, 1, height), (0, 0, left, size)), ((width - 1, 0, width, height), (left, 0, size, size)))
    else:
        bars = (((0, 0, width, 1), (0, 0, size, top)), ((0, height - 1, width, height), (0, top, size, size)))
    for edge, bar in bars:
        if bar[2] and bar[3]:
            whole.paste(image.crop(edge).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) or 0, bar)
    whole.paste(image, (left, top))
    return whole
