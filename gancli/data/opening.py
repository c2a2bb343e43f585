"""From a name or a path to a data set, decoded once."""

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gancli.config import suggestions
from gancli.config.paths import expanded
from gancli.data import overview
from gancli.data.fit import Fit
from gancli.data.names import ARRAYS, DRAWN, STACKED, TORCHVISION, Split, source_names
from gancli.data.patterns import is_pattern, matching
from gancli.data.selection import WHOLE, Selection
from gancli.data.source import Source
from gancli.errors import DataError, UsageError, did_you_mean
from gancli.events import Emit
from gancli.files.hub import is_reference
from gancli.spec import ImageSpec

HUB_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/([^/?#]+/[^/?#]+).*")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def open_source(
    dataset: str,
    emit: Emit,
    *,
    data_root: Path,
    image_size: int | None,
    download: bool,
    on_bad_image: Literal["fail", "skip"],
    split: Split = "train",
    fit: Fit = "crop",
    fits: Callable[[ImageSpec], object] | None = None,
    selection: Selection = WHOLE,
) -> Source:
    """Open a data set by name or path.

    `image_size` None keeps the data set's own (for a folder: see `folder.common_size`); `fit` is for what is not square, in
    folders, zips and arrays. `fits` is asked about a folder's images before they are decoded. Raises
    `UsageError` for a name or path that does not exist, and `DataError` for data that cannot be had or read. `selection`:
    the split of a dataset of the hub, and columns of Parquet files."""
    with selection.in_use(dataset):
        return _opened(dataset, emit, data_root, image_size, download, on_bad_image, split, fit, fits, selection)


def _opened(
    dataset: str,
    emit: Emit,
    data_root: Path,
    image_size: int | None,
    download: bool,
    on_bad_image: Literal["fail", "skip"],
    split: Split,
    fit: Fit,
    fits: Callable[[ImageSpec], object] | None,
    selection: Selection,
) -> Source:
    if dataset in DRAWN:
        from gancli.data import drawn

        source = drawn.open_drawn(dataset, data_root, image_size, split, emit)
    elif dataset in TORCHVISION:
        from gancli.data import torchvision_sets

        source = torchvision_sets.open_torchvision(dataset, data_root, image_size, download, split, emit)
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
    elif (path := existing(dataset)) is not None:
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


def existing(dataset: str) -> Path | None:
    """The folder or file that a data set's name stands for, if there is one, or the pattern of several that are there.
    Raises `UsageError` for a home of nobody, and `DataError` where a pattern's files are not all there."""
    path = expanded(dataset, "--dataset")
    try:
        return path if path.exists() or (is_pattern(path) and matching(path)) else None
    except ValueError:  # a name no file can have
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise DataError(f"--dataset {dataset}: cannot be read ({error.strerror})") from None


def _unknown(dataset: str) -> str:
    """The message about a name or path that is not there, with the near miss among names or the path's neighbours."""
    path = expanded(dataset, "--dataset") if "/" in dataset else Path(dataset)
    if (address := HUB_ADDRESS.fullmatch(dataset)) is not None:
        return f"--dataset {dataset}: a dataset of the Hugging Face Hub is given as hf:{address[1]}"
    if is_pattern(path):
        return f"--dataset {dataset}: a pattern that fits no file's name"
    try:
        if path.is_symlink():
            return f"--dataset {dataset}: a link to what does not exist"
        neighbours = {entry.name: str(entry) for entry in sorted(path.parent.iterdir())[:10_000]}
    except OSError:
        neighbours = {}
    if way := overview.elsewhere(dataset):
        return f"--dataset {dataset}: {way}"
    hint = suggestions.of_value("--dataset", dataset, source_names()) or did_you_mean(path.name, neighbours)
    if not hint and REPOSITORY.fullmatch(dataset) and not path.parent.exists():
        hint = f" (did you mean hf:{dataset}, of the Hugging Face Hub?)"
    known = ", ".join(source_names())
    return f"--dataset {dataset}: neither a data set ({known}) nor a folder, zip, tar or Parquet file that exists{hint}"
