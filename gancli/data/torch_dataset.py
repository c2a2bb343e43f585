"""Images of a dataset object of Python: a `torch.utils.data.Dataset` or any other map-style one."""

import contextlib
import dataclasses
import math
import operator
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Subset

from gancli.data.cache import Cache, is_too_large
from gancli.data.dataset import Dataset
from gancli.data.dataset_object import DatasetObject
from gancli.data.decode import add_remarks, eight_bit, make_square
from gancli.data.folder import DEFAULT_SIZE, DecodingReport, common_size
from gancli.data.label_files import MAX_CLASSES, MAX_LABEL, check_label
from gancli.data.listing import NUM_PROBED, Probe
from gancli.data.options import CropMode, DatasetOptions, OnBad
from gancli.errors import DataError
from gancli.events import Emit, Preparing, RateLimiter, Warned, ignore
from gancli.images import from_pil, to_pil
from gancli.text import Note, printable

IMAGE_KEYS, LABEL_KEYS = ("image", "img"), ("label", "labels", "fine_label")  # of items that are dicts
ROUNDING = 1e-3  # by which a resized float image may exceed its range
UNLABELLED = -1


class _ReadAgainError(Exception):
    """An item shows that the reader's assumptions were wrong; they have been corrected."""


def open_dataset_object(source: DatasetObject, options: DatasetOptions, emit: Emit) -> Dataset:
    """Open a dataset object, with images and classes as of a folder. It is decoded once per process and, if it has a
    fingerprint, once into the cache; else into memory, or a temporary file if it is too large for that.

    Raises `DataError` that names the index of an item that is no image, has no label where others have one, or raises.
    """
    key = (options.image_size, options.on_bad_image, options.fit)
    if key not in source.opened:
        content = ["python", str(source), source.num_items, _class_names(source.value), *key]
        cache = Cache(options.data_root, type(source.value).__name__, content, str(source), emit)
        found = cache.load_source(str(source)) if source.fingerprint else None
        source.opened[key] = found or _decoded(source, *key, cache, emit)
    opened: Dataset = source.opened[key]
    for line in opened.note.splitlines():
        emit(Warned(line))
    return opened


def probe(source: DatasetObject) -> Probe | None:
    """Return what the first items are like; None if they cannot be read, which opening reports."""
    read, some = _Reader(source, "skip", ignore), list[Image.Image]()
    for index in range(min(NUM_PROBED, source.num_items)):
        with contextlib.suppress(DataError):
            content, _ = read.item(index)
            try:
                some.append(read.image(index, content))
            except _ReadAgainError:  # -1 is black
                some.append(read.image(index, content))
    if not some:
        return None
    sizes = {image.size for image in some}
    width, height = some[0].size
    square = len(sizes) == 1 and width == height
    return Probe(any(image.mode == "RGB" for image in some), width if square else min(map(min, sizes)), square)


def read_photographs(source: DatasetObject, on_bad: OnBad, emit: Emit) -> tuple[Tensor, Tensor, int, str]:
    """Return the images in their own sizes, end to end in memory (uint8 `[sum of H·W·C]`), their heights and widths (int64
    `[N, 2]`), the number of channels, and warnings, a line each."""
    read = _Reader(source, on_bad, emit)
    while True:
        flat, sizes = bytearray(), list[tuple[int, int]]()
        with contextlib.suppress(_ReadAgainError):
            for image, _ in read.all():
                flat += image.tobytes()
                sizes.append((image.height, image.width))
            read.emit_range()
            return torch.frombuffer(flat, dtype=torch.uint8), torch.tensor(sizes), read.channels, read.report.note()


def _decoded(
    source: DatasetObject, image_size: int | None, on_bad: OnBad, fit: CropMode, cache: Cache, emit: Emit
) -> Dataset:
    read = _Reader(source, on_bad, emit, fit)
    first = read.first_size()
    size, own = image_size or common_size([first]), first if image_size is None else None
    while True:
        shape = (source.num_items, read.channels, size, size)
        is_kept = bool(source.fingerprint) or is_too_large(math.prod(shape))
        allocated = cache.allocate(shape) if is_kept else contextlib.nullcontext(torch.empty(shape, dtype=torch.uint8))
        with contextlib.suppress(_ReadAgainError), allocated as images:
            labels = list[int]()
            for image, label in read.all():
                if own not in (None, image.size) and size != DEFAULT_SIZE:  # the first one's size is not that of all
                    size, own = DEFAULT_SIZE, None
                    raise _ReadAgainError
                read.report.has_effect |= image.width != image.height
                images[len(labels)] = from_pil(make_square(image, size, fit))
                labels.append(label)
            numbers, class_names = _classes(source, labels)
            read.emit_range()
            found = Dataset(str(source), images[: len(labels)], numbers, class_names, note=read.report.note())
            if source.fingerprint:
                return cache.save_source(found)
            # A map outlives its temporary file. Like one of the cache, it is too large to be copied.
            return dataclasses.replace(found, mapped_file=cache.description if is_kept else None)


class _Reader:
    """Reads the items in their order. `black`: the darkest float value, 0 or, once an item is negative, -1; `channels`: 1
    until an image is in colour; `report`: of the current pass."""

    def __init__(self, source: DatasetObject, on_bad: OnBad, emit: Emit, fit: CropMode = "crop") -> None:
        self._source, self._on_bad, self._emit, self._fit = source, on_bad, emit, fit
        self._class_names = _class_names(source.value)
        self._first_array: tuple[int, int] | None = None  # index and channels of the first tensor or array
        self._is_labelled: tuple[int, bool] | None = None  # by the item of that index
        self.black, self.channels, self.has_floats = 0, 1, False
        self.report = DecodingReport(on_bad, fit)

    def emit_range(self) -> None:
        """Emit a note about the range of float images, if there are any."""
        if self.has_floats:
            line = f"{self._source}: float values are read as {self.black} (black) to 1 (white), in 8 bits"
            self._emit(Warned(Note(line)))

    def first_size(self) -> tuple[int, int]:
        """Return the size of the first readable image in pixels, and find its `channels`. Raises `DataError`."""
        while True:
            with contextlib.suppress(_ReadAgainError):
                return next(self.all())[0].size

    def all(self) -> Iterator[tuple[Image.Image, int]]:
        """Yield each readable image, of mode L or RGB as `channels` says, and its label, or `UNLABELLED`. Raises `DataError`
        for what `item`, `image` and `label` do, and if nothing can be read."""
        count, pace = self._source.num_items, RateLimiter()
        self.report = DecodingReport(self._on_bad, self._fit)
        for index in range(count):
            try:
                content, given = self.item(index)
                image = self.image(index, content)
            except DataError as error:
                self._leave_out(index, error)
                continue
            if image.mode == "RGB" and self.channels == 1:
                self.channels = 3
                raise _ReadAgainError
            yield image.convert("L" if self.channels == 1 else "RGB"), self.label(index, given)
            if pace.due() or index + 1 == count:
                self._emit(Preparing(f"reading {self._source}", index + 1, count, "images"))
        if len(self.report.unreadable) == count:
            first = self.report.unreadable[min(self.report.unreadable)]
            raise DataError(f"--dataset {self._source}: none of its items can be read; the first: {first}")

    def _leave_out(self, index: int, error: DataError) -> None:
        if self._on_bad == "fail":
            raise DataError(f'{error}; on_bad_image="skip" leaves such items out') from error.__cause__
        self.report.add_unreadable(f"{index:012}", error)

    def _where(self, index: int) -> str:
        return f"{self._source}: item {index}"

    def item(self, index: int) -> tuple[object, object]:
        """Return the image of an item and its label, or None. Raises `DataError`."""
        try:
            item = self._source.value[index]
        except Exception as error:  # of the user's own code
            raise DataError(f"{self._where(index)}: cannot be read ({_described(error)})") from error
        if isinstance(item, Mapping):
            key = next((key for key in IMAGE_KEYS if key in item), None)
            if key is None:
                keys = ", ".join(map(str, item))[:100] or "nothing"
                raise DataError(f"{self._where(index)}: has {keys}, and must have the key image (and label)")
            return item[key], next((item[key] for key in LABEL_KEYS if key in item), None)
        if not isinstance(item, tuple | list):
            return item, None
        if len(item) not in (1, 2):
            raise DataError(
                f"{self._where(index)}: has {len(item)} parts, and must be an image, or an image and a label"
            )
        return item[0], item[1] if len(item) == 2 else None

    def image(self, index: int, content: object) -> Image.Image:
        """Return the image of an item in mode L or RGB. Raises `DataError` for what is no image."""
        try:
            if isinstance(content, Image.Image):
                decoded = eight_bit(content)
                add_remarks(self.report.remarks, decoded.remarks, f"item {index}")
                return decoded.image
            if isinstance(content, Tensor):
                return to_pil(self._pixels(index, content.detach().cpu().as_subclass(Tensor)))
            if isinstance(content, np.ndarray):
                # A copy, as a view of another order or a read-only array is not what torch takes.
                values = torch.from_numpy(np.array(content, order="C"))
                if values.dim() == 3 and values.shape[2] in (1, 3):
                    values = values.permute(2, 0, 1)
                return to_pil(self._pixels(index, values))
        except (DataError, _ReadAgainError):
            raise
        except Exception as error:  # of Pillow for a damaged file, of numpy for an odd type
            raise DataError(f"{self._where(index)}: cannot be read ({_described(error)})") from error
        raise DataError(
            f"{self._where(index)}: is {type(content).__name__}, and must be a Pillow image, a tensor [C, H, W] or an array"
        )

    def _pixels(self, index: int, values: Tensor) -> Tensor:
        """Return an image as uint8 `[C, H, W]`. Raises `DataError` for another shape, type or range of values."""
        where, shape = self._where(index), list(values.shape)
        values = values[None] if values.dim() == 2 else values
        if values.dim() != 3 or values.shape[0] not in (1, 3) or not values.numel():
            raise DataError(f"{where}: has the shape {shape}, and must be [C, H, W] with 1 or 3 channels, or [H, W]")
        first, channels = self._first_array or (index, values.shape[0])
        self._first_array = first, channels
        if values.shape[0] != channels:
            raise DataError(f"{where}: has {values.shape[0]} channels, and item {first} has {channels}")
        if values.dtype == torch.uint8:
            return values
        if not values.dtype.is_floating_point:
            name = str(values.dtype).removeprefix("torch.")
            raise DataError(f"{where}: is {name}, and must be uint8 (0 to 255) or float (0 to 1, or -1 to 1)")
        values = values.float()
        if not values.isfinite().all():
            raise DataError(f"{where}: has values that are NaN or infinite")
        low, high = float(values.min()), float(values.max())
        if low < -1 - ROUNDING or high > 1 + ROUNDING:
            raise DataError(
                f"{where}: has float values from {low:.3g} to {high:.3g}; scale them to 0 to 1, or to -1 to 1 (as "
                "Normalize(0.5, 0.5) does)"
            )
        self.has_floats = True
        if low < -ROUNDING and self.black == 0:
            self.black = -1
            raise _ReadAgainError
        return ((values - self.black) * (255 / (1 - self.black))).round_().clamp_(0, 255).to(torch.uint8)

    def label(self, index: int, given: object) -> int:
        """Return a label as it is, or `UNLABELLED` for None. Raises `DataError`."""
        first, is_labelled = self._is_labelled or (index, given is not None)
        self._is_labelled = first, is_labelled
        if is_labelled != (given is not None):
            has, not_has = (first, index) if is_labelled else (index, first)
            raise DataError(f"{self._where(not_has)}: has no label, and item {has} has one")
        if given is None:
            return UNLABELLED
        try:
            label = operator.index(given)  # type: ignore[arg-type]  # raises for what is no int, also in arrays
        except Exception:
            shown = printable(" ".join(repr(given).split()))[:50]
            raise DataError(f"{self._where(index)}: its label is {shown}, and must be an int") from None
        limit = len(self._class_names) or MAX_LABEL
        if not 0 <= label < limit:
            names = f" of the {limit} classes in .classes" if self._class_names else ""
            raise DataError(f"{self._where(index)}: its label {label} is not from 0 to {limit - 1}{names}")
        return label


def _described(error: Exception) -> str:
    return printable(" ".join(f"{type(error).__name__}: {error}".split()))[:200].removesuffix(": ")


def _class_names(value: Any) -> list[str]:
    """Return the names of all classes, from `classes` (torchvision) or `features` (Hugging Face), also of the dataset that
    a `Subset` is of; none if there are none, or if they are not different names of one line."""
    features = getattr(value, "features", None)
    given = getattr(value, "classes", None)
    if isinstance(features, Mapping):
        given = next((getattr(features[key], "names", None) for key in LABEL_KEYS if key in features), given)
    if isinstance(value, Subset):
        return _class_names(value.dataset)
    if not isinstance(given, list | tuple):
        return []
    try:  # ImageNet has several names a class
        names = [str(check_label(", ".join(name) if isinstance(name, tuple) else name)) for name in given]
    except (TypeError, ValueError):
        return []
    return names if len(set(names)) == len(names) else []


def _classes(source: DatasetObject, labels: list[int]) -> tuple[Tensor, tuple[str, ...]]:
    """Return the numbers of the classes that have images, int64 `[N]` from 0 on, and their names: as given, or their
    labels. A single class is none."""
    distinct, numbers = np.unique(np.array(labels), return_inverse=True)
    if len(distinct) > MAX_CLASSES:
        raise DataError(f"--dataset {source}: {len(distinct)} classes are over the limit of {MAX_CLASSES}")
    if len(distinct) < 2:
        return torch.zeros(len(labels), dtype=torch.int64), ()
    given = _class_names(source.value)
    return torch.from_numpy(numbers.astype(np.int64)), tuple(
        given[label] if given else str(label) for label in distinct.tolist()
    )
