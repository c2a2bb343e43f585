"""A folder or archive of images as a data set: decoded once, by all cores, and cached."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from gancli.data.cache import Cache
from gancli.data.decode import Head, add_remarks, decode_first, read_head, remarks
from gancli.data.fit import Fit, no_effect, square
from gancli.data.listing import Entry, Listing, OnBad, listed
from gancli.data.names import Split
from gancli.data.pace import PACE_S, Pace
from gancli.data.patterns import stem
from gancli.data.source import Opening, Source
from gancli.data.spec import ImageSpec
from gancli.errors import DataError
from gancli.events import Event, Preparing, Warned
from gancli.process import CPUS
from gancli.text import counted

DEFAULT_SIZE = 64
SMALLEST, LARGEST_OWN_SIZE = 4, 128
HEAD_BYTES = 1 << 16
GROUP_BYTES, GROUP_ENTRIES = 1 << 18, 64  # read and decoded by one thread in one go
T = TypeVar("T")


def open_folder(
    path: Path,
    data_root: Path,
    image_size: int | None,
    on_bad: OnBad,
    split: Split = "train",
    fit: Fit = "crop",
    fits: Callable[[ImageSpec], object] | None = None,
) -> Opening:
    """Open a folder, a zip, tars or Parquet files; `arrange.Arranger` says what its subfolders mean.

    Images become RGB, or grey if all are. Each becomes a square, as `fit` says, of `image_size` (None: see `common_size`).
    Raises `DataError` for a folder without images and, unless `on_bad` is "skip", for the first image that cannot be read.
    """
    name = stem(path.resolve())
    with (yield from listed(path, split, on_bad)) as listing:
        content = [[entry.name, entry.label, *entry.mark] for entry in listing.entries]
        found = [listing.class_names, content]
        asked = [image_size, on_bad, *([fit] if fit != "crop" else [])]
        cache = Cache(data_root, name, [asked, found], path.resolve())
        source = cache.load_source(name) or (yield from _decoded(name, listing, cache, image_size, on_bad, fit, fits))
    for note in (*listing.notes, *source.note.splitlines()):
        yield Warned(note)
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
    of, by what that is, and whether any was in need of `fit`."""

    on_bad: OnBad
    fit: Fit = "crop"
    all_square: bool = True
    reasons: list[str] = field(default_factory=list)
    told: dict[str, list[str]] = field(default_factory=dict)

    def take(self, error: DataError) -> None:
        if self.on_bad == "fail":
            raise DataError(f"{error}; --on-bad-image skip leaves such files out") from None
        self.reasons.append(str(error))

    def note(self) -> str:
        """What to warn of each time the images are used, a line for each kind."""
        lines = []
        if self.reasons:
            more = "; …" if len(self.reasons) > 3 else ""
            lines.append(
                f"{counted(len(self.reasons), 'unreadable image')} left out: {'; '.join(self.reasons[:3])}{more}"
            )
        lines += remarks(self.told)
        if self.fit != "crop" and self.all_square:
            lines.append(no_effect(self.fit))
        return "\n".join(lines)


def _decoded(
    name: str,
    listing: Listing,
    cache: Cache,
    image_size: int | None,
    on_bad: OnBad,
    fit: Fit,
    fits: Callable[[ImageSpec], object] | None,
) -> Opening:
    """Decode everything, into the cache's file where it can be written, else into memory."""
    yield from listing.ready(cache.folder)
    size, channels = yield from _size_and_channels(listing, image_size, on_bad)
    if fits is not None:
        fits(ImageSpec(channels, size, tuple(listing.class_names)))
    shape, bad, labels = (len(listing.entries), channels, size, size), Bad(on_bad, fit), list[int]()
    try:
        images, warning = cache.allocate(shape)
        if warning:
            yield Warned(warning)

        def pixels(entry: Entry) -> tuple[Tensor, tuple[str, ...], bool]:
            first = decode_first(listing.read(entry), listing.where(entry), size)
            picture = first.picture.convert("L" if channels == 1 else "RGB")
            flat = torch.frombuffer(bytearray(square(picture, size, fit).tobytes()), dtype=torch.uint8)
            return flat.view(size, size, channels).permute(2, 0, 1), first.remarks, picture.width == picture.height

        def take(entry: Entry, one: tuple[Tensor, tuple[str, ...], bool]) -> bool:
            images[len(labels)], said, is_square = one
            bad.all_square &= is_square
            labels.append(entry.label)
            add_remarks(bad.told, said, entry.name)
            return True

        yield from each(pixels, listing.entries, f"decoding {listing.path.name}", take, bad)
        if not labels:
            raise DataError(f"--dataset {listing.path}: none of its images can be read; the first: {bad.reasons[0]}")
        done = Source(name, images[: len(labels)], torch.tensor(labels), tuple(listing.class_names), note=bad.note())
        source, warning = cache.save_source(done)
        if warning:
            yield Warned(warning)
        return source
    finally:
        cache.discard()


def _size_and_channels(
    listing: Listing, image_size: int | None, on_bad: OnBad
) -> Generator[Event, None, tuple[int, int]]:
    """From the headers, of no more images than it takes to decide."""
    sizes: set[tuple[int, int]] = set()
    colours: set[bool] = set()

    def take(_: Entry, found: Head) -> bool:
        sizes.add((found.width, found.height))
        colours.add(not found.grey)
        return (image_size is None and len(sizes) == 1) or True not in colours

    bad = Bad(on_bad)
    yield from each(partial(head_of, listing), listing.entries, f"looking at {listing.path.name}", take, bad)
    if not sizes:
        raise DataError(f"--dataset {listing.path}: none of its images can be read; the first: {bad.reasons[0]}")
    return image_size or common_size(sizes), 3 if True in colours else 1


def head_of(listing: Listing, entry: Entry) -> Head:
    """The header of a listed image, of which the beginning nearly always does. Raises `DataError` naming it."""
    try:
        return read_head(listing.read(entry, HEAD_BYTES), listing.where(entry))
    except DataError:
        return read_head(listing.read(entry), listing.where(entry))


def each(
    work: Callable[[Entry], T], entries: Sequence[Entry], what: str, take: Callable[[Entry, T], bool], bad: Bad
) -> Generator[Event, None, None]:
    """`take` the results of `work` in order, as long as it says so, with progress.

    Threads serve: Pillow decodes and resizes outside the interpreter's lock, and signals reach the main thread only.
    """

    closed = threading.Event()

    def work_on(group: Sequence[Entry]) -> list[tuple[Entry, T | DataError]]:
        return [(entry, _attempt(work, entry)) for entry in group if not closed.is_set()]

    workers = len(CPUS)
    pace, done, todo = Pace(), 0, _groups(entries)
    waiting: deque[Future[list[tuple[Entry, T | DataError]]]] = deque()
    with ThreadPoolExecutor(workers, initializer=_on_any_cpu) as pool:
        try:
            while True:
                waiting.extend(pool.submit(work_on, group) for group in islice(todo, 4 * workers - len(waiting)))
                if not waiting:
                    break
                future = waiting.popleft()
                while not future.done() and not wait([future], PACE_S).done:
                    yield Preparing(what, done, len(entries), "images")
                for entry, result in future.result():
                    if isinstance(result, DataError):
                        bad.take(result)
                    elif not take(entry, result):
                        return
                    done += 1
                if pace.due() or done == len(entries):
                    yield Preparing(what, done, len(entries), "images")
        finally:
            closed.set()
            for future in waiting:
                future.cancel()


def _on_any_cpu() -> None:
    """Let this thread run on all of the process's CPUs, wherever its parent was tied to."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or some have been taken from the process meanwhile
        os.sched_setaffinity(0, CPUS)


def _attempt(work: Callable[[Entry], T], entry: Entry) -> T | DataError:
    try:
        return work(entry)
    except DataError as error:
        return error


def _groups(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Neighbours to be worked on in one go: many small files, or one photograph."""
    start = num_bytes = 0
    for index, entry in enumerate(entries):
        num_bytes += entry.mark[0]
        if num_bytes >= GROUP_BYTES or index + 1 - start == GROUP_ENTRIES:
            yield entries[start : index + 1]
            start, num_bytes = index + 1, 0
    if start < len(entries):
        yield entries[start:]
