"""Open a folder, a zip, tars or Parquet files of images, by a path or a pattern. Imports no torch."""

import contextlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tarfile import BLOCKSIZE

from PIL import Image

from gancli.config.paths import expanded, open_file
from gancli.data import parquet, patterns, tars
from gancli.data.formats import GREY_MODES, accepted
from gancli.data.image_files import ImageFiles, ImageFolder, ImageZip
from gancli.data.names import dataset_names, is_array_file
from gancli.data.options import WHOLE, Selection
from gancli.data.overview import NAMED_SETS
from gancli.data.walk import list_folder
from gancli.errors import DataError, GancliError, UsageError, did_you_mean
from gancli.events import Emit, ignore

NUM_PROBED = 16
HEAD_BYTES = 1 << 16


def open_image_files(
    path: Path,
    emit: Emit,
    skip: bool = False,
    most: int | None = None,
    deep: bool = True,
    shards: Sequence[Path] = (),
    selection: Selection = WHOLE,
) -> ImageFiles:
    """Open a folder (with its subfolders if `deep`), a zip, tars or Parquet files; given `most`, list only so many images.
    Raises `DataError` for anything else, or if it cannot be listed; `skip` skips subfolders that cannot be, and all that
    follows on damage in a tar. `shards`: tars or Parquet files of the folder `path` to read instead of it; `selection`:
    the columns of Parquet files."""
    if shards:
        files, kind = list(shards), patterns.common_kind(str(path), shards)
    elif path.is_dir():
        found = list_folder(path, skip, emit, most=most, deep=deep)
        if found.marks or not found.archives:
            return ImageFolder(path, found)
        files = [path / name for name in found.archives]
        kind = patterns.common_kind(str(path), files)
    elif not path.exists() and (files := patterns.expand_pattern(path)):
        kind = patterns.common_kind(str(path), files)
    elif not path.is_file():
        raise DataError(
            f"--dataset {path}: neither a folder nor a zip, tar or Parquet file of images (not a regular file)"
        )
    elif known := patterns.kind_of(path.name) or _kind_by_content(path):
        files, kind = [path], known
    else:
        return ImageZip(path)
    if kind == "tar":
        return tars.open_shards(path, files, skip, most, emit)
    return parquet.open_table(path, files, selection, skip, most, emit)


def open_option(
    flag: str, path: Path, emit: Emit, shards: Sequence[Path] = (), selection: Selection = WHOLE
) -> ImageFiles:
    """Open the folder, without its subfolders, or the archive of an option. Raises `DataError` for anything else, and
    `UsageError` for the name of a dataset."""
    if not path.exists() and not path.is_symlink():
        if str(path) in dataset_names():
            raise UsageError(f"{flag} {path}: is the name of a dataset; expected a folder, zip or tar of images")
        try:
            near = [entry.name for entry in path.parent.iterdir()]
        except OSError:
            near = []
        raise DataError(f"{flag} {path}: does not exist{did_you_mean(path.name, near)}")
    try:
        return open_image_files(path, emit, deep=False, shards=shards, selection=selection)
    except DataError as error:
        message, _, _ = str(error).removeprefix("--dataset ").partition("; --on-bad-image")
        raise DataError(f"{flag} {message}") from error


def _kind_by_content(path: Path) -> patterns.Kind | None:
    """Return the kind of a file by its first bytes; None may be a zip."""
    try:
        with open_file(path) as file:
            head = file.read(BLOCKSIZE)
    except OSError:
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    return "tar" if head[257:262] == b"ustar" and not zipfile.is_zipfile(path) else None


@dataclass(frozen=True)
class Probe:
    """The first images of a dataset. `coloured`: at least one is; `square`: all are squares of one size; `side`: of these
    squares, else the shortest side of all, in pixels."""

    coloured: bool
    side: int
    square: bool


def probe(dataset: str, image_column: str | None = None) -> Probe | None:
    """Return what the first images of a dataset are like; None if none can be read, which opening it will report."""
    selection = Selection(image_column=image_column)
    if (known := NAMED_SETS.get(dataset)) is not None:
        return Probe(known.channels == 3, known.size, True)
    sizes, coloured = list[tuple[int, int]](), False
    try:
        path = expanded(dataset, "--dataset")
        if is_array_file(path):
            from gancli.data import arrays  # imports torch

            if (shape := arrays.image_shape(path)) is None:
                return None
            height, width, channels = shape
            return Probe(channels == 3, min(height, width), height == width)
        with open_image_files(path, ignore, most=NUM_PROBED, selection=selection) as pictures:
            for name, data in pictures.read(list(pictures.found.marks)[:NUM_PROBED], HEAD_BYTES):
                if isinstance(data, DataError):
                    continue
                # Whatever Pillow raises for half an image, or none: the others are probed.
                with contextlib.suppress(Exception), Image.open(io.BytesIO(data), formats=accepted(name)) as image:
                    sizes.append(image.size)
                    coloured |= image.mode not in GREY_MODES
    except (GancliError, OSError, ValueError):
        return None
    if not sizes:
        return None
    width, height = sizes[0]
    square = len(set(sizes)) == 1 and width == height
    return Probe(coloured, width if square else min(map(min, sizes)), square)
