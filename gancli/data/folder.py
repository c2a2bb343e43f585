"""Images in a folder or archive as a dataset: decoded once, on all cores, and cached."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from gancli.data.cache import Cache
from gancli.data.dataset import Dataset
from gancli.data.decode import (
    Head,
    add_remarks,
    decode_image,
    make_square,
    no_effect,
    read_head,
    remark_messages,
)
from gancli.data.image_files import Contents, ImageFiles
from gancli.data.layout import Layout, find_layout
from gancli.data.listing import open_image_files
from gancli.data.options import CropMode, DatasetOptions, OnBad
from gancli.data.patterns import dataset_stem
from gancli.errors import DataError
from gancli.events import Emit, Preparing, RateLimiter, Warned
from gancli.images import from_pil
from gancli.process import CPUS
from gancli.spec import ImageSpec
from gancli.text import counted

DEFAULT_SIZE = 64
SMALLEST, LARGEST_OWN_SIZE = 4, 128
HEAD_BYTES = 1 << 16
GROUP_BYTES, GROUP_ENTRIES = 1 << 18, 64  # decoded by one thread at a time: many small files, or one photograph
T = TypeVar("T")


def open_folder(path: Path, options: DatasetOptions, emit: Emit, shards: Sequence[Path] = ()) -> Dataset:
    """Open a folder, a zip, tars or Parquet files, with the classes that `layout.find_layout` finds.

    Images become RGB, or grey if all are, and squares of `image_size` (None: see `common_size`). `shards`: see
    `open_image_files`. Raises `DataError` for a folder without images and, unless `on_bad_image` is "skip", for the first
    image that cannot be read.
    """
    name = dataset_stem(path.resolve())
    size, on_bad, fit = options.image_size, options.on_bad_image, options.fit
    with open_image_files(path, emit, on_bad == "skip", shards=shards, selection=options.selection) as pictures:
        pictures.check_columns(options.selection)
        chosen = find_layout(pictures, options.split)
        marks = pictures.found.marks
        found = [chosen.class_names, [[name, label, *marks[name]] for name, label in chosen.labels.items()]]
        column = [pictures.column] if pictures.column else []
        content = [[size, on_bad, *([fit] if fit != "crop" else []), *column], found]
        cache = Cache(options.data_root, name, content, path.resolve(), emit)
        source = cache.load_source(name)
        if source is None:
            source = _decoded(name, pictures, chosen, cache, options, emit)
    for note in (*pictures.notes(), *chosen.notes, *source.note.splitlines()):
        emit(Warned(note))
    return source


def common_size(sizes: Iterable[tuple[int, int]]) -> int:
    """Return the default size of a dataset: that of its images if they are equal squares of 4 to 128 px, else 64."""
    distinct = set(sizes)
    width, height = next(iter(distinct))
    own = len(distinct) == 1 and width == height and SMALLEST <= width <= LARGEST_OWN_SIZE
    return width if own else DEFAULT_SIZE


@dataclass
class DecodingReport:
    """What is reported of the images of a dataset. `unreadable`: the problems by name; `remarks`: names by remark;
    `has_effect`: whether an image was not square, so that `fit` matters."""

    on_bad: OnBad
    fit: CropMode = "crop"
    unreadable: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    has_effect: bool = False

    def add_unreadable(self, name: str, error: DataError) -> None:
        """Raises `DataError` unless unreadable images are skipped."""
        if self.on_bad == "fail":
            raise DataError(f"{error}; --on-bad-image skip leaves such files out") from None
        self.unreadable[name] = str(error)

    def check(self, path: Path, num_readable: int) -> None:
        """Raises `DataError` if no image could be read."""
        if not num_readable:
            first = self.unreadable[min(self.unreadable)]
            raise DataError(f"--dataset {path}: none of its images can be read; the first: {first}")

    def note(self) -> str:
        """Return the warnings, a line each. They are repeated whenever the cached images are used."""
        lines = []
        if problems := [self.unreadable[name] for name in sorted(self.unreadable)]:
            more = "; …" if len(problems) > 3 else ""
            lines.append(f"{counted(len(problems), 'unreadable image')} left out: {'; '.join(problems[:3])}{more}")
        named = {remark: sorted(names) for remark, names in self.remarks.items()}
        lines += remark_messages(dict(sorted(named.items(), key=lambda item: item[1][0])))
        if self.fit != "crop" and not self.has_effect:
            lines.append(no_effect(self.fit))
        return "\n".join(lines)


def _decoded(
    dataset: str,
    pictures: ImageFiles,
    chosen: Layout,
    cache: Cache,
    options: DatasetOptions,
    emit: Emit,
) -> Dataset:
    """Decode all images into the cache."""
    names, report = list(chosen.labels), DecodingReport(options.on_bad_image, options.fit)
    size, channels = _size_and_channels(pictures, names, options.image_size, report.on_bad, emit)
    if options.check_spec is not None:
        options.check_spec(ImageSpec(channels, size, tuple(chosen.class_names)))

    def finish(image: Image.Image, _: str) -> Tensor:
        report.has_effect |= image.width != image.height
        return from_pil(make_square(image, size, report.fit)).flatten()

    with cache.allocate((len(names), channels, size, size)) as images:
        lengths = dict.fromkeys(names, channels * size * size)
        decoded = decode_into(images.view(-1), lengths, pictures, channels, size, finish, report, emit)
        labels = torch.tensor([chosen.labels[name] for name in decoded])
        class_names = tuple(chosen.class_names)
        return cache.save_source(Dataset(dataset, images[: len(decoded)], labels, class_names, note=report.note()))


def _size_and_channels(
    pictures: ImageFiles, names: Sequence[str], image_size: int | None, on_bad: OnBad, emit: Emit
) -> tuple[int, int]:
    """Return them from the headers of no more images than necessary."""
    sizes, channels = set[tuple[int, int]](), 1
    with contextlib.closing(read_heads(pictures, names, DecodingReport(on_bad), emit)) as heads:
        for _, head in heads:
            sizes.add((head.width, head.height))
            channels = channels if head.grey else 3
            if channels == 3 and (image_size is not None or len(sizes) > 1):
                break
    return image_size or common_size(sizes), channels


def read_heads(
    pictures: ImageFiles, names: Sequence[str], report: DecodingReport, emit: Emit
) -> Generator[tuple[str, Head], None, None]:
    """Yield the header of each image: from the beginning of its file, else from the whole file. Raises `DataError` if none
    can be read."""
    unclear, what = list[str](), f"reading the headers of {pictures.path.name}"

    def head(name: str, data: bytes) -> Head:
        return read_head(data, pictures.where(name))

    for name, found in map_files(head, pictures.read(names, HEAD_BYTES), len(names), what, emit):
        if isinstance(found, DataError):
            unclear.append(name)
        else:
            yield name, found
    for name, found in map_files(head, pictures.read(unclear), len(unclear), what, emit) if unclear else ():
        if isinstance(found, DataError):
            report.add_unreadable(name, found)
        else:
            yield name, found
    report.check(pictures.path, len(names) - len(report.unreadable))


def decode_into(
    flat: Tensor,
    lengths: Mapping[str, int],
    pictures: ImageFiles,
    channels: int,
    size: int | None,
    finish: Callable[[Image.Image, str], Tensor],
    report: DecodingReport,
    emit: Emit,
) -> list[str]:
    """Decode images end to end into `flat`, uint8 `[n]`. `lengths`: the bytes of each; `size`: see `decode`; `finish`
    returns the pixels of an image, uint8. Returns the names of the readable ones, in the order of `lengths` and their bytes.
    """
    begins = dict(zip(lengths, accumulate(lengths.values(), initial=0), strict=False))

    def pixels(name: str, data: bytes) -> tuple[Tensor, tuple[str, ...]]:
        first = decode_image(data, pictures.where(name), size)
        return finish(first.image.convert("L" if channels == 1 else "RGB"), name), first.remarks

    readable, what = set[str](), f"decoding {pictures.path.name}"
    for name, result in map_files(pixels, pictures.read(lengths), len(lengths), what, emit):
        if isinstance(result, DataError):
            report.add_unreadable(name, result)
            continue
        flat[begins[name] : begins[name] + lengths[name]] = result[0]
        add_remarks(report.remarks, result[1], name)
        readable.add(name)
    report.check(pictures.path, len(readable))
    names, end = [name for name in lengths if name in readable], 0
    for name in names:
        begin, end = end, end + lengths[name]
        if begin != begins[name]:  # an unreadable image left a gap
            flat[begin:end] = flat[begins[name] : begins[name] + lengths[name]].clone()
    return names


def map_files(
    work: Callable[[str, bytes], T], contents: Contents, count: int, what: str, emit: Emit
) -> Iterator[tuple[str, T | DataError]]:
    """Yield the results of `work` for `count` files in their order, with progress `what`; for an unreadable one its error.

    This thread reads, the others work: Pillow decodes and resizes without the interpreter's lock.
    """
    pending, pace, done = deque[Future[list[tuple[str, T | DataError]]]](), RateLimiter(), 0
    groups = _groups(contents)
    with contextlib.closing(contents), ThreadPoolExecutor(len(CPUS), initializer=_on_any_cpu) as pool:
        try:
            while True:
                while len(pending) < 2 * len(CPUS) and (group := next(groups, None)) is not None:
                    pending.append(pool.submit(_work_on, work, group))
                if not pending:
                    return
                future = pending.popleft()
                while not wait([future], pace.every_s).done:
                    emit(Preparing(what, done, count, "images"))
                results = future.result()
                yield from results
                done += len(results)
                if pace.due() or done == count:
                    emit(Preparing(what, done, count, "images"))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _groups(contents: Contents) -> Iterator[list[tuple[str, bytes | DataError]]]:
    group, num_bytes = list[tuple[str, bytes | DataError]](), 0
    for name, data in contents:
        group.append((name, data))
        num_bytes += len(data) if isinstance(data, bytes) else 0
        if num_bytes >= GROUP_BYTES or len(group) >= GROUP_ENTRIES:
            yield group
            group, num_bytes = [], 0
    if group:
        yield group


def _work_on(
    work: Callable[[str, bytes], T], group: Iterable[tuple[str, bytes | DataError]]
) -> list[tuple[str, T | DataError]]:
    results = list[tuple[str, T | DataError]]()
    for name, data in group:
        try:
            results.append((name, data if isinstance(data, DataError) else work(name, data)))
        except DataError as error:
            results.append((name, error))
    return results


def _on_any_cpu() -> None:
    """Let this thread run on all CPUs of the process, whichever its parent was tied to."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or some have been taken from the process meanwhile
        os.sched_setaffinity(0, CPUS)
