"""Open a dataset by its name or path."""

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gancli.config import suggestions
from gancli.config.paths import expanded
from gancli.data import overview
from gancli.data.dataset import Dataset
from gancli.data.dataset_object import NEEDS_OBJECT, DatasetObject, is_python
from gancli.data.decode import CropMode
from gancli.data.names import ARRAYS, GENERATED, STACKED, TORCHVISION, Split, dataset_names
from gancli.data.patterns import expand_pattern, is_pattern
from gancli.data.selection import WHOLE, Selection
from gancli.errors import DataError, UsageError, did_you_mean, os_problem
from gancli.events import Emit
from gancli.files.hub import is_reference
from gancli.spec import ImageSpec

HUB_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/([^/?#]+/[^/?#]+).*")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def open_dataset(
    dataset: str,
    emit: Emit,
    *,
    data_root: Path,
    image_size: int | None,
    download: bool,
    on_bad_image: Literal["fail", "skip"],
    split: Split = "train",
    fit: CropMode = "crop",
    fits: Callable[[ImageSpec], object] | None = None,
    selection: Selection = WHOLE,
) -> Dataset:
    """Open a dataset by name or path.

    `image_size` None keeps the dataset's own (of a folder: see `folder.common_size`); `fit` is for images of folders,
    archives and arrays that are not square. `fits` is called with the spec of a folder's images before they are decoded, and
    may raise. `selection`: the split of a dataset of the hub, and columns of Parquet files. Raises `UsageError` for a name
    or path that does not exist, and `DataError` for data that cannot be loaded.
    """
    with selection.in_use(dataset):
        return _open(dataset, emit, data_root, image_size, download, on_bad_image, split, fit, fits, selection)


def _open(
    dataset: str,
    emit: Emit,
    data_root: Path,
    image_size: int | None,
    download: bool,
    on_bad_image: Literal["fail", "skip"],
    split: Split,
    fit: CropMode,
    fits: Callable[[ImageSpec], object] | None,
    selection: Selection,
) -> Dataset:
    if isinstance(dataset, DatasetObject):  # it has no splits
        from gancli.data import torch_dataset

        return torch_dataset.open_dataset_object(
            dataset, emit, data_root=data_root, image_size=image_size, on_bad=on_bad_image, fit=fit
        )
    if dataset in GENERATED:
        from gancli.data import generated

        source = generated.open_generated(dataset, data_root, image_size, split, emit)
    elif dataset in TORCHVISION:
        from gancli.data import named_sets

        source = named_sets.open_named(dataset, data_root, image_size, download, split, emit)
    elif dataset == STACKED:
        from gancli.data import stacked

        source = stacked.open_stacked(data_root, image_size, download, split, emit)
    elif is_reference(dataset):
        from gancli.data import hub

        source = hub.open_hub(
            dataset,
            selection,
            emit,
            data_root=data_root,
            image_size=image_size,
            download=download,
            on_bad_image=on_bad_image,
            split=split,
            fit=fit,
            fits=fits,
        )
    elif (path := resolve_dataset_path(dataset)) is not None:
        if path.suffix.lower() in ARRAYS and path.is_file():
            from gancli.data import arrays

            source = arrays.open_arrays(path, image_size, split, fit, emit)
        else:
            from gancli.data import folder

            source = folder.open_folder(path, data_root, image_size, on_bad_image, split, fit, fits, emit)
    else:
        raise UsageError(_unknown(dataset))
    if len(source.images) == 0:
        raise DataError(f"--dataset {dataset}: holds no images")
    return source


def resolve_dataset_path(dataset: str) -> Path | None:
    """Return the path of a dataset, or the pattern of several files, if it exists. Raises `UsageError` for the home of an
    unknown user, and `DataError` if files of a pattern are missing."""
    path = expanded(dataset, "--dataset")
    try:
        return path if path.exists() or (is_pattern(path) and expand_pattern(path)) else None
    except ValueError:  # a name no file can have
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise DataError(os_problem(f"--dataset {dataset}", "read", error)) from None


def _unknown(dataset: str) -> str:
    """Return the message about a name or path that does not exist, with a similar name of a dataset or file."""
    if is_python(dataset):
        return f"--dataset {dataset}: {NEEDS_OBJECT}"
    path = expanded(dataset, "--dataset") if "/" in dataset else Path(dataset)
    if (address := HUB_ADDRESS.fullmatch(dataset)) is not None:
        return f"--dataset {dataset}: a dataset of the Hugging Face Hub is given as hf:{address[1]}"
    if is_pattern(path):
        return f"--dataset {dataset}: no file matches the pattern"
    try:
        if path.is_symlink():
            return f"--dataset {dataset}: a broken link"
        neighbours = {entry.name: str(entry) for entry in sorted(path.parent.iterdir())[:10_000]}
    except OSError:
        neighbours = {}
    if way := overview.elsewhere(dataset):
        return f"--dataset {dataset}: {way}"
    hint = suggestions.of_value("--dataset", dataset, dataset_names()) or did_you_mean(path.name, neighbours)
    if not hint and REPOSITORY.fullmatch(dataset) and not path.parent.exists():
        hint = f" (did you mean hf:{dataset}, of the Hugging Face Hub?)"
    known = ", ".join(dataset_names())
    return f"--dataset {dataset}: neither a dataset ({known}) nor a folder, zip, tar or Parquet file that exists{hint}"
