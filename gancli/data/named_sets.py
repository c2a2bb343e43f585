"""Torchvision's datasets by name, in torchvision's layout below the data root.

They are read here, in memory: the data root may be read-only, torchvision takes seconds to import, and its SVHN needs SciPy.
"""

import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli.data.cache import Cache
from gancli.data.dataset import Dataset
from gancli.data.download import RemoteFiles, read_file
from gancli.data.named_formats import read_cifar, read_cifar_names, read_idx, read_mat, read_stl10
from gancli.data.names import Split
from gancli.errors import DataError
from gancli.events import Emit, Preparing

TABLE = importlib.resources.files("gancli.data").joinpath("named_sets.toml")
REMOTE: Mapping[str, RemoteFiles] = {
    name: RemoteFiles(**files) for name, files in tomllib.loads(TABLE.read_text("utf-8")).items()
}
CHUNK_VALUES = 1 << 23  # float32 values to resize at a time, before or after, whichever are more: 32 MiB


class Labelled(NamedTuple):
    """uint8 `[N, C, H, W]`, int64 `[N]`, and the names of the classes."""

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]


def open_named(name: str, root: Path, image_size: int | None, download: bool, split: Split, emit: Emit) -> Dataset:
    """Open one of `names.TORCHVISION`. Raises `DataError`, which says which files to put where.

    Images from large archives are cached below `root`; MNIST and the like are read as fast without a cache.
    """
    emit(Preparing(f"reading {name}", 0, 0, "files"))
    if "mnist" in name:
        images, labels, class_names = read_mnist(name, name, root, download, split, emit)
        return Dataset(name, resized(images, image_size, name, emit), labels, class_names)
    cache = Cache(root, f"{name}-{split}", [name, split, image_size], name, emit)
    if (cached := cache.load_source(name)) is not None:
        return cached
    which = REMOTE[name]
    files = which.splits[split]
    contents = which.read(files, root, name, download, emit)
    emit(Preparing(f"unpacking {name}", 0, 0, "files"))
    images, labels, class_names = _parse(name, files, contents, tuple(which.class_names))
    return cache.save_source(Dataset(name, resized(images, image_size, name, emit), labels, class_names))


def read_mnist(name: str, dataset: str, root: Path, download: bool, split: Split, emit: Emit) -> Labelled:
    """Return a split of MNIST or one of its kind. `dataset`: the dataset that needs it. Raises `DataError`.

    Files that torchvision has unpacked are read without a check, as their checksums are unknown.
    """
    which = REMOTE[name]
    folder, files = root / which.folder, which.splits[split]
    unpacked = [file for file in files if (folder / file).with_suffix("").is_file() and not (folder / file).exists()]
    packed = [file for file in files if file not in unpacked]
    contents = {file: read_file((folder / file).with_suffix("")) for file in unpacked}
    contents |= zip(packed, which.read(packed, root, dataset, download, emit), strict=True)
    images, labels = (read_idx(contents[file], str(folder / file)) for file in files)
    square = images.dim() == 3 and images.shape[1] == images.shape[2]
    if not square or labels.dim() != 1 or len(images) != len(labels) or int(labels.max()) >= len(which.class_names):
        raise DataError(f"{folder}: the {split} images and labels do not fit each other")
    return Labelled(images[:, None], labels.long(), tuple(which.class_names))


def _parse(name: str, files: Sequence[str], contents: Sequence[bytes], class_names: tuple[str, ...]) -> Labelled:
    """Return what the files of a split of CIFAR, STL-10 or SVHN contain. Raises `DataError`."""
    if name == "stl10":
        return Labelled(*read_stl10(*contents), class_names)
    if name == "svhn":  # `X` is rows × columns × 3 × N; `y` has 10 for the digit 0
        arrays = read_mat(contents[0], files[0])
        if "X" not in arrays or "y" not in arrays:
            raise DataError(f"{files[0]}: has no arrays X and y")
        return Labelled(arrays["X"].transpose(2, 3).contiguous(), arrays["y"].flatten().long() % 10, class_names)
    batches = [read_cifar(data, file) for data, file in zip(contents[:-1], files[:-1], strict=True)]
    images, labels = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
    return Labelled(images, labels, read_cifar_names(contents[-1], files[-1]))


def resized(pixels: Tensor, size: int | None, name: str, emit: Emit) -> Tensor:
    """Centre-crop uint8 `[N, C, H, W]` to squares, and resize them to `[N, C, size, size]` with antialiasing (None: not at
    all)."""
    count, channels, height, width = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[..., top : top + side, left : left + side]
    if size is None or side == size:
        return pixels if size is None else square.contiguous()
    result = torch.empty(count, channels, size, size, dtype=torch.uint8)
    chunk = max(1, CHUNK_VALUES // (channels * max(side, size) ** 2))
    for start in range(0, count, chunk):
        emit(Preparing(f"resizing {name} to {size} px", start, count, "images"))
        part = F.interpolate(square[start : start + chunk].float(), (size, size), mode="bicubic", antialias=True)
        result[start : start + chunk] = part.round_().clamp_(0, 255).to(torch.uint8)
    return result
