"""The files that are images, by name: those that this Pillow decodes within bounds, and those that are not supported."""

import contextlib
import importlib
import posixpath
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from types import MappingProxyType

from PIL import Image, features

# Without EPS and WMF (start other programs), ICO, ICNS and FITS (unpack without bounds), DDS and XPM (take seconds).
# KNOWN are recognised by their first bytes, and tried on any file; BY_NAME only on files with such a name.
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
    """Return the suffixes of image files with their formats, as far as this Pillow can decode them."""
    with contextlib.suppress(ImportError):  # HEIC, the format of phones, if pillow-heif is installed
        importlib.import_module("pillow_heif").register_heif_opener()
    endings = Image.registered_extensions()
    read = [*(kind for kind in (*KNOWN, *BY_NAME) if _decodes(kind)), "MPO"]  # several JPEGs in one file, read as JPEG
    return MappingProxyType({ending: kind for ending, kind in endings.items() if kind in read})


def accepted(name: str) -> tuple[str, ...]:
    """Return the formats that a file of this name may have."""
    named = suffixes().get(PurePosixPath(name).suffix.lower(), "")
    return (*_recognised(), named) if named in BY_NAME else _recognised()


@cache
def _recognised() -> tuple[str, ...]:
    return tuple(kind for kind in KNOWN if kind in suffixes().values())


def _decodes(kind: str) -> bool:
    return kind in Image.OPEN and (kind not in LIBRARIES or bool(features.check(LIBRARIES[kind])))


def is_image(name: str) -> bool:
    """Return whether a name, relative to the dataset, is that of an image, and neither hidden nor of a system's files."""
    return posixpath.splitext(name)[1].lower() in suffixes() and not any(map(is_junk, name.split("/")))


def is_unsupported_image(name: str) -> bool:
    """Return whether a name is that of an image in an unsupported format."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    return suffix in OTHER_PICTURES and suffix not in suffixes() and not any(map(is_junk, path.parts))


def is_junk(part: str) -> bool:
    """Return whether a part of a path is hidden, or that of a file of a system or another program."""
    return part.startswith((".", "__MACOSX")) or part.lower() in JUNK
