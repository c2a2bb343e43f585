"""Photographs of mixed sizes, for models that read low-resolution pictures: decoded once, end to end in one tensor."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from gancli.data import drawn, fingerprint, hub
from gancli.data.cache import Cache
from gancli.data.decode import Head, decode_first
from gancli.data.folder import Bad, decode_into, read_heads
from gancli.data.listing import OnBad, arranged, opened
from gancli.data.names import ARRAYS, DRAWN, source_names
from gancli.data.opening import existing, open_source
from gancli.data.patterns import stem
from gancli.data.pictures import Pictures
from gancli.data.selection import WHOLE, Selection
from gancli.errors import DataError, UsageError
from gancli.events import Emit, Warned
from gancli.files.hub import is_reference
from gancli.spec import ImageSpec
from gancli.text import counted

DEFAULT_CROP = 96  # pixels: Ledig et al. 2017, section 3.2


@dataclass(frozen=True)
class Photographs:
    """Pictures of any sizes. `pixels`: uint8 `[sum of H·W·C]`, each picture as `[H, W, C]`; picture i begins at
    `offsets[i]` and measures `heights[i]` by `widths[i]` (int64 `[N]`). `crop`: side of the training crops, in pixels."""

    name: str
    pixels: Tensor
    offsets: Tensor
    heights: Tensor
    widths: Tensor
    channels: int
    crop: int
    mapped_file: Path | None = None  # see `cache.PixelArray`
    digest: str = ""  # of the pixels, where it is known

    @cached_property
    def fingerprint(self) -> str:
        """What a resume knows these pictures by, wherever they lie."""
        pixels = self.digest or fingerprint.digest(self.pixels)
        return fingerprint.fingerprint(pixels, [self.offsets, self.heights, self.widths], ())

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(self.channels, self.crop)

    @property
    def num_images(self) -> int:
        return len(self.offsets)

    @property
    def num_bytes(self) -> int:
        return self.pixels.numel()

    def picture(self, index: int) -> Tensor:
        """One whole picture: uint8 `[C, H, W]`."""
        height, width = int(self.heights[index]), int(self.widths[index])
        start = int(self.offsets[index])
        flat = self.pixels[start : start + height * width * self.channels]
        return flat.view(height, width, self.channels).permute(2, 0, 1)


def open_photographs(
    dataset: str,
    emit: Emit,
    *,
    data_root: Path,
    image_size: int | None,
    download: bool,
    on_bad_image: OnBad,
    selection: Selection = WHOLE,
) -> Photographs:
    """Open a folder, an archive or a named data set as photographs.

    `image_size` is the side of the crops; None is 96 pixels, or less where every picture is smaller. Pictures with a side
    below the crop are left out, with a word. Raises `UsageError` and `DataError` as `open_source` does, and where no
    picture is large enough.
    """
    if is_reference(dataset):
        with selection.in_use(dataset):
            place = hub.local(dataset, selection, emit, download=download)
            with place.named(emit) as emit:
                found = _open_files(place.path, data_root, on_bad_image, image_size, emit)
        return _large_enough(dataclasses.replace(found, name=dataset), image_size, dataset, emit)
    path = None if dataset in source_names() else existing(dataset)
    if path is None or (path.suffix.lower() in ARRAYS and path.is_file()):
        size = drawn.scene_size(dataset, image_size) if dataset in DRAWN else None
        source = open_source(
            dataset,
            emit,
            data_root=data_root,
            image_size=size,
            download=download,
            on_bad_image=on_bad_image,
            selection=selection,
        )
        flat, (count, channels, height, width) = source.images.permute(0, 2, 3, 1).flatten(), source.images.shape
        sizes = torch.tensor([[height, width]]).expand(count, 2)
        found = _laid_out(source.name, flat, sizes, channels, source.mapped_file)
    else:
        with selection.in_use(dataset):
            found = _open_files(path, data_root, on_bad_image, image_size, emit)
    return _large_enough(found, image_size, dataset, emit)


def _laid_out(
    name: str, flat: Tensor, sizes: Tensor, channels: int, mapped: Path | None, digest: str = ""
) -> Photographs:
    """Photographs lying one after the other in `flat`; `sizes`: int64 `[N, 2]`, heights and widths."""
    lengths = sizes.prod(1) * channels
    offsets = lengths.cumsum(0) - lengths
    return Photographs(name, flat, offsets, sizes[:, 0].clone(), sizes[:, 1].clone(), channels, 0, mapped, digest)


def _large_enough(found: Photographs, crop: int | None, dataset: str, emit: Emit) -> Photographs:
    shorter = torch.minimum(found.heights, found.widths)
    side = crop if crop is not None else min(DEFAULT_CROP, int(shorter.max()) // 8 * 8)
    enough = shorter >= max(1, side)
    _check_crop(max(1, side), int(shorter.max()), dataset)
    if left_out := int((~enough).sum()):
        line = f"{left_out} of {counted(len(enough), 'picture')} left out: a side is shorter than the crop of {side} px"
        emit(Warned(line))
    return dataclasses.replace(
        found, offsets=found.offsets[enough], heights=found.heights[enough], widths=found.widths[enough], crop=side
    )


def _open_files(path: Path, data_root: Path, on_bad: OnBad, crop: int | None, emit: Emit) -> Photographs:
    name = stem(path.resolve())
    with opened(path, emit, on_bad == "skip") as pictures:
        chosen = arranged(pictures, "train", with_classes=False)
        names = list(chosen.labels)
        content = [[name, *pictures.found.marks[name]] for name in names]
        column = [pictures.column] if pictures.column else []
        cache = Cache(data_root, name, ["photographs", on_bad, content, *column], path.resolve())
        if (kept := _from_cache(name, cache)) is not None:
            photographs, note = kept
        else:
            photographs, note = _decoded(name, pictures, names, cache, on_bad, crop, emit)
    for line in (*pictures.notes(), *chosen.notes, *note.splitlines()):
        emit(Warned(line))
    return photographs


def _from_cache(name: str, cache: Cache) -> tuple[Photographs, str] | None:
    if (found := cache.load()) is None:
        return None
    try:
        info = found.info
        sizes, channels = torch.tensor(info["sizes"], dtype=torch.int64).view(-1, 2), int(info["channels"])
        sound = channels in (1, 3) and len(sizes) and int(sizes.min()) > 0
        if not sound or found.pixels.shape != (int(sizes.prod(1).sum()) * channels,):
            return None
        return _laid_out(name, found.pixels, sizes, channels, found.mapped_file, found.digest), str(info["note"])
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError):
        return None  # damaged: it is made again


def _decoded(
    name: str, pictures: Pictures, names: Sequence[str], cache: Cache, on_bad: OnBad, crop: int | None, emit: Emit
) -> tuple[Photographs, str]:
    """Decode everything, into the cache's file where it can be written, else into memory."""
    bad, heads = Bad(on_bad), dict[str, Head]()

    def take(one: str, head: Head) -> bool:
        heads[one] = head
        return True

    read_heads(pictures, names, f"looking at {name}", take, bad, emit)
    _check_crop(crop or 0, max((min(head.width, head.height) for head in heads.values()), default=crop or 0), name)
    channels = 1 if all(head.grey for head in heads.values()) else 3
    places, total = dict[str, slice](), 0
    for one in filter(heads.__contains__, names):
        begin, total = total, total + heads[one].width * heads[one].height * channels
        places[one] = slice(begin, total)
    try:
        flat, warning = cache.allocate((max(1, total),))
        if warning:
            emit(Warned(warning))

        def pixels(one: str, data: bytes) -> tuple[Tensor, tuple[str, ...]]:
            first = decode_first(data, pictures.where(one))
            picture = first.picture.convert("L" if channels == 1 else "RGB")
            if picture.size != (heads[one].width, heads[one].height):
                raise DataError(f"{pictures.where(one)}: not of the size that its header says")
            return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8), first.remarks

        whole = decode_into(flat, places, pictures, f"decoding {name}", pixels, bad, emit)
        sizes = [(heads[one].height, heads[one].width) for one in whole]
        note, filled = bad.note(), sum(height * width for height, width in sizes) * channels
        found, warning = cache.save(flat[:filled], {"sizes": sizes, "channels": channels, "note": note})
        if warning:
            emit(Warned(warning))
        return _laid_out(name, found.pixels, torch.tensor(sizes), channels, found.mapped_file, found.digest), note
    finally:
        cache.discard()


def _check_crop(side: int, largest: int, dataset: str) -> None:
    """Raises `DataError` where no image has room for a crop. `largest`: the greatest of their shorter sides."""
    if side > largest:
        raise DataError(
            f"--image-size {side}: crops of this size fit into no picture of {dataset}; the largest has a shorter side of "
            f"{largest} px"
        )


def check_scale(crop: int, scale: int) -> None:
    """Raises `UsageError` where crops of `crop` pixels cannot be reduced `scale` times."""
    if crop % scale:
        raise UsageError(f"--image-size {crop}: crops must be a multiple of --scale {scale}")
