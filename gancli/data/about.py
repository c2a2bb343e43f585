"""What a picture's file says beside its pixels (colour profile, EXIF, XMP, resolution, comments), fit for a larger one."""

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import ExifTags, Image

ORIENTATION, PIXELS_ACROSS, PIXELS_DOWN = 0x0112, 0xA002, 0xA003
RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT, INCH = 0x011A, 0x011B, 0x0128, 2
# Of EXIF's first directory, what says something about the picture; the rest is how its file was laid out (a TIFF's strips).
DESCRIPTIVE = frozenset({
    0x010E, 0x010F, 0x0110, RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749,
    0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F,
})  # fmt: skip
IN_PIXELS = frozenset({0x9214, 0xA214})  # where the subject is, in pixels of the original
XMP_LAYOUT = ("tiff:Orientation", "tiff:ImageWidth", "tiff:ImageLength", "exif:PixelXDimension", "exif:PixelYDimension")
NO_TEXTS = ("Raw profile type", "XML:com.adobe.xmp", "Thumb::", "exif:")  # the same in other words, or of another size
MAX_TEXT = MAX_PNG_PROFILE = 1 << 20  # bytes: what Pillow reads of one chunk of a PNG
MAX_JPEG_SEGMENT = 65_500  # bytes, less the names that some segments begin with
MAX_DPI = 65_535  # a JPEG's 16 bits


@dataclass(frozen=True)
class About:
    """`profile`: ICC, for grey or RGB as the decoded picture is; `exif`: as `PIL.Image.Exif.tobytes` gives it, of an upright
    picture; `xmp`: a packet; `dpi`: across and down; `texts`: comments by name. `lost`: what there was besides, in words."""

    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    def of_size(self, width: int, height: int) -> "About":
        """The same about the picture at `width` by `height` pixels. The resolution stays: more pixels, a larger print."""
        if self.exif is None:
            return self
        exif = Image.Exif()
        exif.load(self.exif)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        for tag, pixels in ((PIXELS_ACROSS, width), (PIXELS_DOWN, height)):
            if tag in details:
                details[tag] = pixels
        return replace(self, exif=exif.tobytes())

    def for_file(self, suffix: str) -> "About":
        """What of it a `.png`, `.jpg`/`.jpeg` or `.webp` file can hold so that everybody can read the file."""
        lost = list(self.lost)
        kept: dict[str, Any] = {}
        if suffix == ".png" and self.profile and len(self.profile) > MAX_PNG_PROFILE:
            size = f"{len(self.profile) / 1e6:.1f} MB"
            lost.append(
                f"its colour profile of {size} is left out, which readers of .png refuse; .jpg and .webp hold it"
            )
            kept["profile"] = None
        if suffix in (".jpg", ".jpeg"):
            for name, word in (("exif", "EXIF"), ("xmp", "XMP")):
                found = getattr(self, name)
                if found and len(found) > MAX_JPEG_SEGMENT - 100:
                    lost.append(f"its {word} of {len(found)} bytes is left out, which is more than .jpg holds")
                    kept[name] = None
        if suffix == ".webp" and self.dpi:  # the only place for it there
            kept["exif"] = _with_resolution(self.exif, self.dpi)
        return replace(self, **kept, lost=tuple(lost))

    def info(self) -> dict[str, Any]:
        """As `images.encode` takes it from a picture's `info`."""
        facts = {
            "icc_profile": self.profile,
            "exif": self.exif,
            "xmp": self.xmp,
            "dpi": self.dpi,
            "texts": self.texts,
        }
        return {name: value for name, value in facts.items() if value}


def read_about(image: Image.Image, grey: bool) -> About:
    """What the file of a loaded picture says, which is grey once decoded, or RGB. Nothing raises: what is broken is lost."""
    lost = []
    profile = image.info.get("icc_profile")
    if profile and not _is_profile(profile, grey):
        lost.append(f"its colour profile is left out: it is none for {'grey' if grey else 'RGB'} pictures")
        profile = None
    try:
        exif = _exif(image)
    except Exception:  # Pillow raises anything on damaged EXIF
        exif = None
        lost.append("its EXIF is left out: it cannot be read")
    return About(
        profile or None, exif, _xmp(image.info.get("xmp")), _dpi(image.info.get("dpi")), _texts(image), tuple(lost)
    )


def _is_profile(profile: object, grey: bool) -> bool:
    """Whether it is a whole ICC profile of the picture's colour space (ICC.1:2022, section 7.2)."""
    if not isinstance(profile, bytes) or len(profile) < 132 or profile[36:40] != b"acsp":
        return False
    return int.from_bytes(profile[:4], "big") <= len(profile) and profile[16:20] == (b"GRAY" if grey else b"RGB ")


def _exif(image: Image.Image) -> bytes | None:
    """The descriptive part of a picture's EXIF, as of an upright one; no thumbnail."""
    old, new = image.getexif(), Image.Exif()
    for tag in DESCRIPTIVE & set(old):
        new[tag] = old[tag]
    details = {tag: value for tag, value in old.get_ifd(ExifTags.IFD.Exif).items() if tag not in IN_PIXELS}
    if details.pop(ExifTags.IFD.Interop, None) is not None:
        with contextlib.suppress(Exception):  # it is often damaged, and says next to nothing
            details[ExifTags.IFD.Interop] = dict(old.get_ifd(ExifTags.IFD.Interop))
    for directory, found in (
        (ExifTags.IFD.Exif, details),
        (ExifTags.IFD.GPSInfo, dict(old.get_ifd(ExifTags.IFD.GPSInfo))),
    ):
        if found:
            new[directory] = found
    if not len(new):
        return None
    if ORIENTATION in old:
        new[ORIENTATION] = 1
    return new.tobytes()


def _with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    told = Image.Exif()
    if exif is not None:
        told.load(exif)
    for tag, value in ((RESOLUTION_X, dpi[0]), (RESOLUTION_Y, dpi[1]), (RESOLUTION_UNIT, INCH)):
        told[tag] = value
    return told.tobytes()


def _xmp(packet: object) -> bytes | None:
    """A packet without what says how the original lay in its file."""
    if not isinstance(packet, bytes) or not packet or len(packet) > MAX_TEXT:
        return None
    try:
        text = packet.decode("utf-8")
    except UnicodeDecodeError:
        return None
    for name in XMP_LAYOUT:
        text = re.sub(rf"""\s{name}\s*=\s*("[^"<]*"|'[^'<]*')|<{name}>[^<]*</{name}>""", "", text)
    return text.encode()


def _dpi(told: object) -> tuple[float, float] | None:
    if not isinstance(told, tuple) or len(told) != 2:
        return None
    try:
        across, down = float(told[0]), float(told[1])
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    sound = all(math.isfinite(value) and 1 <= value <= MAX_DPI for value in (across, down))
    return (across, down) if sound else None


def _texts(image: Image.Image) -> dict[str, str]:
    """A PNG's texts; the comment of a JPEG or GIF as the text of that name."""
    texts: dict[str, str] = dict(getattr(image, "text", {}))
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        try:
            texts.setdefault("Comment", comment.decode("utf-8"))
        except UnicodeDecodeError:
            texts.setdefault("Comment", comment.decode("latin-1"))
    return {
        name: str(text)
        for name, text in texts.items()
        if text and not name.startswith(NO_TEXTS) and len(text) <= MAX_TEXT // 4
    }
