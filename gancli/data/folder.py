"""A folder or archive of images as a data set: decoded once, by all cores, and cached."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from gancli.data.arrange import Arranged
from gancli.data.cache import Cache
from gancli.data.decode import Head, add_remarks, decode_first, read_head, remarks
from gancli.data.fit import Fit, no_effect, square
from gancli.data.listing import OnBad, arranged, opened
from gancli.data.names import Split
from gancli.data.pace import PACE_S, Pace
from gancli.data.patterns import stem
from gancli.data.pictures import Contents, Pictures
from gancli.data.source import Source
from gancli.errors import DataError
from gancli.events import Emit, Preparing, Warned
from gancli.process import CPUS
from gancli.spec import ImageSpec
from gancli.text import counted

DEFAULT_SIZE = 64
SMALLEST, LARGEST_OWN_SIZE = 4, 128
HEAD_BYTES = 1 << 16
GROUP_BYTES, GROUP_ENTRIES = 1 << 18, 64  # decoded by one thread in one go: many small files, or one photograph
T = TypeVar("T")


def open_folder(
    path: Path,
    data_root: Path,
    image_size: int | None,
    on_bad: OnBad,
    split: Split,
    fit: Fit,
    fits: Callable[[ImageSpec], object] | None,
    emit: Emit,
) -> Source:
    """Open a folder, a zip, tars or Parquet files; `arrange.Arranger` says what its subfolders mean.

    Images become RGB, or grey if all are. Each becomes a square, as `fit` says, of `image_size` (None: see `common_size`).
    Raises `DataError` for a folder without images and, unless `on_bad` is "skip", for the first image that cannot be read.
    """
    name = stem(path.resolve())
    with opened(path, emit, on_bad == "skip") as pictures:
        chosen = arranged(pictures, split)
        marks = pictures.found.marks
        found = [chosen.class_names, [[name, label, *marks[name]] for name, label in chosen.labels.items()]]
        asked = [image_size, on_bad, *([fit] if fit != "crop" else []), *([pictures.column] if pictures.column else [])]
        cache = Cache(data_root, name, [asked, found], path.resolve())
        source = cache.load_source(name)
        if source is None:
            source = _decoded(name, pictures, chosen, cache, image_size, on_bad, fit, fits, emit)
    for note in (*pictures.notes(), *chosen.notes, *source.note.splitlines()):
        emit(Warned(note))
    return source


def common_size(sizes: Iterable[tuple[int, int]]) -> int:
    """The size of images nobody chose a size for: their own if they are all equal squares of 4 to 128 px, else 64."""
    distinct = set(sizes)
    width, height = next(iter(distinct))
    own = len(distinct) == 1 and width == height and SMALLEST <= width <= LARGEST_OWN_SIZE
    return width if own else DEFAULT_SIZE


@dataclass
class Bad:
    """The images that could not be read: the first ends it all, or they are counted. And those that something is to be told
    of, by what that is, and how many were in need of `fit`."""

    on_bad: OnBad
    fit: Fit = "crop"
    reasons: dict[str, str] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)
    not_square: list[str] = field(default_factory=list)

    def take(self, name: str, error: DataError) -> None:
        if self.on_bad == "fail":
            raise DataError(f"{error}; --on-bad-image skip leaves such files out") from None
        self.reasons[name] = str(error)

    def check(self, path: Path, num_read: int) -> None:
        """Raise `DataError` where no image could be read."""
        if not num_read:
            raise DataError(f"--dataset {path}: none of its images can be read; the first: {self._in_order()[0]}")

    def _in_order(self) -> list[str]:
        return [self.reasons[name] for name in sorted(self.reasons)]

    def note(self) -> str:
        """What to warn of each time the images are used, a line for each kind, in the order of names."""
        lines = []
        if reasons := self._in_order():
            more = "; …" if len(reasons) > 3 else ""
            lines.append(f"{counted(len(reasons), 'unreadable image')} left out: {'; '.join(reasons[:3])}{more}")
        told = {words: sorted(names) for words, names in self.told.items()}
        lines += remarks(dict(sorted(told.items(), key=lambda one: one[1][0])))
        if self.fit != "crop" and not self.not_square:
            lines.append(no_effect(self.fit))
        return "\n".join(lines)


def _decoded(
    dataset: str,
    pictures: Pictures,
    chosen: Arranged,
    cache: Cache,
    image_size: int | None,
    on_bad: OnBad,
    fit: Fit,
    fits: Callable[[ImageSpec], object] | None,
    emit: Emit,
) -> Source:
    """Decode everything, into the cache's file where it can be written, else into memory."""
    names = list(chosen.labels)
    size, channels = _size_and_channels(pictures, names, image_size, on_bad, emit)
    if fits is not None:
        fits(ImageSpec(channels, size, tuple(chosen.class_names)))
    bad, num_bytes = Bad(on_bad, fit), channels * size * size
    places = {name: slice(index * num_bytes, (index + 1) * num_bytes) for index, name in enumerate(names)}
    try:
        images, warning = cache.allocate((len(names), channels, size, size))
        if warning:
            emit(Warned(warning))

        def pixels(name: str, data: bytes) -> tuple[Tensor, tuple[str, ...]]:
            first = decode_first(data, pictures.where(name), size)
            picture = first.picture.convert("L" if channels == 1 else "RGB")
            if picture.width != picture.height:
                bad.not_square.append(name)
            flat = torch.frombuffer(bytearray(square(picture, size, fit).tobytes()), dtype=torch.uint8)
            return flat.view(size, size, channels).permute(2, 0, 1).flatten(), first.remarks

        what = f"decoding {pictures.path.name}"
        whole = decode_into(images.view(-1), places, pictures, what, pixels, bad, emit)
        labels = torch.tensor([chosen.labels[name] for name in whole])
        done = Source(dataset, images[: len(whole)], labels, tuple(chosen.class_names), note=bad.note())
        source, warning = cache.save_source(done)
        if warning:
            emit(Warned(warning))
        return source
    finally:
        cache.discard()


def _size_and_channels(
    pictures: Pictures, names: Sequence[str], image_size: int | None, on_bad: OnBad, emit: Emit
) -> tuple[int, int]:
    """From the headers, of no more images than it takes to decide."""
    sizes: set[tuple[int, int]] = set()
    colours: set[bool] = set()

    def take(_: str, found: Head) -> bool:
        sizes.add((found.width, found.height))
        colours.add(not found.grey)
        return (image_size is None and len(sizes) == 1) or True not in colours

    bad = Bad(on_bad)
    read_heads(pictures, names, f"looking at {pictures.path.name}", take, bad, emit)
    return image_size or common_size(sizes), 3 if True in colours else 1


def read_heads(
    pictures: Pictures, names: Sequence[str], what: str, take: Callable[[str, Head], bool], bad: Bad, emit: Emit
) -> None:
    """`take` the header of each image, as long as it says so. The beginning of a file nearly always has it. Raises
    `DataError` where none can be read."""
    unclear = list[str]()

    def head(name: str, data: bytes) -> Head:
        return read_head(data, pictures.where(name))

    beginnings = pictures.read(names, HEAD_BYTES)
    goes_on = each(head, beginnings, len(names), what, take, lambda name, _: unclear.append(name), emit)
    if goes_on and unclear:
        each(head, pictures.read(unclear), len(unclear), what, take, bad.take, emit)
    bad.check(pictures.path, len(names) - len(bad.reasons))


def decode_into(
    flat: Tensor,
    places: Mapping[str, slice],
    pictures: Pictures,
    what: str,
    pixels: Callable[[str, bytes], tuple[Tensor, tuple[str, ...]]],
    bad: Bad,
    emit: Emit,
) -> list[str]:
    """Decode pictures into their places, which lie end to end in `flat`, uint8 `[n]`. `pixels` gives the bytes of one, and
    what is to be told of it. Returns the names of those that could be read, whose bytes then lie end to end."""
    whole = set[str]()

    def take(name: str, found: tuple[Tensor, tuple[str, ...]]) -> bool:
        flat[places[name]], said = found
        whole.add(name)
        add_remarks(bad.told, said, name)
        return True

    each(pixels, pictures.read(places), len(places), what, take, bad.take, emit)
    bad.check(pictures.path, len(whole))
    names, filled = [name for name in places if name in whole], 0
    for name in names:
        begin, filled = filled, filled + places[name].stop - places[name].start
        if begin != places[name].start:  # a gap is before it
            flat[begin:filled] = flat[places[name]].clone()
    return names


def each(
    work: Callable[[str, bytes], T],
    contents: Contents,
    count: int,
    what: str,
    take: Callable[[str, T], bool],
    refuse: Callable[[str, DataError], object],
    emit: Emit,
) -> bool:
    """`take` the results of `work` on each of `count` files in their order, as long as it says so, with progress; `refuse`
    what cannot be read. Returns whether all were worked on.

    One thread reads ahead, the others work: Pillow decodes and resizes outside the interpreter's lock, and signals reach
    the main thread only.
    """
    closed = threading.Event()

    def next_group() -> list[tuple[str, bytes | DataError]]:
        group, num_bytes = list[tuple[str, bytes | DataError]](), 0
        while num_bytes < GROUP_BYTES and len(group) < GROUP_ENTRIES and not closed.is_set():
            if (item := next(contents, None)) is None:
                break
            group.append(item)
            num_bytes += len(item[1]) if isinstance(item[1], bytes) else 0
        return group

    def work_on(reading: "Future[list[tuple[str, bytes | DataError]]]") -> list[tuple[str, T | DataError]]:
        return [(name, _attempt(work, name, data)) for name, data in reading.result() if not closed.is_set()]

    workers, pace, done = len(CPUS), Pace(), 0
    waiting: deque[Future[list[tuple[str, T | DataError]]]] = deque()
    with (
        contextlib.closing(contents),
        ThreadPoolExecutor(1, initializer=_on_any_cpu) as reader,
        ThreadPoolExecutor(workers, initializer=_on_any_cpu) as pool,
    ):
        try:
            while True:
                while len(waiting) < 2 * workers:
                    waiting.append(pool.submit(work_on, reader.submit(next_group)))
                future = waiting.popleft()
                while not future.done() and not wait([future], PACE_S).done:
                    emit(Preparing(what, done, count, "images"))
                if not (results := future.result()):
                    return True
                for name, result in results:
                    if isinstance(result, DataError):
                        refuse(name, result)
                    elif not take(name, result):
                        return False
                    done += 1
                if pace.due() or done == count:
                    emit(Preparing(what, done, count, "images"))
        finally:
            closed.set()
            for future in waiting:
                future.cancel()


def _on_any_cpu() -> None:
    """Let this thread run on all of the process's CPUs, wherever its parent was tied to."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or some have been taken from the process meanwhile
        os.sched_setaffinity(0, CPUS)


def _attempt(work: Callable[[str, bytes], T], name: str, data: bytes | DataError) -> T | DataError:
    try:
        return data if isinstance(data, DataError) else work(name, data)
    except DataError as error:
        return error
