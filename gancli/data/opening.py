"""Open a dataset by its name or path."""

import errno
import itertools
import re
from pathlib import Path

from gancli.config import suggestions
from gancli.config.paths import expanded
from gancli.data import overview
from gancli.data.dataset import Dataset
from gancli.data.dataset_object import NEEDS_OBJECT, DatasetObject, is_python
from gancli.data.names import GENERATED, STACKED, dataset_names, is_array_file
from gancli.data.options import DatasetOptions
from gancli.data.patterns import expand_pattern, is_pattern
from gancli.errors import DataError, UsageError, did_you_mean, os_problem
from gancli.events import Emit, Warned
from gancli.files.hub import is_reference
from gancli.text import Note

HUB_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/([^/?#]+/[^/?#]+).*")
COMMON_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def open_dataset(dataset: str, options: DatasetOptions, emit: Emit) -> Dataset:
    """Open a dataset by name or path. Without an `image_size` it keeps its own (of a folder: see `folder.common_size`).

    Raises `UsageError` for a name or path that does not exist and for an option that has no effect on it, and `DataError`
    for data that cannot be loaded.
    """
    if is_reference(dataset):
        from gancli.data import hub

        source = hub.open_hub(dataset, options, emit)
    else:
        options.selection.reject_split(dataset)
        if (path := image_files_path(dataset)) is not None:
            from gancli.data import folder

            source = folder.open_folder(path, options, emit)
        else:
            source = _open_other(dataset, options, emit)
    if len(source.images) == 0:
        raise DataError(f"--dataset {dataset}: holds no images")
    return source


def _open_other(dataset: str, options: DatasetOptions, emit: Emit) -> Dataset:
    """Open a named dataset, an object of Python, or a file of arrays."""
    path = None if is_named(dataset) else resolve_dataset_path(dataset)
    if path is None and not is_named(dataset):
        raise UsageError(_unknown(dataset))
    options.selection.reject_columns(dataset)
    root, size, split = options.data_root, options.image_size, options.split
    if isinstance(dataset, DatasetObject):  # it has no splits
        from gancli.data import torch_dataset

        return torch_dataset.open_dataset_object(dataset, options, emit)
    if path is not None:
        from gancli.data import arrays

        return arrays.open_arrays(path, size, split, options.fit, emit)
    if split == "train" and _is_folder_of_images(Path(dataset)):
        line = f"--dataset {dataset}: the dataset of that name; for the folder of this directory give -d ./{dataset}"
        emit(Warned(Note(line)))
    if dataset in GENERATED:
        from gancli.data import generated

        return generated.open_generated(dataset, root, size, split, emit)
    if dataset == STACKED:
        from gancli.data import stacked

        return stacked.open_stacked(root, size, options.download, split, emit)
    from gancli.data import named_sets

    return named_sets.open_named(dataset, root, size, options.download, split, emit)


def _is_folder_of_images(path: Path) -> bool:
    """Whether a path of the working directory, spelt in this case, is a folder with images or with folders of images, and
    not a run's."""
    try:
        if (path / "config.toml").exists():
            return False
        files = itertools.chain(path.glob("*.*"), path.glob("*/*.*"))
        return path in Path().iterdir() and any(file.suffix.lower() in COMMON_SUFFIXES for file in files)
    except OSError:
        return False


def is_named(dataset: str) -> bool:
    """Whether a dataset is not a path, nor of the hub."""
    return isinstance(dataset, DatasetObject) or dataset in dataset_names()


def image_files_path(dataset: str) -> Path | None:
    """Return the path of a folder, archive or pattern of files with images; None for other datasets, and if nothing exists
    there. Raises what `resolve_dataset_path` does."""
    path = None if is_named(dataset) else resolve_dataset_path(dataset)
    return None if path is not None and is_array_file(path) else path


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
