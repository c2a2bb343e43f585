"""A folder or zip of images as a data set: decoded once, by all cores, and cached."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor

from gancli.data.cache import Cache
from gancli.data.decode import Head, decode, read_head, square
from gancli.data.listing import Entry, Listing
from gancli.data.source import Opening, Source
from gancli.errors import DataError
from gancli.events import Event, Preparing, Warned

DEFAULT_SIZE = 64
LARGEST_OWN_SIZE = 128
T = TypeVar("T")


def open_folder(path: Path, data_root: Path, image_size: int | None, on_bad: Literal["fail", "skip"]) -> Opening:
    """Open a folder or zip. Subfolders are classes, if every image lies in one.

    Images become RGB, or grey if all are. Each is cropped to its centre square and resized, antialiased, to `image_size`
    (None: see `common_size`). Raises `DataError` for a folder without images and, unless `on_bad` is "skip", for the
    first image that cannot be read.
    """
    name = path.name.removesuffix(".zip") or path.resolve().name
    with Listing(path) as listing:
        if not listing.entries:
            raise DataError(f"--dataset {path}: holds no images (.png .jpg .webp .bmp .gif .tif, also in subfolders)")
        content = [[e.name, *e.mark] for e in listing.entries]
        cache = Cache(data_root, name, [str(image_size), on_bad, content])
        if (cached := cache.load()) is None:
            yield from _decode_into(cache, listing, image_size, on_bad)
            cached = cache.load()
        if cached is None:  # the cache could not be kept
            images, labels = yield from _decoded(listing, image_size, on_bad, torch.empty)
            return Source(name, images, labels, listing.class_names)
    return Source(name, cached.images, cached.labels, cached.class_names, cached.mapped)


def common_size(heads: Sequence[Head]) -> int:
    """The size of images nobody chose a size for: their own if they are all equal squares of at most 128 px, else 64."""
    (head, count) = Counter((h.width, h.height) for h in heads).most_common(1)[0]
    own = head[0] == head[1] and head[0] <= LARGEST_OWN_SIZE and count == len(heads)
    return head[0] if own else DEFAULT_SIZE


def _decode_into(
    cache: Cache, listing: Listing, image_size: int | None, on_bad: Literal["fail", "skip"]
) -> Generator[Event, None, None]:
    """Decode into the cache. Where it cannot be written, say so and leave it."""
    try:
        images, labels = yield from _decoded(listing, image_size, on_bad, lambda *shape: cache.create(shape))
        cache.commit(images, labels, listing.class_names)
    except OSError as error:
        yield Warned(f"{cache.pixels.parent}: cannot be written ({error}); the data set is decoded anew each time")
    finally:
        cache.discard()


def _decoded(
    listing: Listing, image_size: int | None, on_bad: Literal["fail", "skip"], room: Callable[..., Tensor]
) -> Generator[Event, None, tuple[Tensor, Tensor]]:
    """All images and labels; `room(n, c, h, w)` gives the uint8 tensor to decode into."""
    bad: list[str] = []

    def head_of(entry: Entry) -> Head:
        return read_head(listing.read(entry), f"{listing.path}/{entry.name}")

    heads = yield from _each(head_of, listing.entries, "looking at images", on_bad, bad)
    if not heads:
        raise DataError(f"--dataset {listing.path}: none of its images can be read; the first: {bad[0]}")
    size = image_size or common_size([head for _, head in heads])
    grey = all(head.grey for _, head in heads)
    shape = (len(heads), 1 if grey else 3, size, size)
    images = torch.empty(shape, dtype=torch.uint8) if room is torch.empty else room(*shape)

    def pixels_of(entry: Entry) -> Tensor:
        image = decode(listing.read(entry), f"{listing.path}/{entry.name}").convert("L" if grey else "RGB")
        flat = torch.frombuffer(bytearray(square(image, size).tobytes()), dtype=torch.uint8)
        return flat.view(size, size, shape[1]).permute(2, 0, 1)

    kept = yield from _each(pixels_of, [entry for entry, _ in heads], "decoding images", on_bad, bad, images)
    if bad:
        yield Warned(f"{len(bad)} unreadable image(s) left out: {'; '.join(bad[:3])}{'; …' if len(bad) > 3 else ''}")
    if not kept:
        raise DataError(f"--dataset {listing.path}: none of its images can be decoded; the first: {bad[0]}")
    return images[: len(kept)], torch.tensor([entry.label for entry, _ in kept])


def _each(
    work: Callable[[Entry], T],
    entries: Sequence[Entry],
    what: str,
    on_bad: Literal["fail", "skip"],
    bad: list[str],
    into: Tensor | None = None,
) -> Generator[Event, None, list[tuple[Entry, T]]]:
    """`work` on every entry by all cores, in order, with progress; results, or rows of `into`, for those that went well.

    Threads serve: Pillow decodes and resizes outside the interpreter's lock.
    """
    done: list[tuple[Entry, T]] = []
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    todo = iter(entries)
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[tuple[Entry, Future[T]]] = []
        try:
            for index in range(len(entries)):
                waiting += [(entry, pool.submit(work, entry)) for entry in islice(todo, 4 * workers - len(waiting))]
                entry, future = waiting.pop(0)
                while not wait([future], 0.5, FIRST_COMPLETED).done:
                    yield Preparing(what, index, len(entries), "images")
                _take(entry, future, done, on_bad, bad, into)
                if index % 256 == 0 or index + 1 == len(entries):
                    yield Preparing(what, index + 1, len(entries), "images")
        finally:
            for _, future in waiting:
                future.cancel()
    return done


def _take(
    entry: Entry,
    future: "Future[T]",
    done: list[tuple[Entry, T]],
    on_bad: Literal["fail", "skip"],
    bad: list[str],
    into: Tensor | None,
) -> None:
    try:
        result = future.result()
    except DataError as error:
        if on_bad == "fail":
            raise DataError(f"{error}; --on-bad-image skip leaves such files out") from None
        bad.append(str(error))
        return
    if into is not None:
        assert isinstance(result, Tensor)
        into[len(done)] = result
        done.append((entry, None))  # type: ignore[arg-type]  # the row is in place
    else:
        done.append((entry, result))
