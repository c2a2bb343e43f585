"""Torchvision's data sets by name, in torchvision's own layout; nothing is downloaded that is there.

MNIST and its kin are read from their `.gz` files by us: importing torchvision costs more than reading them.
"""

import hashlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.idx import read_idx
from gancli.data.resize import resized
from gancli.data.source import Opening, Source, Split
from gancli.errors import DataError
from gancli.events import Event, Preparing, Warned

TRIES = 3


@dataclass(frozen=True)
class IdxSet:
    """A data set of four IDX files under `data_root/folder/raw`: md5 of images and labels, per split."""

    folder: str
    class_names: tuple[str, ...]
    train_md5: tuple[str, str]
    test_md5: tuple[str, str]


FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
DIGITS = tuple("0123456789")
IDX_SETS = {
    "mnist": IdxSet(
        "MNIST",
        DIGITS,
        ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    "fashion-mnist": IdxSet(
        "FashionMNIST",
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe"),
        ("bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    "kmnist": IdxSet(
        "KMNIST",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        ("bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344"),
        ("5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134"),
    ),
}


def open_torchvision(name: str, root: Path, image_size: int | None, download: bool, split: Split) -> Opening:
    """Open one of `names.TORCHVISION`. Raises `DataError` that says which files to put where."""
    yield Preparing(f"reading {name}", 0, 1, "files")
    if name in IDX_SETS:
        images, labels = yield from _open_idx(name, IDX_SETS[name], root, download, split)
        class_names = IDX_SETS[name].class_names
    else:
        images, labels, class_names = yield from _open_other(name, root, download, split)
    if image_size is not None and image_size != images.shape[-1]:
        yield Preparing(f"resizing {name} to {image_size} px", 0, 1, "data set")
        images = resized(images, image_size)
    yield Preparing(f"reading {name}", 1, 1, "files")
    return Source(name, images, labels, class_names)


def _open_idx(
    name: str, which: IdxSet, root: Path, download: bool, split: Split
) -> Generator[Event, None, tuple[Tensor, Tensor]]:
    raw = root / which.folder / "raw"
    sums = which.train_md5 if split == "train" else which.test_md5
    paths = [_present(raw / file) for file in FILES[split]]
    if None in paths:
        where = f"put {', '.join(f'{file}.gz' for file in (*FILES['train'], *FILES['test']))} into {raw}"
        if not download:
            raise DataError(f"--dataset {name}: not in {root}, and --no-download is given; {where}")
        yield from _fetch(name, where, lambda: _torchvision_class(name)(str(root), download=True))
        paths = [_present(raw / file) for file in FILES[split]]
    tensors = []
    for path, md5 in zip(paths, sums, strict=True):
        assert path is not None, "torchvision has just fetched it"
        if path.suffix == ".gz" and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            raise DataError(f"{path}: damaged: its MD5 is not {md5}; delete it, or put the original there")
        tensors.append(read_idx(path))
        yield Preparing(f"reading {name}", len(tensors), 2, "files")
    images, labels = tensors
    if (
        images.dim() != 3
        or labels.dim() != 1
        or len(images) != len(labels)
        or int(labels.max()) >= len(which.class_names)
    ):
        raise DataError(f"{raw}: its images and labels do not fit each other")
    return images[:, None], labels.long()


def _present(path: Path) -> Path | None:
    """The gzipped file, whose checksum is known, or else the unpacked one."""
    return next((p for p in (path.with_name(f"{path.name}.gz"), path) if p.exists()), None)


def _open_other(
    name: str, root: Path, download: bool, split: Split
) -> Generator[Event, None, tuple[Tensor, Tensor, tuple[str, ...]]]:
    make = _torchvision_class(name)
    part: dict[str, Any] = {"split": split} if name in ("svhn", "stl10") else {"train": split == "train"}
    try:
        opened = make(str(root), **part)
    except (RuntimeError, FileNotFoundError, OSError) as error:
        where = f"put {_archive(make)} into {root}"
        if not download:
            raise DataError(f"--dataset {name}: not in {root}, and --no-download is given; {where}") from error
        opened = yield from _fetch(name, where, lambda: make(str(root), **part, download=True))
    images = torch.from_numpy(opened.data)
    if images.shape[-1] == 3:  # CIFAR keeps its channels last
        images = images.permute(0, 3, 1, 2).contiguous()
    labels = opened.targets if hasattr(opened, "targets") else opened.labels
    class_names = tuple(getattr(opened, "classes", DIGITS))
    return images, torch.as_tensor(labels).long(), class_names


def _archive(make: Any) -> str:
    if hasattr(make, "filename"):
        return f"{make.filename} ({make.url})"
    files = [f"{entry[1]} ({entry[0]})" for entry in getattr(make, "split_list", {}).values()]
    return ", ".join(files)


def _torchvision_class(name: str) -> Any:
    from torchvision import datasets

    return {
        "mnist": datasets.MNIST,
        "fashion-mnist": datasets.FashionMNIST,
        "kmnist": datasets.KMNIST,
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
        "svhn": datasets.SVHN,
        "stl10": datasets.STL10,
    }[name]


def _fetch(name: str, where: str, get: Callable[[], Any]) -> Generator[Event, None, Any]:
    """Download with torchvision's mirrors and checksums, a few times. Raises `DataError` with what to do by hand."""
    for attempt in range(1, TRIES + 1):
        yield Preparing(f"downloading {name}", 0, 0, "bytes")
        try:
            return get()
        except Exception as error:  # hosts fail in many ways (URLError, timeouts, bad archives): all mean "not fetched"
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if attempt == TRIES:
                raise DataError(f"--dataset {name}: cannot be downloaded ({reason}); by hand: {where}") from error
        yield Warned(f"downloading {name} failed ({reason}); trying again")
        time.sleep(attempt)
    raise AssertionError("unreachable")
