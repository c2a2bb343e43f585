"""Which files are pictures: by name, what this Pillow decodes within our bounds; and what it knows but we leave alone."""

import contextlib
import importlib
import io
import posixpath
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from types import MappingProxyType

from PIL import Image, features

# No others: EPS and WMF would start other programs, ICO, ICNS and FITS unpack without a bound, DDS and XPM take seconds.
# The first ones, told by their first bytes, are tried on any file; the rest only where the name says so.
KNOWN = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "PSD", "QOI", "SGI", "SUN", "HEIF")
BY_NAME = ("TGA", "PCX", "DIB")
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
LIBRARIES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "JPEG": "jpg"}  # a Pillow may be built without
OTHER_PICTURES = frozenset({
    ".heic", ".heics", ".heif", ".heifs", ".hif", ".avif", ".webp", ".jp2", ".jxl", ".jxr", ".svg", ".eps", ".dds", ".ico",
    ".icns", ".cur", ".xpm", ".xbm", ".exr", ".fits", ".xcf", ".pcd", ".wmf", ".emf", ".raw", ".cr2", ".cr3", ".crw", ".nef",
    ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw", ".x3f", ".3fr", ".iiq", ".erf", ".mrw",
})  # fmt: skip
JUNK = frozenset({"@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "desktop.ini"})


@cache
def suffixes() -> Mapping[str, str]:
    """The suffixes of files that are pictures, and the format that each says: what this Pillow can decode of ours."""
    with contextlib.suppress(ImportError):  # HEIC, as phones write it, where somebody installed pillow-heif
        importlib.import_module("pillow_heif").register_heif_opener()
    endings = Image.registered_extensions()
    read = [*(kind for kind in (*KNOWN, *BY_NAME) if _decodes(kind)), "MPO"]  # several JPEGs in one file; read as JPEG
    return MappingProxyType({ending: kind for ending, kind in endings.items() if kind in read})


def accepted(name: str) -> tuple[str, ...]:
    """The formats that the file of a name may have."""
    said = suffixes().get(PurePosixPath(name).suffix.lower(), "")
    return (*_told_by_bytes(), said) if said in BY_NAME else _told_by_bytes()


@cache
def _told_by_bytes() -> tuple[str, ...]:
    return tuple(kind for kind in KNOWN if kind in suffixes().values())


def _decodes(kind: str) -> bool:
    return kind in Image.OPEN and (kind not in LIBRARIES or bool(features.check(LIBRARIES[kind])))


def begins_as_picture(data: bytes) -> bool:
    """Whether bytes without a name begin as a picture that is read here does."""
    try:
        with Image.open(io.BytesIO(data), formats=accepted("")):
            return True
    except Exception:  # broken files make Pillow's plugins raise anything
        return False


def is_image(name: str) -> bool:
    """Whether a file's name, relative to its folder, says it is an image; hidden files and other programs' are none."""
    return posixpath.splitext(name)[1].lower() in suffixes() and not any(map(is_junk, name.split("/")))


def is_other_picture(name: str) -> bool:
    """Whether a file's name says that it is a picture, but of a kind that is not read here."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    return suffix in OTHER_PICTURES and suffix not in suffixes() and not any(map(is_junk, path.parts))


def is_junk(part: str) -> bool:
    """Whether a part of a path is hidden, or kept by a system or another program for itself."""
    return part.startswith((".", "__MACOSX")) or part.lower() in JUNK
