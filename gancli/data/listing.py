"""A folder, a zip, tars or Parquet files: opened by a path or a pattern, with their pictures' classes."""

import zipfile
from functools import cache
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import Literal

from gancli.config.paths import open_file
from gancli.data import patterns, tars
from gancli.data.arrange import Arranged, Arranger
from gancli.data.names import Split, source_names
from gancli.data.pictures import Folder, Pictures, Zip
from gancli.data.walk import walked
from gancli.errors import DataError, UsageError, did_you_mean
from gancli.events import Emit
from gancli.text import printable

OnBad = Literal["fail", "skip"]


def arranged(pictures: Pictures, split: Split, with_classes: bool = True) -> Arranged:
    """The pictures of a split, in a stable order, with their classes; `arrange.Arranger` says what subfolders mean. Raises
    `DataError` for a container without pictures of the split."""
    if not pictures.found.marks:
        more = "".join(f"; {note}" for note in pictures.notes())
        raise DataError(
            f"--dataset {pictures.path}: holds no images (.png .jpg .webp .bmp .gif .tif, also in subfolders){more}"
        )
    arranger = Arranger(printable(f"--dataset {pictures.path}"), pictures.found, cache(pictures.labels))
    return arranger.arrange(split, with_classes)


def opened(path: Path, emit: Emit, skip: bool = False, most: int | None = None, deep: bool = True) -> Pictures:
    """Open a folder (with its subfolders if `deep`), a zip, or what `patterns` says; given `most`, so far that so many
    pictures are listed. Raises `DataError` for what is none of them, or cannot be listed; with `skip` a subfolder that
    cannot be, or what follows on damage in a tar, is passed over."""
    if path.is_dir():
        found = walked(path, skip, emit, most=most, deep=deep)
        if found.marks or not found.archives:
            return Folder(path, found)
        files = [path / name for name in found.archives]
        kind = patterns.only_kind(str(path), files)
    elif not path.exists() and (matching := patterns.matching(path)):
        files, kind = matching, patterns.only_kind(str(path), matching)
    elif not path.is_file():
        raise DataError(
            f"--dataset {path}: neither a folder nor a zip, tar or Parquet file of images (it is no regular file)"
        )
    elif known := patterns.kind_of(path.name) or _kind_inside(path):
        files, kind = [path], known
    else:
        return Zip(path)
    if kind == "tar":
        return tars.open_shards(path, files, skip, most, emit)
    from gancli.data import parquet

    return parquet.open_table(path, files, skip, most, emit)


def opened_for(flag: str, path: Path, emit: Emit) -> Pictures:
    """Open a folder, whose subfolders are passed over, or an archive, with all that lies in it, named by an option. Raises
    `DataError` for what is neither, and `UsageError` for the name of a data set."""
    if not path.exists() and not path.is_symlink() and not (patterns.is_pattern(path) and patterns.matching(path)):
        if str(path) in source_names():
            raise UsageError(
                f"{flag} {path}: is a data set with a name; a folder, zip or tar of pictures is wanted here"
            )
        try:
            near = [entry.name for entry in path.parent.iterdir()]
        except OSError:
            near = []
        raise DataError(f"{flag} {path}: does not exist{did_you_mean(path.name, near)}")
    try:
        return opened(path, emit, deep=False)
    except DataError as error:
        words, _, _ = str(error).removeprefix("--dataset ").partition("; --on-bad-image")
        raise DataError(f"{flag} {words}") from error


def _kind_inside(path: Path) -> patterns.Kind | None:
    """What a file is whose name does not tell, by its first bytes; None: perhaps a zip."""
    try:
        with open_file(path) as file:
            head = file.read(BLOCKSIZE)
    except OSError:
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    return "tar" if head[257:262] == b"ustar" and not zipfile.is_zipfile(path) else None
