"""Images in an array of a file: `.npy`, or `.npz` with labels. No pickle is read."""

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from PIL import Image
from torch import Tensor

from gancli.config.paths import open_file
from gancli.data.dataset import Dataset
from gancli.data.decode import make_square, no_effect
from gancli.data.label_files import MAX_CLASSES, check_label
from gancli.data.layout import ANY_WORD, SPLIT_WORDS
from gancli.data.names import Split, natural_order
from gancli.data.options import CropMode
from gancli.errors import DataError
from gancli.events import Emit, Preparing, RateLimiter, Warned
from gancli.machine.memory import free_bytes
from gancli.text import Note, few

# Words in the name of an array (`x_train`, `trainImages`, `y_train`) that say what it has.
IMAGES = frozenset({"image", "images", "img", "imgs", "picture", "pictures", "data", "x"})
LABELS = frozenset({"label", "labels", "target", "targets", "class", "classes", "category", "categories", "y"})
SECOND = "arr_1"  # of np.savez(path, images, labels), as the samples of guided-diffusion are saved
CLASS_NAMES = "class_names"  # as `gan sample -o x.npz` writes them
NUMERIC = "buif"  # kinds of dtype: bool, unsigned, signed, float
MAX_SIDE = 16_384
CHUNK = 256  # images converted at a time
SHAPES = "[N, H, W, C], [N, C, H, W] or [N, H, W], of 1 or 3 channels"
CPU = torch.device("cpu")
# What numpy and zipfile raise for damaged files: headers are parsed as Python, too.
DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, SyntaxError, TokenError)
Array = np.ndarray[Any, Any]


class Header(NamedTuple):
    """The shape and type of an array in a `.npz`, and the size of its entry in bytes."""

    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    num_bytes: int

    def __str__(self) -> str:
        return f"({self.dtype} {list(self.shape)})"


class Npz:
    """The arrays of a `.npz`. Raises `OSError`, `ValueError` or errors of `zipfile` and `zlib` for a damaged file."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._zip = path, archive
        self.headers: dict[str, Header] = {}
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                with archive.open(info) as entry:
                    is_first = npy.read_magic(entry) == (1, 0)
                    shape, _, dtype = (npy.read_array_header_1_0 if is_first else npy.read_array_header_2_0)(entry)
                self.headers[info.filename.removesuffix(".npy")] = Header(shape, dtype, info.file_size)

    def read(self, name: str) -> Array:
        """Return an array. Raises `ValueError` for Python objects, and `DataError` as `_check_size` does."""
        shape, dtype, num_bytes = self.headers[name]
        if dtype.hasobject:
            raise ValueError("has Python objects, which are not read; save numbers or text: np.stack(x), x.astype(str)")
        _check_size(f"--dataset {self._path}: {name}", shape, dtype, num_bytes)
        with self._zip.open(f"{name}.npy") as entry:
            return np.asarray(npy.read_array(entry, allow_pickle=False))

    def find_images(self, split: Split) -> str:
        """Return the name of the array of images. Raises `DataError`."""
        numeric = {name: header for name, header in self.headers.items() if header.dtype.kind in NUMERIC}
        found = [name for name, header in numeric.items() if len(header.shape) in (3, 4) and not is_labels(name)]
        other: Split = "test" if split == "train" else "train"
        order = (*SPLIT_WORDS[split], "", *SPLIT_WORDS[other])
        best = min((order.index(split_word(name)) for name in found), default=0)
        candidates = [name for name in found if split_word(name) == order[best]]
        if len(candidates) > 1:
            candidates = [name for name in candidates if not IMAGES.isdisjoint(words(name))] or candidates
        if len(candidates) > 1:
            candidates = [name for name in candidates if numeric[name].dtype == np.uint8] or candidates
        if len(candidates) != 1:
            has = ", ".join(f"{name} {header}" for name, header in self.headers.items())[:300] or "no array"
            several = f"; call the images `images`, not {few(candidates)}" if candidates else ""
            raise DataError(f"--dataset {self._path}: must have one array of images, {SHAPES}; it has {has}{several}")
        return candidates[0]

    def find_labels(self, images: str, count: int) -> tuple[list[Array], str]:
        """Return the labels of `count` images, then those of the other splits, which have the same classes; none if there
        are none, with a note why."""
        own, problems = split_word(images), list[str]()
        for name in (name for name in self.headers if is_labels(name) and split_word(name) == own):
            rest = set(words(name)) - {own}
            others = [n for n in self.headers if own and n != name and set(words(n)) - {split_word(n)} == rest]
            try:
                if self.headers[name].shape[:1] != (count,):
                    raise ValueError(f"does not have one label for each of the {count} images")
                return [class_values(self.read(each)) for each in (name, *others)], ""
            except ValueError as error:
                problems.append(f"{name} {self.headers[name]} {error}")
        names = [name for name in self.headers if name not in (images, CLASS_NAMES) and split_word(name) in ("", own)]
        unused = few([f"{name} {self.headers[name]}" for name in names])
        why = "; ".join(problems)[:300] or f"no array is called labels, y, targets or classes; not used: {unused}"
        return [], f"{self._path.name}: no classes: {why}" if names else ""

    def class_names(self) -> tuple[str, ...]:
        """Return the texts of the array `class_names`, or none if they are invalid."""
        header = self.headers.get(CLASS_NAMES)
        if header is None or header.dtype.kind != "U" or len(header.shape) != 1 or header.shape[0] > MAX_CLASSES:
            return ()
        names = tuple(map(str, self.read(CLASS_NAMES).tolist()))
        return names if len(set(names)) == len(names) and all(names) else ()


def open_arrays(path: Path, image_size: int | None, split: Split, fit: CropMode, emit: Emit) -> Dataset:
    """Open a file with images, `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]` with C 1 or 3, and perhaps labels: class
    numbers, class names or one-hot. Of several arrays of images in a `.npz`, that of the split is used.

    `image_size` None keeps the size of squares, else the shorter side; other images become squares, as `fit` says. Raises
    `DataError` for any other file, and for one larger than half of the free memory.
    """
    labels, class_names, note = list[Array](), tuple[str, ...](), ""
    try:
        with open_file(path) as file:
            if path.suffix.lower() == ".npy":
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)
                _check_size(f"--dataset {path}", mapped.shape, mapped.dtype, mapped.nbytes)
                images = _channels_last(path, np.array(mapped))
            else:
                npz = Npz(path, zipfile.ZipFile(file))
                images = _channels_last(path, npz.read(name := npz.find_images(split)))
                labels, note = npz.find_labels(name, len(images))
                class_names = npz.class_names() if labels else ()
    except DAMAGE as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise DataError(f"--dataset {path}: cannot be read ({why})") from None
    if note:
        emit(Warned(Note(note)))
    pixels = _eight_bit(path, images, emit).permute(0, 3, 1, 2)
    is_square = pixels.shape[2] == pixels.shape[3]
    size = image_size or min(pixels.shape[2:])
    if fit != "crop" and is_square:
        emit(Warned(no_effect(fit)))
    if pixels.shape[2:] != (size, size):
        pixels = _resized(path, pixels, size, fit, emit)
    numbers, names = _number(path, labels, class_names) if labels else (torch.zeros(len(pixels), dtype=torch.int64), ())
    return Dataset(path.stem, pixels.contiguous(), numbers, names)


def _check_size(where: str, shape: tuple[int, ...], dtype: "np.dtype[Any]", num_bytes: int) -> None:
    """Raises `DataError` for an array without elements or of odd sides, and for one that claims more bytes than its file
    has or than fit into memory."""
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if claimed > num_bytes:
        raise DataError(f"{where}: claims {claimed} bytes, and has {num_bytes}")
    if claimed > free_bytes(CPU) / 2:
        raise DataError(f"{where}: {claimed / 1e9:.1f} GB are more than half of the free memory")
    if not shape or min(shape) < 1 or max(shape[1:], default=1) > MAX_SIDE:
        raise DataError(f"{where}: has the shape {list(shape)}: no images")


def words(name: str) -> list[str]:
    """Return the words of an array's name, in lower case; of `xtrain` x and train."""
    found = []
    for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name):
        joined = re.fullmatch(f"([xy]?)({ANY_WORD})([xy]?)", word.lower())
        found += [part for part in joined.groups() if part] if joined else [word.lower()]
    return found


def split_word(name: str) -> str:
    """Return the word in an array's name that says a split, or ""."""
    return next((word for word in words(name) if word in (*SPLIT_WORDS["train"], *SPLIT_WORDS["test"])), "")


def is_labels(name: str) -> bool:
    """Whether an array has labels, by its name."""
    return name == SECOND or (not LABELS.isdisjoint(own := words(name)) and "names" not in own)


def class_values(labels: Array) -> Array:
    """Return labels as one int64 or one text each. Raises `ValueError`."""
    kind = labels.dtype.kind
    if labels.ndim == 2 and labels.shape[1] != 1:
        if kind not in NUMERIC or not ((labels == 0) | (labels == 1)).all() or not (labels.sum(1) == 1).all():
            raise ValueError("is neither one label per image nor one-hot")
        return np.asarray(labels.argmax(1))
    if labels.size != len(labels):
        raise ValueError("does not have one label for each image")
    labels = labels.reshape(-1)
    if kind in "US":
        try:
            texts = labels if kind == "U" else np.char.decode(labels, "utf-8")
            distinct, numbers = np.unique(texts, return_inverse=True)
            return np.array([check_label(str(text)) for text in distinct])[numbers]
        except ValueError:  # UnicodeDecodeError is one
            raise ValueError("has text that is not a class name (one line of 1 to 100 characters, in UTF-8)") from None
    if kind not in NUMERIC or (kind == "f" and not (np.isfinite(labels) & (labels == np.rint(labels))).all()):
        raise ValueError("does not have whole numbers or text")
    return labels.astype(np.int64)


def _number(path: Path, labels: Sequence[Array], class_names: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Return the first labels as int64 `[N]` from 0 on, and the classes of all: their texts or numbers, or the
    `class_names` of these numbers."""
    own, distinct = labels[0], np.unique(np.concatenate(labels))
    if len(distinct) > MAX_CLASSES:
        raise DataError(f"--dataset {path}: {len(distinct)} classes are over the limit of {MAX_CLASSES}")
    if len(distinct) == 1:
        return torch.zeros(own.size, dtype=torch.int64), ()
    if distinct.dtype.kind == "U":
        names = natural_order(distinct.tolist())
        index = {name: number for number, name in enumerate(names)}
        return torch.tensor([index[str(label)] for label in own.tolist()]), names
    numbers = distinct.tolist()
    is_named = bool(class_names) and numbers[0] >= 0 and numbers[-1] < len(class_names)
    names = tuple(class_names[number] if is_named else str(number) for number in numbers)
    return torch.from_numpy(np.searchsorted(distinct, own).astype(np.int64)), names


def _channels_last(path: Path, images: Array) -> Array:
    """Return a view `[N, H, W, C]`. Raises `DataError` for arrays of other shapes or types."""
    shape = images.shape
    if images.dtype.kind in NUMERIC:
        if len(shape) == 3:
            return images[None] if shape[2] in (1, 3) else images[..., None]
        if len(shape) == 4 and shape[3] in (1, 3):
            return images
        if len(shape) == 4 and shape[1] in (1, 3):
            return np.moveaxis(images, 1, 3)
    alpha = "; without alpha: images[..., :3]" if len(shape) > 2 and shape[-1] == 4 else ""
    raise DataError(f"--dataset {path}: is {images.dtype} {list(shape)}, and must be numbers {SHAPES}{alpha}")


def image_shape(path: Path) -> tuple[int, int, int] | None:
    """Return height, width and channels of the images of a file, of which only the header is read; None if it cannot be
    read, which opening it reports."""
    try:
        with open_file(path) as file:
            if path.suffix.lower() == ".npy":
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)
                shape, dtype = mapped.shape, mapped.dtype
            else:
                npz = Npz(path, zipfile.ZipFile(file))
                shape, dtype, _ = npz.headers[npz.find_images("train")]
        _, height, width, channels = _channels_last(path, np.broadcast_to(np.zeros((), dtype), shape)).shape
    except (DataError, *DAMAGE):
        return None
    return height, width, channels


def _eight_bit(path: Path, images: Array, emit: Emit) -> Tensor:
    """Return numbers from 0 (or -1, if any is negative) to 1, 255 or 65535 as uint8. Raises `DataError` for others."""
    low, high = float(images.min()), float(images.max())
    values = f"{images.dtype} values from {low:g} to {high:g}"
    if images.dtype == np.uint8 and high != 1:
        return torch.from_numpy(images)
    black = 0 if low >= 0 else -1
    white = next((top for top in (1, 255, 65535) if high <= top), None)
    if white is None or not low >= black or (black and white > 1):
        raise DataError(f"--dataset {path}: {values}; clip or scale them to 0 to 1, -1 to 1 or 0 to 255")
    if images.dtype != np.bool_:
        emit(Warned(Note(f"{path.name}: {values} are read as {black} (black) to {white} (white), in 8 bits")))
    pixels = torch.empty(images.shape, dtype=torch.uint8)
    for start in range(0, len(images), CHUNK):
        scaled = (images[start : start + CHUNK].astype(np.float32) - black) * (255 / (white - black))
        pixels[start : start + CHUNK] = torch.from_numpy(np.rint(scaled).astype(np.uint8))
    return pixels


def _resized(path: Path, pixels: Tensor, size: int, fit: CropMode, emit: Emit) -> Tensor:
    """Return each image as a square of `size` pixels, as of a folder."""
    count, channels = pixels.shape[:2]
    result, pace = torch.empty(count, channels, size, size, dtype=torch.uint8), RateLimiter()
    for number, image in enumerate(pixels):
        pillow = Image.fromarray(image.permute(1, 2, 0).contiguous().squeeze(2).numpy())
        small = np.asarray(make_square(pillow, size, fit)).reshape(size, size, channels)
        result[number] = torch.from_numpy(small.copy()).permute(2, 0, 1)
        if pace.due() or number + 1 == count:
            emit(Preparing(f"resizing {path.name}", number + 1, count, "images"))
    return result
