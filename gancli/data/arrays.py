"""Pictures in one array of a file: `.npy`, and `.npz` with labels beside it. Nothing of a file is run (no pickles)."""

import zipfile
import zlib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy
from PIL import Image
from torch import Tensor

from gancli.data.fit import Fit, no_effect, square
from gancli.data.names import Split
from gancli.data.pace import Pace
from gancli.data.source import Opening, Source
from gancli.errors import DataError
from gancli.events import Event, Preparing, Warned
from gancli.files import atomic
from gancli.machine.room import free_bytes

LABELS = ("labels", "label", "targets", "target", "classes", "y")  # what a file's array of labels is called
NAMES, MAX_NAMES_BYTES = "class_names", 1 << 26
OTHER: Mapping[Split, Split] = {"train": "test", "test": "train"}
MAX_SIDE, MAX_CLASSES = 16_384, 10_000
CPU = torch.device("cpu")
Array = np.ndarray[Any, Any]
Shapes = dict[str, tuple[tuple[int, ...], "np.dtype[Any]"]]


def open_arrays(path: Path, image_size: int | None, split: Split, fit: Fit = "crop") -> Opening:
    """Open a file with pictures, uint8 `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]` with C 1 or 3, and perhaps labels,
    integers `[N]`. In a `.npz` with several arrays of pictures, the one whose name begins with the split.

    `image_size` None keeps their own size, of squares; else each becomes a square, as `fit` says, of that size. Raises
    `DataError` for what is no such file, and for one larger than the memory that is free.
    """
    try:
        with path.open("rb") as file:
            found, called = (_npy(path, file), ()) if path.suffix.lower() == ".npy" else _npz(path, file, split)
        pictures, *labels = found
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        why = atomic.reason(error) if isinstance(error, OSError) else " ".join(str(error).split())[:200]
        raise DataError(f"--dataset {path}: cannot be read ({why})") from None
    pixels = _channels_first(path, torch.from_numpy(pictures))
    size = image_size or (pixels.shape[2] if pixels.shape[2] == pixels.shape[3] else min(pixels.shape[2:]))
    if fit != "crop" and pixels.shape[2] == pixels.shape[3]:
        yield Warned(no_effect(fit))
    if pixels.shape[2:] != (size, size):
        pixels = yield from _resized(path, pixels, size, fit)
    numbers, names = _classes(path, labels, called) if labels else (torch.zeros(len(pixels), dtype=torch.int64), ())
    return Source(path.stem, pixels.contiguous(), numbers, names)


def _npy(path: Path, file: BinaryIO) -> list[Array]:
    shape, dtype = _header(file)
    _check(path, path.name, shape, dtype, path.stat().st_size)
    file.seek(0)
    return [npy.read_array(file, allow_pickle=False)]


def _npz(path: Path, file: BinaryIO, split: Split) -> tuple[list[Array], tuple[str, ...]]:
    """The pictures, their labels if there are any, and those of the other split if it has some: its classes are the same.
    And what an array `class_names` calls the classes that labels number, as `gan sample -o x.npz` writes it."""
    with zipfile.ZipFile(file) as archive:
        shapes: Shapes = {}
        arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in arrays}
        for name in sizes:
            with archive.open(f"{name}.npy") as entry:
                shapes[name] = _header(entry)
        wanted = _chosen(path, shapes, split)
        if len(wanted) > 1 and any(OTHER[split] in name.lower() for name in shapes) and split in wanted[0].lower():
            wanted += _chosen(path, shapes, OTHER[split])[1:]
        found = []
        for name in wanted:
            _check(path, name, *shapes[name], sizes[name])
            with archive.open(f"{name}.npy") as entry:
                found.append(npy.read_array(entry, allow_pickle=False))
        return found, _names(archive, shapes, sizes)


def _names(archive: zipfile.ZipFile, shapes: Shapes, sizes: Mapping[str, int]) -> tuple[str, ...]:
    shape, dtype = shapes.get(NAMES, ((), np.dtype(np.uint8)))
    sound = len(shape) == 1 and shape[0] <= MAX_CLASSES and dtype.kind == "U"
    if not sound or not shape[0] * dtype.itemsize <= sizes[NAMES] <= MAX_NAMES_BYTES:
        return ()
    with archive.open(f"{NAMES}.npy") as entry:
        names = tuple(map(str, npy.read_array(entry, allow_pickle=False).tolist()))
    return names if len(set(names)) == len(names) and all(names) else ()


def _header(file: Any) -> tuple[tuple[int, ...], "np.dtype[Any]"]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _chosen(path: Path, shapes: Shapes, split: Split) -> list[str]:
    """The names of the array of pictures, and of that of labels if there is one. Raises `DataError`."""
    pictures = [name for name, (shape, dtype) in shapes.items() if dtype == np.uint8 and len(shape) in (3, 4)]
    of_split = [name for name in pictures if split in name.lower()]
    candidates = of_split or [name for name in pictures if OTHER[split] not in name.lower()]
    if len(candidates) != 1:
        told = ", ".join(f"{name} {dtype} {list(shape)}" for name, (shape, dtype) in shapes.items())[:300]
        raise DataError(
            f"--dataset {path}: must hold one array of pictures, uint8 [N, H, W, C], [N, C, H, W] or [N, H, W]; has {told}"
        )
    (name,) = candidates
    count = shapes[name][0][0]
    fitting = [
        other
        for other, (shape, dtype) in shapes.items()
        if dtype.kind in "iu" and tuple(shape) in ((count,), (count, 1)) and (split in other.lower()) == bool(of_split)
    ]
    named = [other for other in fitting if any(word in other.lower() for word in LABELS)]
    return [name, *(named or fitting)[:1]]


def _check(path: Path, name: str, shape: tuple[int, ...], dtype: "np.dtype[Any]", num_bytes: int) -> None:
    """Raises `DataError` for an array that claims more than its file holds, or than memory does, or odd sides."""
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.hasobject or claimed > num_bytes:
        raise DataError(f"--dataset {path}: {name}: claims {claimed} bytes, and has {num_bytes}")
    if claimed > free_bytes(CPU) / 2:
        raise DataError(
            f"--dataset {path}: {name}: {claimed / 1e9:.1f} GB are more than half of the memory that is free"
        )
    if not shape or min(shape) < 1 or max(shape[1:], default=1) > MAX_SIDE:
        raise DataError(f"--dataset {path}: {name}: has the shape {list(shape)}: no pictures")


def _channels_first(path: Path, pictures: Tensor) -> Tensor:
    """uint8 `[N, C, H, W]`. Raises `DataError`."""
    if pictures.dtype == torch.uint8 and pictures.dim() == 3:
        return pictures[:, None]
    if pictures.dtype == torch.uint8 and pictures.dim() == 4:
        if pictures.shape[3] in (1, 3):
            return pictures.permute(0, 3, 1, 2)
        if pictures.shape[1] in (1, 3):
            return pictures
    raise DataError(
        f"--dataset {path}: is {str(pictures.dtype).removeprefix('torch.')} {list(pictures.shape)}, and must be uint8 "
        "[N, H, W, C], [N, C, H, W] or [N, H, W], of 1 or 3 channels"
    )


def _resized(path: Path, pixels: Tensor, size: int, fit: Fit) -> Generator[Event, None, Tensor]:
    """Each picture as a square of `size` pixels, as a folder's are."""
    count, channels = pixels.shape[:2]
    result, pace = torch.empty(count, channels, size, size, dtype=torch.uint8), Pace()
    for number, picture in enumerate(pixels):
        image = Image.fromarray(picture.permute(1, 2, 0).contiguous().squeeze(2).numpy())
        small = np.asarray(square(image, size, fit)).reshape(size, size, channels)
        result[number] = torch.from_numpy(small.copy()).permute(2, 0, 1)
        if pace.due() or number + 1 == count:
            yield Preparing(f"resizing {path.name}", number + 1, count, "images")
    return result


def _classes(path: Path, labels: Sequence[Array], called: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """The first labels as int64 `[N]` from 0 on, and the classes' names: the numbers that all of them have, or what these
    are `called`."""
    own = labels[0].reshape(-1)
    distinct = np.unique(np.concatenate([each.reshape(-1) for each in labels]))
    if len(distinct) > MAX_CLASSES:
        raise DataError(f"--dataset {path}: {len(distinct)} classes are over the limit of {MAX_CLASSES}")
    if len(distinct) == 1:
        return torch.zeros(own.size, dtype=torch.int64), ()
    numbers = distinct.tolist()
    known = bool(called) and numbers[0] >= 0 and numbers[-1] < len(called)
    names = tuple(called[number] if known else str(number) for number in numbers)
    return torch.from_numpy(np.searchsorted(distinct, own).astype(np.int64)), names
