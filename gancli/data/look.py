"""A first look at the pictures that somebody wants to train on: in colour or grey, how large. Imports no torch."""

import importlib.util
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

from gancli.config.paths import expanded, open_file
from gancli.data import patterns, shards
from gancli.data.formats import GREY_MODES, accepted, is_image
from gancli.data.names import STACKED, own_size
from gancli.errors import GancliError

COLOURED = frozenset({"shapes", "leaves", "cifar10", "cifar100", "svhn", "stl10", STACKED})
# What damaged files raise, of whatever kind they are: pyarrow's errors are among them.
UNREADABLE = (
    OSError, EOFError, ValueError, RuntimeError, KeyError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
    GancliError,
)  # fmt: skip
LOOKED_AT = 16
HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Look:
    """`coloured`: at least one of the pictures looked at is. `side`: of all of them, if they are squares of one size; else
    that of the smallest's shorter side. `square`: whether they are."""

    coloured: bool
    side: int
    square: bool


def look(dataset: str) -> Look | None:
    """What the first pictures of a data set are like; None where that cannot be seen, which its opening will tell of."""
    if (side := own_size(dataset)) is not None:
        return Look(dataset in COLOURED, side, True)
    try:
        heads = list(islice(_heads(expanded(dataset, "--dataset")), LOOKED_AT))
    except UNREADABLE:
        return None
    if not heads:
        return None
    sizes = {size for size, _ in heads}
    width, height = next(iter(sizes))
    square = len(sizes) == 1 and width == height
    return Look(any(coloured for _, coloured in heads), width if square else min(map(min, sizes)), square)


def _heads(path: Path) -> Iterator[tuple[tuple[int, int], bool]]:
    """Size of each picture, and whether it is in colour."""
    for name, data in _beginnings(path):
        try:
            with Image.open(io.BytesIO(data), formats=accepted(name)) as image:
                yield image.size, image.mode not in GREY_MODES
        except Exception:  # whatever Pillow raises for half a picture, or none: others are looked at
            continue


def _beginnings(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and first bytes of each picture."""
    archives, seen = list[Path](), False
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            folders.sort()
            for name in filter(is_image, sorted(files)):
                seen = True
                with open_file(Path(folder, name)) as file:
                    yield name, file.read(HEAD_BYTES)
            archives += [Path(folder, name) for name in sorted(files) if patterns.kind_of(name)]
    elif path.exists():
        archives = [path]
    else:
        archives = patterns.matching(path)
    if archives and not seen:
        yield from _in_archive(archives[0])


def _in_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    kind = patterns.kind_of(path.name)
    if kind == "tar":
        yield from shards.beginnings(path, HEAD_BYTES)
    elif kind == "parquet" and importlib.util.find_spec("pyarrow"):
        from gancli.data import table

        yield from table.beginnings(path, HEAD_BYTES)
    elif path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in filter(is_image, sorted(archive.namelist())):
                with archive.open(name) as entry:
                    yield name, entry.read(HEAD_BYTES)
