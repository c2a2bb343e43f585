"""What is measured: a checkpoint, or pictures that another program made, in a folder, an archive or an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.config.paths import open_file
from gancli.data.decode import Fit
from gancli.data.listing import probe
from gancli.data.names import ARRAYS, renumbered, source_names
from gancli.data.opening import open_source
from gancli.data.patterns import is_archive, is_pattern, matching
from gancli.data.source import Source
from gancli.errors import DataError, GancliError, UsageError
from gancli.events import Emit, Event, Warned
from gancli.metrics.yardstick import FEWEST
from gancli.store.checkpoint import Model, load_model
from gancli.store.run_directory import RunDirectory, model_file, require_model_file, runs_in
from gancli.text import Note, counted, few

MAGIC = (b"PK\x03\x04", b"PAR1")  # zip, Parquet
TAR, TAR_AT = b"ustar", 257
CHUNK = 1024  # pictures looked at in one go


@dataclass(frozen=True)
class Entrant:
    """`path`: of a checkpoint, with its `model`; or of pictures, without one."""

    path: Path
    model: Model | None = None


def entrant(place: Path) -> Entrant:
    """What lies at a place that a command line names. Raises `CheckpointError` for what is neither."""
    if holds_pictures(place):
        return Entrant(place)
    file = require_model_file(place)
    return Entrant(file, load_model(file))


def holds_pictures(place: Path) -> bool:
    """Whether a place stands for pictures rather than a model: a folder that is no run, an archive, an array, or a pattern
    of several files. False where that cannot be told: reading it as a checkpoint tells why."""
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
            return is_pattern(place) and bool(matching(place))
        with open_file(place) as file:
            head = file.read(TAR_AT + len(TAR))
        return head.startswith(MAGIC) or head[TAR_AT:] == TAR
    except (OSError, ValueError, GancliError):
        return False


def open_pictures(path: Path, like: Source, dataset: str, data_root: Path, fit: Fit, emit: Emit) -> Source:
    """Pictures of others as a source of the size, channels and, where they have classes of these names, labels of `like`,
    the data set called `dataset`. What had to be fitted is told, once. Raises `DataError` for what cannot be read, and
    `UsageError` for colours where `like` is grey."""
    try:
        source = _opened(path, like.spec.size, dataset, data_root, fit, emit)
    except DataError as error:
        words = str(error).removeprefix("--dataset ")
        more = "; nor is it a run directory" if path.is_dir() and "holds no images" in words else ""
        raise DataError(words + more) from error
    pixels = _channels(path, source.images, like.spec.channels, dataset, emit)
    labels, names = source.labels, source.class_names
    if names and like.class_names:
        found, note = _numbers(names, like.class_names, dataset)
        if note:
            emit(Warned(f"{path}: {note}"))
        labels, names = (torch.tensor(found)[labels], like.class_names) if found else (labels, ())
    return Source(source.name, pixels, labels, names if like.class_names else ())


def _opened(path: Path, size: int, dataset: str, data_root: Path, fit: Fit, emit: Emit) -> Source:
    """As `open_source`; with a word where pictures become another size."""
    word = f"./{path}" if str(path) in source_names() else str(path)

    def opened(image_size: int | None, emit: Emit) -> Source:
        return open_source(
            word, emit, data_root=data_root, image_size=image_size, download=False, on_bad_image="skip", fit=fit
        )

    if path.suffix.lower() in ARRAYS and path.is_file():
        events = list[Event]()  # passed on only if the file is not opened again, which gives them once more
        if (source := opened(None, events.append)).spec.size == size:
            for event in events:
                emit(event)
            return source
        had = f"{source.spec.size}×{source.spec.size} pixels"
    elif (seen := probe(word)) is None or (seen.square and seen.side == size):
        return opened(size, emit)
    else:
        had = f"{seen.side}×{seen.side} pixels" if seen.square else "of several sizes, or no squares"
    emit(Warned(f"{path}: its pictures are {had}: they are fitted to the {size}×{size} of {dataset}"))
    return opened(size, emit)


def _channels(path: Path, pixels: Tensor, channels: int, dataset: str, emit: Emit) -> Tensor:
    """Pictures in as many channels: grey ones three times over; grey ones that were saved in colour once."""
    own = pixels.shape[1]
    if own == channels:
        return pixels
    if channels == 3:
        emit(Warned(f"{path}: its pictures are grey, and those of {dataset} in colour: each is measured as a grey one"))
        return pixels.expand(-1, 3, -1, -1)
    parts = (pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK))
    if any(not torch.equal(some[:, :1].expand(-1, own, -1, -1), some) for some in parts):
        raise UsageError(
            f"{path}: its pictures are in colour, and those of {dataset} are grey: they cannot be compared"
        )
    emit(Warned(Note(f"{path}: its pictures are grey ones in three channels; one is taken")))
    return pixels[:, :1]


def _numbers(own: Sequence[str], known: Sequence[str], dataset: str) -> tuple[list[int], str]:
    """For each of their classes its number in the data set, or none where they are others; and what to tell of that."""
    found = renumbered(own, known)
    if None not in found:
        return [number for number in found if number is not None], ""
    if all(name.isdecimal() for name in own) and max(map(int, own)) < len(known):
        return [
            int(name) for name in own
        ], f"its labels, {few(own)}, are taken for the numbers of the classes of {dataset}"
    return [], f"its classes ({few(own)}) are not those of {dataset} ({few(known)}): measured without labels"


def check_count(path: Path, count: int, wanted: int) -> None:
    """Raises `UsageError` where there are fewer pictures than are measured."""
    if count < FEWEST:
        raise UsageError(f"{path}: holds {counted(count, 'picture')}, too few to measure with; {FEWEST} are the least")
    if count < wanted:
        raise UsageError(
            f"-n {wanted}: {path} holds {counted(count, 'picture')}; -n {count} measures with so many in each column"
        )


def chosen(source: Source, count: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """`count` of the pictures in their order, uint8 `[count, C, H, W]`, and their labels if there are any: all, or those
    that `seed` picks at random."""
    rng = torch.Generator().manual_seed(seed)
    picked = torch.randperm(len(source.images), generator=rng)[:count].sort().values
    return source.images[picked], source.labels[picked] if source.class_names else None
