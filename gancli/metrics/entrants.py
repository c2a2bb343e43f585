"""What `gan evaluate` measures: checkpoints, and images of other programs in a folder, an archive or an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.config.paths import open_file
from gancli.data.dataset import Dataset
from gancli.data.listing import probe
from gancli.data.names import ARRAYS, dataset_names, is_array_file, match_names
from gancli.data.opening import open_dataset
from gancli.data.options import CropMode, DatasetOptions
from gancli.data.patterns import expand_pattern, is_archive, is_pattern
from gancli.errors import DataError, GancliError, UsageError
from gancli.events import Emit, Warned, ignore
from gancli.store.checkpoint import Model, load_model
from gancli.store.run_directory import RunDirectory, model_file, require_model_file, runs_in
from gancli.text import Note, few

MAGIC = (b"PK\x03\x04", b"PAR1")  # zip, Parquet
TAR, TAR_AT = b"ustar", 257
CHUNK = 1024  # images compared at a time


@dataclass(frozen=True)
class Entrant:
    """A checkpoint and its `model`, or images (`model` is None)."""

    path: Path
    model: Model | None = None


def open_entrant(place: Path) -> Entrant:
    """Open a path of the command line. Raises `CheckpointError` if it is neither a model nor images."""
    if _has_images(place):
        return Entrant(place)
    file = require_model_file(place)
    return Entrant(file, load_model(file))


def _has_images(place: Path) -> bool:
    """Return whether a path means images, not a model: a folder that is no run, an archive, an array, or a pattern of
    files. False if that is unknown: reading it as a checkpoint gives the error."""
    try:
        if place.is_dir():
            run = RunDirectory(place)
            is_model = model_file(place).exists() or run.best.exists() or run.holds_run or bool(run.states())
            return not is_model and not runs_in(place) and any(place.iterdir())
        if place.suffix.lower() == ".safetensors":
            return False
        if place.suffix.lower() in ARRAYS or is_archive(place.name):
            return True
        if not place.exists():
            return is_pattern(place) and bool(expand_pattern(place))
        with open_file(place) as file:
            head = file.read(TAR_AT + len(TAR))
        return head.startswith(MAGIC) or head[TAR_AT:] == TAR
    except (OSError, ValueError, GancliError):
        return False


def open_images(path: Path, like: Dataset, dataset: str, data_root: Path, fit: CropMode, emit: Emit) -> Dataset:
    """Open images with the size and channels of `like`, the dataset named `dataset`; with its labels, if their classes are
    the same. Emits a warning for each adaptation. Raises `DataError` for what cannot be read, and `UsageError` for colour
    images where `like` is grey."""
    try:
        source = _resized(path, like.spec.size, dataset, data_root, fit, emit)
    except DataError as error:
        message = str(error).removeprefix("--dataset ")
        more = "; nor is it a run directory" if path.is_dir() and "holds no images" in message else ""
        raise DataError(message + more) from error
    pixels = _with_channels(path, source.images, like.spec.channels, dataset, emit)
    labels, names = source.labels, like.class_names if source.class_names else ()
    if names:
        found, note = _class_numbers(source.class_names, names, dataset)
        if note:
            emit(Warned(f"{path}: {note}"))
        labels, names = (torch.tensor(found)[labels], names) if found else (labels, ())
    return Dataset(source.name, pixels, labels, names)


def _resized(path: Path, size: int, dataset: str, data_root: Path, fit: CropMode, emit: Emit) -> Dataset:
    """Open images, resized to `size`. Emits a warning if they have another size."""
    name = f"./{path}" if str(path) in dataset_names() else str(path)

    def opened(image_size: int | None, emit: Emit) -> Dataset:
        return open_dataset(name, DatasetOptions(data_root, image_size, on_bad_image="skip", fit=fit), emit)

    is_array = is_array_file(path)
    if is_array:
        source = opened(None, emit)
        side, square = source.spec.size, True
        if side == size:
            return source
    elif (seen := probe(name)) is None or (seen.square and seen.side == size):
        return opened(size, emit)
    else:
        side, square = seen.side, seen.square
    sizes = f"{side}×{side} pixels" if square else "of several sizes, or not square"
    emit(Warned(f"{path}: its images are {sizes}; they are resized to {size}×{size} as in {dataset}"))
    return opened(size, ignore if is_array else emit)  # the first opening of an array has emitted its notes


def _with_channels(path: Path, pixels: Tensor, channels: int, dataset: str, emit: Emit) -> Tensor:
    """Return images with that many channels: grey ones repeated; one channel of grey ones that were saved in colour."""
    own = pixels.shape[1]
    if own == channels:
        return pixels
    if channels == 3:
        emit(Warned(f"{path}: its images are grey, those of {dataset} are in colour; they are measured as grey images"))
        return pixels.expand(-1, 3, -1, -1)
    chunks = (pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK))
    if any(not torch.equal(some[:, :1].expand(-1, own, -1, -1), some) for some in chunks):
        raise UsageError(f"{path}: its images are in colour, those of {dataset} are grey; they cannot be compared")
    emit(Warned(Note(f"{path}: its images are grey with three equal channels; one channel is used")))
    return pixels[:, :1]


def _class_numbers(own: Sequence[str], known: Sequence[str], dataset: str) -> tuple[list[int], str]:
    """Return the number in the dataset of each class, or none if they differ; and a warning if they were not the same."""
    found = match_names(own, known)
    if None not in found:
        return [number for number in found if number is not None], ""
    if all(name.isdecimal() for name in own) and max(map(int, own)) < len(known):
        return list(map(int, own)), f"its labels, {few(own)}, are used as the numbers of the classes of {dataset}"
    return [], f"its classes ({few(own)}) are not those of {dataset} ({few(known)}); measured without labels"


def choose_images(source: Dataset, count: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Return `count` of the images, chosen at random by `seed`, in their order: uint8 `[count, C, H, W]`, and their labels
    if there are any."""
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(source.images), generator=rng)[:count].sort().values
    return source.images[rows], source.labels[rows] if source.class_names else None
