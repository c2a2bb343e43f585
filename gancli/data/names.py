"""The data sets that have names. No torch is imported: Tab completion asks here."""

from typing import Literal

Split = Literal["train", "test"]
ARRAYS = (".npy", ".npz")  # suffixes
DRAWN = ("digits", "shapes", "leaves")
TORCHVISION = ("mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn", "stl10")
STACKED = "stacked-mnist"


def own_size(name: str) -> int | None:
    """The side of a named data set's images as they are, in pixels; None for a path."""
    larger = {"shapes": 64, "leaves": 64, "cifar10": 32, "cifar100": 32, "svhn": 32, "stl10": 96}
    return larger.get(name, 28) if name in source_names() else None


def source_names() -> tuple[str, ...]:
    """All names that `--dataset` knows, beside paths."""
    return (*DRAWN, *TORCHVISION, STACKED)
