"""Metadata of an image's file that an enlarged image keeps: colour profile, EXIF and resolution."""

import math
from typing import Any

from PIL import ExifTags, Image

ORIENTATION = 0x0112
# Tags of EXIF's first directory that describe the image; the others are about the layout of its file (a TIFF's strips).
DESCRIPTIVE = frozenset({
    0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C,
    0x9C9D, 0x9C9E, 0x9C9F,
})  # fmt: skip
IN_PIXELS = frozenset({0x9214, 0xA002, 0xA003, 0xA005, 0xA214})  # sizes and places in the original, and a pointer
MAX_PROFILE_BYTES = 1 << 20  # the limit of readers of PNG
MAX_EXIF_BYTES = 65_000  # the limit of JPEG
MAX_DPI = 65_535  # 16 bits in JPEG
# Remarks about images, for a message that begins with their number.
NO_PROFILE = "with a colour profile that does not fit: it is left out"
NO_EXIF = "with EXIF that cannot be kept: it is left out"


def read_metadata(image: Image.Image, grey: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the metadata of a loaded image for Pillow to save (`icc_profile`, `exif`, `dpi`), as of an upright image of any
    size, and remarks about damaged metadata, which is left out. `grey`: whether the decoded image is grey, or RGB."""
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
    try:
        dpi = image.info.get("dpi")
        x, y = map(float, dpi if isinstance(dpi, tuple) else ())
        if all(math.isfinite(value) and 1 <= value <= MAX_DPI for value in (x, y)):
            info["dpi"] = x, y
    except (TypeError, ValueError, ZeroDivisionError):  # Pillow's fractions may have the denominator 0
        pass
    return info, tuple(remarks)


def _is_profile(profile: object, grey: bool) -> bool:
    """Return whether it is a whole ICC profile of the image's colour space (ICC.1:2022, section 7.2)."""
    if not isinstance(profile, bytes) or not 132 <= len(profile) <= MAX_PROFILE_BYTES or profile[36:40] != b"acsp":
        return False
    return int.from_bytes(profile[:4], "big") <= len(profile) and profile[16:20] == (b"GRAY" if grey else b"RGB ")


def _exif(image: Image.Image) -> bytes:
    """Return the descriptive part of an image's EXIF, as of an upright image, without a thumbnail; b"" if there is none."""
    old, new = image.getexif(), Image.Exif()
    for tag in DESCRIPTIVE & set(old):
        new[tag] = old[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if found := {tag: value for tag, value in old.get_ifd(directory).items() if tag not in IN_PIXELS}:
            new[directory] = found
    if len(new) and ORIENTATION in old:
        new[ORIENTATION] = 1
    return new.tobytes() if len(new) else b""
