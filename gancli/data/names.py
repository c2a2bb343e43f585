"""The data sets that have names. No torch is imported: Tab completion asks here."""

from typing import Literal

Split = Literal["train", "test"]
ARRAYS = (".npy", ".npz")  # suffixes
DRAWN = ("digits", "shapes", "leaves")
TORCHVISION = ("mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn", "stl10")
STACKED = "stacked-mnist"


def source_names() -> tuple[str, ...]:
    """All names that `--dataset` knows, beside paths."""
    return (*DRAWN, *TORCHVISION, STACKED)
