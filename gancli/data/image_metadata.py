"""What an image's file says beside its pixels, as far as an enlarged one keeps it: colour profile, EXIF, resolution."""

import math
from typing import Any, NamedTuple

from PIL import ExifTags, Image

ORIENTATION = 0x0112
# Of EXIF's first directory, what describes the image; the rest is how its file was laid out (a TIFF's strips).
DESCRIPTIVE = frozenset({
    0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C,
    0x9C9D, 0x9C9E, 0x9C9F,
})  # fmt: skip
IN_PIXELS = frozenset({0x9214, 0xA002, 0xA003, 0xA005, 0xA214})  # sizes and places in the original, and a pointer
MAX_PROFILE_BYTES = 1 << 20  # what readers of PNG take
MAX_EXIF_BYTES = 65_000  # what a JPEG holds
MAX_DPI = 65_535  # a JPEG's 16 bits
# What is told of images, after their number.
NO_PROFILE = "with a colour profile that does not fit: it is left out"
NO_EXIF = "with EXIF that cannot be kept: it is left out"


class ImageMetadata(NamedTuple):
    """`info`: what Pillow takes when it saves an image (`icc_profile`, `exif`, `dpi`); `remarks`: what is told of
    the rest."""

    info: dict[str, Any]
    remarks: tuple[str, ...]


def read_metadata(image: Image.Image, grey: bool) -> ImageMetadata:
    """The metadata of a loaded image, which is grey once decoded, or RGB, as of an upright one of any size. Raises nothing:
    what is broken is left out."""
    info, remarks = dict[str, Any](), list[str]()
    if profile := image.info.get("icc_profile"):
        if _is_profile(profile, grey):
            info["icc_profile"] = profile
        else:
            remarks.append(NO_PROFILE)
    try:
        exif = _exif(image)
    except Exception:  # Pillow raises anything on damaged EXIF
        exif = bytes(MAX_EXIF_BYTES + 1)
    if len(exif) > MAX_EXIF_BYTES:
        remarks.append(NO_EXIF)
    elif exif:
        info["exif"] = exif
    dpi = image.info.get("dpi")
    if isinstance(dpi, tuple) and len(dpi) == 2 and all(map(_is_resolution, dpi)):
        info["dpi"] = float(dpi[0]), float(dpi[1])
    return ImageMetadata(info, tuple(remarks))


def _is_profile(profile: object, grey: bool) -> bool:
    """Whether it is a whole ICC profile of the image's colour space (ICC.1:2022, section 7.2)."""
    if not isinstance(profile, bytes) or not 132 <= len(profile) <= MAX_PROFILE_BYTES or profile[36:40] != b"acsp":
        return False
    return int.from_bytes(profile[:4], "big") <= len(profile) and profile[16:20] == (b"GRAY" if grey else b"RGB ")


def _exif(image: Image.Image) -> bytes:
    """The descriptive part of an image's EXIF, as of an upright one; without a thumbnail. `b""` where there is none."""
    old, new = image.getexif(), Image.Exif()
    for tag in DESCRIPTIVE & set(old):
        new[tag] = old[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if found := {tag: value for tag, value in old.get_ifd(directory).items() if tag not in IN_PIXELS}:
            new[directory] = found
    if len(new) and ORIENTATION in old:
        new[ORIENTATION] = 1
    return new.tobytes() if len(new) else b""


def _is_resolution(value: object) -> bool:
    try:
        return math.isfinite(value) and 1 <= value <= MAX_DPI  # type: ignore[arg-type, operator]
    except (TypeError, ValueError, ZeroDivisionError):  # Pillow's fractions may have no denominator
        return False
