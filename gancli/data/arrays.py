"""Images in one array of a file: `.npy`, and `.npz` with labels. Nothing of a file is run (no pickles)."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy
from PIL import Image
from torch import Tensor

from gancli.config.paths import open_file
from gancli.data.array_labels import (
    NUMERIC,
    Array,
    OddLabelsError,
    check_labels,
    class_values,
    is_labels,
    numbered,
    rest,
    split_word,
    words,
)
from gancli.data.decode import Fit, no_effect, square
from gancli.data.names import Split
from gancli.data.sidecar_labels import MAX_CLASSES
from gancli.data.source import Source
from gancli.data.splits import SPLIT_WORDS
from gancli.errors import DataError
from gancli.events import Emit, Pace, Preparing, Warned
from gancli.files import atomic
from gancli.machine.memory import free_bytes
from gancli.text import Note, few

# Words in the name of an array (`x_train`, `trainImages`) that say that it has the images.
IMAGES = frozenset({"image", "images", "img", "imgs", "picture", "pictures", "data", "x"})
NAMES, MAX_NAMES_BYTES = "class_names", 1 << 26
OTHER: Mapping[Split, Split] = {"train": "test", "test": "train"}
MAX_SIDE = 16_384
CHUNK = 256  # images converted at a time
SHAPES = "[N, H, W, C], [N, C, H, W] or [N, H, W], of 1 or 3 channels"
CPU = torch.device("cpu")
Shapes = dict[str, tuple[tuple[int, ...], "np.dtype[Any]"]]


@dataclass(frozen=True)
class Stored:
    """What is read of a file. `labels`: a class number or name for each image, then those of other splits, which have the
    same classes; none where there are none. `called`: names of the classes that labels number."""

    images: Array
    labels: Sequence[Array] = ()
    called: tuple[str, ...] = ()
    notes: Sequence[str] = ()


def open_arrays(path: Path, image_size: int | None, split: Split, fit: Fit, emit: Emit) -> Source:
    """Open a file with images, `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]` with C 1 or 3, and perhaps labels: class
    numbers, class names or one-hot. In a `.npz` with several arrays of images, the one of the split.

    `image_size` None keeps their own size, of squares; else each becomes a square, as `fit` says, of that size. Raises
    `DataError` for what is no such file, and for one larger than the memory that is free.
    """
    try:
        with open_file(path) as file:
            stored = _npy(path, file) if path.suffix.lower() == ".npy" else _npz(path, file, split)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        why = atomic.reason(error) if isinstance(error, OSError) else " ".join(str(error).split())[:200]
        raise DataError(f"--dataset {path}: cannot be read ({why})") from None
    for note in stored.notes:
        emit(Warned(note))
    pixels = _eight_bit(path, _channels_last(path, stored.images), emit)
    pixels = pixels.permute(0, 3, 1, 2)
    size = image_size or (pixels.shape[2] if pixels.shape[2] == pixels.shape[3] else min(pixels.shape[2:]))
    if fit != "crop" and pixels.shape[2] == pixels.shape[3]:
        emit(Warned(no_effect(fit)))
    if pixels.shape[2:] != (size, size):
        pixels = _resized(path, pixels, size, fit, emit)
    numbers, names = torch.zeros(len(pixels), dtype=torch.int64), tuple[str, ...]()
    if stored.labels:
        numbers, names = numbered(path, stored.labels, stored.called)
    return Source(path.stem, pixels.contiguous(), numbers, names)


def _npy(path: Path, file: BinaryIO) -> Stored:
    shape, dtype = _header(file)
    _check(path, path.name, shape, dtype, path.stat().st_size)
    file.seek(0)
    beside = sorted(other.name for other in path.parent.glob("*.npy") if other != path and is_labels(other.stem))
    line = f"{few(beside)} is not read; to have labels, save one file: np.savez('x.npz', images=..., labels=...)"
    return Stored(npy.read_array(file, allow_pickle=False), notes=[Note(line)] if beside else [])


def _npz(path: Path, file: BinaryIO, split: Split) -> Stored:
    """The images of the split and their labels. And what an array `class_names` calls the classes that labels number, as
    `gan sample -o x.npz` writes it."""
    with zipfile.ZipFile(file) as archive:
        shapes: Shapes = {}
        arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in arrays}
        for name in sizes:
            with archive.open(f"{name}.npy") as entry:
                shapes[name] = _header(entry)

        def read(name: str) -> Array:
            _check(path, name, *shapes[name], sizes[name])
            with archive.open(f"{name}.npy") as entry:
                return np.asarray(npy.read_array(entry, allow_pickle=False))

        chosen = _chosen(path, shapes, split)
        images, own, odd = read(chosen), split_word(chosen), list[str]()
        named = [name for name in shapes if is_labels(name) and split_word(name) == own]
        for name in named:
            others = [other for other in shapes if own and other != name and rest(other) == rest(name)]
            try:
                check_labels(*shapes[name], _count(shapes[chosen][0]))
                labels = [class_values(read(each)) for each in (name, *others)]
            except OddLabelsError as error:
                odd.append(f"{_told(name, shapes)} {error}")
                continue
            beside = [other for other in named if other != name]
            line = f"{path.name}: classes are taken from the array {name}, not from {few(beside)}"
            return Stored(images, labels, _names(archive, shapes, sizes), [Note(line)] if beside else [])
        unused = [
            _told(name, shapes) for name in shapes if name not in (chosen, NAMES) and split_word(name) in ("", own)
        ]
        line = f"{path.name}: no classes: "
        if odd:
            return Stored(images, notes=[f"{line}{'; '.join(odd)[:300]}"])
        line += f"no array is called labels, y, targets or classes; not used: {few(unused)}"
        return Stored(images, notes=[Note(line)] if unused else [])


def _told(name: str, shapes: Shapes) -> str:
    shape, dtype = shapes[name]
    return f"{name} ({dtype} {list(shape)})"


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


def _chosen(path: Path, shapes: Shapes, split: Split) -> str:
    """The name of the array of images. Raises `DataError`."""
    found = [
        name
        for name, (shape, dtype) in shapes.items()
        if dtype.kind in NUMERIC and len(shape) in (3, 4) and not is_labels(name)
    ]
    for word in (*SPLIT_WORDS[split], "", *SPLIT_WORDS[OTHER[split]]):
        if candidates := [name for name in found if split_word(name) == word]:
            break
    else:
        candidates = []
    if len(candidates) > 1:
        candidates = [name for name in candidates if not IMAGES.isdisjoint(words(name))] or candidates
    if len(candidates) > 1:
        candidates = [name for name in candidates if shapes[name][1] == np.uint8] or candidates
    if len(candidates) != 1:
        told = ", ".join(_told(name, shapes) for name in shapes)[:300] or "no array"
        several = f"; call the images `images`, not {few(candidates)}" if candidates else ""
        raise DataError(f"--dataset {path}: must hold one array of images, {SHAPES}; it has {told}{several}")
    return candidates[0]


def _check(path: Path, name: str, shape: tuple[int, ...], dtype: "np.dtype[Any]", num_bytes: int) -> None:
    """Raises `DataError` for an array that claims more than its file holds, or than memory does, or odd sides."""
    if dtype.hasobject:
        raise DataError(
            f"--dataset {path}: {name}: holds Python objects, which are not read; save numbers in one array: np.stack(x)"
        )
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if claimed > num_bytes:
        raise DataError(f"--dataset {path}: {name}: claims {claimed} bytes, and has {num_bytes}")
    if claimed > free_bytes(CPU) / 2:
        raise DataError(
            f"--dataset {path}: {name}: {claimed / 1e9:.1f} GB are more than half of the memory that is free"
        )
    if not shape or min(shape) < 1 or max(shape[1:], default=1) > MAX_SIDE:
        raise DataError(f"--dataset {path}: {name}: has the shape {list(shape)}: no images")


def _count(shape: tuple[int, ...]) -> int:
    """The number of images in an array: one in `[H, W, C]`."""
    return 1 if len(shape) == 3 and shape[2] in (1, 3) else shape[0]


def _channels_last(path: Path, images: Array) -> Array:
    """A view `[N, H, W, C]`. Raises `DataError`."""
    shape = images.shape
    if images.dtype.kind in NUMERIC and len(shape) == 3:
        return images[None] if _count(shape) == 1 and shape[2] in (1, 3) else images[..., None]
    if images.dtype.kind in NUMERIC and len(shape) == 4 and shape[3] in (1, 3):
        return images
    if images.dtype.kind in NUMERIC and len(shape) == 4 and shape[1] in (1, 3):
        return np.moveaxis(images, 1, 3)
    alpha = "; without alpha: images[..., :3]" if len(shape) > 2 and shape[-1] == 4 else ""
    raise DataError(f"--dataset {path}: is {images.dtype} {list(shape)}, and must be numbers {SHAPES}{alpha}")


def _eight_bit(path: Path, images: Array, emit: Emit) -> Tensor:
    """Numbers as uint8: what is at most 1 as fractions of white, from -1 on where some are below 0; else up to 255 as they
    are, and up to 65535 as 16 bit. Raises `DataError` for others."""
    low, high = float(images.min()), float(images.max())
    if images.dtype == np.uint8 and high != 1:
        return torch.from_numpy(images)
    black = 0 if low >= 0 else -1
    white = next((top for top in (1, 255, 65535) if high <= top), None)
    if white is None or not low >= black or (black and white > 1):
        raise DataError(
            f"--dataset {path}: {images.dtype} values from {low:g} to {high:g}; clip or scale them to 0 to 1, -1 to 1 or "
            "0 to 255"
        )
    if images.dtype != np.bool_:
        of = f"{path.name}: {images.dtype} values from {low:g} to {high:g}"
        emit(Warned(Note(f"{of} are read as {black} (black) to {white} (white), in 8 bits")))
    pixels = torch.empty(images.shape, dtype=torch.uint8)
    for start in range(0, len(images), CHUNK):
        values = (images[start : start + CHUNK].astype(np.float32) - black) * (255 / (white - black))
        pixels[start : start + CHUNK] = torch.from_numpy(np.rint(values).astype(np.uint8))
    return pixels


def _resized(path: Path, pixels: Tensor, size: int, fit: Fit, emit: Emit) -> Tensor:
    """Each picture as a square of `size` pixels, as a folder's are."""
    count, channels = pixels.shape[:2]
    result, pace = torch.empty(count, channels, size, size, dtype=torch.uint8), Pace()
    for number, picture in enumerate(pixels):
        image = Image.fromarray(picture.permute(1, 2, 0).contiguous().squeeze(2).numpy())
        small = np.asarray(square(image, size, fit)).reshape(size, size, channels)
        result[number] = torch.from_numpy(small.copy()).permute(2, 0, 1)
        if pace.due() or number + 1 == count:
            emit(Preparing(f"resizing {path.name}", number + 1, count, "images"))
    return result
