"""How a dataset is opened: the options that its readers share. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gancli.config.option import reject_unused_options
from gancli.data.names import Split
from gancli.spec import ImageSpec

OnBad = Literal["fail", "skip"]
CropMode = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True)
class Selection:
    """The options `--split`, `--image-column` and `--label-column`; None: what the dataset says itself."""

    split: str | None = None
    image_column: str | None = None
    label_column: str | None = None

    def reject_split(self, dataset: str) -> None:
        """Raises `UsageError` if `--split` is given, for a `dataset` that is not of the hub."""
        why = f"is for datasets of the hub (hf:OWNER/NAME); of {dataset} give the folder or file of the split"
        reject_unused_options(("--split", self.split), why=why)

    def reject_columns(self, dataset: str) -> None:
        """Raises `UsageError` if a column is given, for a `dataset` without Parquet files."""
        given = (("--image-column", self.image_column), ("--label-column", self.label_column))
        reject_unused_options(*given, why=f"is for Parquet files, and {dataset} has none")


WHOLE = Selection()


@dataclass(frozen=True)
class DatasetOptions:
    """How a dataset is opened.

    `data_root`: the folder of downloads and of the cache. `image_size`: the side of the images, or of the crops of
    photographs, in pixels; None: the dataset's own. `split`: whether the training or the test images are opened; `fit`: how
    images that are not square become squares. `check_spec` is called with the spec of a folder's images before they are
    decoded, and may raise. `selection`: what is taken of a dataset that offers a choice.
    """

    data_root: Path
    image_size: int | None = None
    download: bool = False
    on_bad_image: OnBad = "fail"
    split: Split = "train"
    fit: CropMode = "crop"
    check_spec: Callable[[ImageSpec], object] | None = None
    selection: Selection = WHOLE
