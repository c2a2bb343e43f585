"""Torchvision's data sets by name, in torchvision's own layout; nothing is downloaded that is there.

All files are read by us, in memory: the data root may be read-only, torchvision takes seconds to import, and its SVHN
needs SciPy.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.data import cifar, remote
from gancli.data.cache import Cache
from gancli.data.download import fetch
from gancli.data.idx import read_idx
from gancli.data.mat import read_mat
from gancli.data.members import read_file, read_members
from gancli.data.names import Split
from gancli.data.remote import DIGITS, IDX_SETS, SVHN, ArchiveSet, RemoteFile
from gancli.data.resize import resized
from gancli.data.source import Source
from gancli.errors import DataError
from gancli.events import Emit, Preparing, Warned


class Labelled(NamedTuple):
    """uint8 `[N, C, H, W]`, int64 `[N]`, and the classes' names."""

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]


Reader = Callable[[Path, bool, Split, Emit], Labelled]


def open_torchvision(name: str, root: Path, image_size: int | None, download: bool, split: Split, emit: Emit) -> Source:
    """Open one of `names.TORCHVISION`. Raises `DataError` that says which files to put where.

    What comes out of a large archive is cached below `root`; MNIST and its kin read as fast without.
    """
    emit(Preparing(f"reading {name}", 0, 0, "files"))
    if name in IDX_SETS:
        images, labels, class_names = read_idx_set(name, name, root, download, split, emit)
        if image_size is not None:
            images = resized(images, image_size, name, emit)
        return Source(name, images, labels, class_names)
    cache = Cache(root, f"{name}-{split}", [name, split, image_size], name)
    if (cached := cache.load_source(name)) is not None:
        return cached
    images, labels, class_names = READERS[name](root, download, split, emit)
    if image_size is not None:
        images = resized(images, image_size, name, emit)
    source, warning = cache.save_source(Source(name, images, labels, class_names))
    if warning:
        emit(Warned(warning))
    return source


def _by_hand(root: Path, files: tuple[RemoteFile, ...]) -> str:
    wanted = " and ".join(f"{Path(file.path).name} (from {file.urls[0]})" for file in files)
    return f"put {wanted} into {(root / files[0].path).parent}"


def _read_verified(file: RemoteFile, root: Path, name: str, by_hand: str, download: bool, emit: Emit) -> bytes:
    path = root / file.path
    if not path.exists():
        if not download:
            raise DataError(f"--dataset {name}: not in {root}, and --no-download is given; {by_hand}")
        fetch(file, root, name, by_hand, emit)
    data = read_file(path)
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != file.md5:
        raise DataError(f"{path}: damaged: its MD5 is not {file.md5}; delete it and try again")
    return data


def read_idx_set(name: str, dataset: str, root: Path, download: bool, split: Split, emit: Emit) -> Labelled:
    """Images and labels of MNIST or its kin, for the `dataset` that asks for them. Raises `DataError`."""
    which = IDX_SETS[name]
    by_hand = _by_hand(root, which.files[split])
    tensors: list[Tensor] = []
    for file in which.files[split]:
        emit(Preparing(f"reading {dataset}", len(tensors), 2, "files"))
        gzipped, plain = root / file.path, (root / file.path).with_suffix("")
        if plain.is_file() and not gzipped.exists():  # unpacked by torchvision; its checksum is not known
            data = read_file(plain)
        else:
            data = _read_verified(file, root, dataset, by_hand, download, emit)
        tensors.append(read_idx(data, str(gzipped if gzipped.exists() else plain)))
    images, labels = tensors
    fit = images.dim() == 3 and images.shape[1] == images.shape[2] and labels.dim() == 1 and len(images) == len(labels)
    if not fit or int(labels.max()) >= len(which.class_names):
        raise DataError(f"{(root / file.path).parent}: the {split} images and labels do not fit each other")
    return Labelled(images[:, None], labels.long(), which.class_names)


def _read_cifar(name: str, which: ArchiveSet, parts: dict[Split, tuple[str, ...]], meta: str) -> Reader:
    def read(root: Path, download: bool, split: Split, emit: Emit) -> Labelled:
        names = (*parts[split], meta)
        found = read_members(which, names, root, name, _by_hand(root, (which.archive,)), download, emit)
        batches = [cifar.read_batch(data, part) for data, part in zip(found, parts[split], strict=False)]
        images, labels = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
        return Labelled(images, labels, cifar.read_names(found[-1], meta))

    return read


def _read_stl10(root: Path, download: bool, split: Split, emit: Emit) -> Labelled:
    """Binary files of bytes; each channel runs down the columns first, labels count from 1 (Coates' STL-10 page)."""
    names = (f"{split}_X.bin", f"{split}_y.bin")
    by_hand = _by_hand(root, (remote.STL10.archive,))
    pixels, labels = read_members(remote.STL10, names, root, "stl10", by_hand, download, emit)
    images = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(-1, 3, 96, 96).transpose(2, 3).contiguous()
    return Labelled(images, torch.frombuffer(bytearray(labels), dtype=torch.uint8).long() - 1, remote.STL10_NAMES)


def _read_svhn(root: Path, download: bool, split: Split, emit: Emit) -> Labelled:
    """MATLAB arrays `X`, rows × columns × 3 × N, and `y`, where 10 stands for the digit 0."""
    file = SVHN[split]
    data = _read_verified(file, root, "svhn", _by_hand(root, (file,)), download, emit)
    emit(Preparing("unpacking svhn", 0, 1, "files"))
    arrays = read_mat(data, str(root / file.path))
    if "X" not in arrays or "y" not in arrays:
        raise DataError(f"{root / file.path}: holds no X and y")
    images = arrays["X"].transpose(2, 3).contiguous()
    return Labelled(images, arrays["y"].flatten().long() % 10, DIGITS)


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
READERS: dict[str, Reader] = {
    "cifar10": _read_cifar("cifar10", remote.CIFAR10, {"train": BATCHES, "test": ("test_batch",)}, "batches.meta"),
    "cifar100": _read_cifar("cifar100", remote.CIFAR100, {"train": ("train",), "test": ("test",)}, "meta"),
    "svhn": _read_svhn,
    "stl10": _read_stl10,
}
