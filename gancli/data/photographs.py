"""Photographs of mixed sizes, for models of low-resolution images: decoded once, end to end in one tensor."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gancli.data import dataset, generated, hub
from gancli.data.cache import Cache, PixelArray
from gancli.data.dataset_object import DatasetObject
from gancli.data.folder import DecodingReport, decode_into, read_heads
from gancli.data.image_files import ImageFiles
from gancli.data.layout import find_layout
from gancli.data.listing import open_image_files
from gancli.data.names import GENERATED
from gancli.data.opening import image_files_path, open_dataset
from gancli.data.options import DatasetOptions, OnBad
from gancli.data.patterns import dataset_stem
from gancli.errors import DataError, UsageError
from gancli.events import Emit, Warned
from gancli.files.hub import is_reference
from gancli.spec import ImageSpec
from gancli.text import counted

DEFAULT_CROP = 96  # pixels: Ledig et al. 2017, section 3.2


@dataclass(frozen=True)
class PhotoDataset:
    """A dataset of images of any sizes. `pixels`: uint8 `[sum of H·W·C]`, each image as `[H, W, C]`; image i begins at
    `offsets[i]` and has the size `heights[i]` × `widths[i]` (int64 `[N]`). `crop`: side of the training crops, in pixels.
    `mapped_file`, `digest`, `note`: see `dataset.Dataset`."""

    name: str
    pixels: Tensor
    offsets: Tensor
    heights: Tensor
    widths: Tensor
    channels: int
    crop: int = 0
    mapped_file: Path | None = None
    digest: str = ""
    note: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint by which a resumed run recognises its images, wherever they are."""
        pixels = self.digest or dataset.digest(self.pixels)
        return dataset.fingerprint(pixels, [self.offsets, self.heights, self.widths], ())

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(self.channels, self.crop)

    @property
    def num_images(self) -> int:
        return len(self.offsets)

    @property
    def num_bytes(self) -> int:
        return self.pixels.numel()

    def image(self, index: int) -> Tensor:
        """Return a whole image: uint8 `[C, H, W]`."""
        height, width = int(self.heights[index]), int(self.widths[index])
        start = int(self.offsets[index])
        flat = self.pixels[start : start + height * width * self.channels]
        return flat.view(height, width, self.channels).permute(2, 0, 1)


def open_photographs(dataset: str, options: DatasetOptions, emit: Emit) -> PhotoDataset:
    """Open a folder, an archive or a named dataset as photographs.

    `image_size` is the side of the crops; None is 96 pixels, or less if every image is smaller. Images with a side below the
    crop are left out, with a warning. Raises `UsageError` and `DataError` as `open_dataset` does, and if no image is large
    enough.
    """
    crop = options.image_size
    if is_reference(dataset):
        place = hub.local(dataset, options.selection, "train", options.download, emit)
        with place.named(emit) as emit:
            photographs = _open_files(place.path, options, emit, place.files)
        return _large_enough(dataclasses.replace(photographs, name=dataset), crop, dataset, emit)
    options.selection.reject_split(dataset)
    if isinstance(dataset, DatasetObject):
        from gancli.data import torch_dataset

        options.selection.reject_columns(dataset)
        flat, sizes, channels, note = torch_dataset.read_photographs(dataset, options.on_bad_image, emit)
        for line in note.splitlines():
            emit(Warned(line))
        photographs = _end_to_end(str(dataset), flat, sizes, channels, mapped_file=None)
    elif (path := image_files_path(dataset)) is not None:
        photographs = _open_files(path, options, emit)
    else:
        size = generated.scene_size(dataset, crop) if dataset in GENERATED else None
        squares = open_dataset(dataset, dataclasses.replace(options, image_size=size), emit)
        flat, (count, channels, height, width) = squares.images.permute(0, 2, 3, 1).flatten(), squares.images.shape
        sizes = torch.tensor([[height, width]]).expand(count, 2)
        photographs = _end_to_end(squares.name, flat, sizes, channels, mapped_file=squares.mapped_file)
    return _large_enough(photographs, crop, dataset, emit)


def _end_to_end(
    name: str, flat: Tensor, sizes: Tensor, channels: int, mapped_file: Path | None, digest: str = "", note: str = ""
) -> PhotoDataset:
    """Return photographs that are one after the other in `flat`; `sizes`: int64 `[N, 2]`, heights and widths."""
    lengths = sizes.prod(1) * channels
    heights, widths = sizes[:, 0].clone(), sizes[:, 1].clone()
    offsets = lengths.cumsum(0) - lengths
    return PhotoDataset(name, flat, offsets, heights, widths, channels, 0, mapped_file, digest, note)


def _large_enough(found: PhotoDataset, crop: int | None, dataset: str, emit: Emit) -> PhotoDataset:
    shorter = torch.minimum(found.heights, found.widths)
    side = crop if crop is not None else min(DEFAULT_CROP, int(shorter.max()) // 8 * 8)
    enough = shorter >= max(1, side)
    _check_crop(max(1, side), int(shorter.max()), dataset)
    if left_out := int((~enough).sum()):
        line = f"{left_out} of {counted(len(enough), 'image')} left out: a side is shorter than the crop of {side} px"
        emit(Warned(line))
    return dataclasses.replace(
        found, offsets=found.offsets[enough], heights=found.heights[enough], widths=found.widths[enough], crop=side
    )


def _open_files(path: Path, options: DatasetOptions, emit: Emit, shards: Sequence[Path] = ()) -> PhotoDataset:
    name, on_bad = dataset_stem(path.resolve()), options.on_bad_image

    def build(found: PixelArray) -> PhotoDataset:
        sizes = torch.tensor(found.info["sizes"], dtype=torch.int64).view(-1, 2)
        channels, note = int(found.info["channels"]), str(found.info["note"])
        if channels not in (1, 3) or not len(sizes) or int(sizes.min()) <= 0:
            raise ValueError("other sizes")
        if found.pixels.shape != (int(sizes.prod(1).sum()) * channels,):
            raise ValueError("other pixels")
        return _end_to_end(name, found.pixels, sizes, channels, found.mapped_file, found.digest, note)

    with open_image_files(path, emit, on_bad == "skip", shards=shards, selection=options.selection) as pictures:
        pictures.check_columns(options.selection)
        chosen = find_layout(pictures, "train", with_classes=False)
        names = list(chosen.labels)
        content = [[name, *pictures.found.marks[name]] for name in names]
        column = [pictures.column] if pictures.column else []
        cache = Cache(options.data_root, name, ["photographs", on_bad, content, *column], path.resolve(), emit)
        photographs = cache.load(build) or build(_decoded(pictures, names, cache, on_bad, options.image_size, emit))
    for line in (*pictures.notes(), *chosen.notes, *photographs.note.splitlines()):
        emit(Warned(line))
    return photographs


def _decoded(
    pictures: ImageFiles, names: Sequence[str], cache: Cache, on_bad: OnBad, crop: int | None, emit: Emit
) -> PixelArray:
    """Decode all images into the cache."""
    report = DecodingReport(on_bad)
    heads = dict(read_heads(pictures, names, report, emit))
    _check_crop(
        crop or 0, max(min(head.width, head.height) for head in heads.values()), dataset_stem(pictures.path.resolve())
    )
    channels = 1 if all(head.grey for head in heads.values()) else 3
    lengths = {name: heads[name].width * heads[name].height * channels for name in names if name in heads}

    def finish(image: Image.Image, name: str) -> Tensor:
        if image.size != (heads[name].width, heads[name].height):
            raise DataError(f"{pictures.where(name)}: not of the size that its header says")
        return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)

    with cache.allocate((sum(lengths.values()),)) as flat:
        decoded = decode_into(flat, lengths, pictures, channels, None, finish, report, emit)
        sizes = [(heads[name].height, heads[name].width) for name in decoded]
        num_bytes = sum(lengths[name] for name in decoded)
        return cache.save(flat[:num_bytes], {"sizes": sizes, "channels": channels, "note": report.note()})


def _check_crop(side: int, largest: int, dataset: str) -> None:
    """Raises `DataError` if no image is as large as a crop. `largest`: the greatest of their shorter sides."""
    if side > largest:
        raise DataError(
            f"--image-size {side}: crops of this size fit into no image of {dataset}; the largest has a shorter side of "
            f"{largest} px"
        )


def check_scale(crop: int, scale: int) -> None:
    """Raises `UsageError` if crops of `crop` pixels cannot be downsampled by `scale`."""
    if crop % scale:
        raise UsageError(f"--image-size {crop}: crops must be a multiple of --scale {scale}")
