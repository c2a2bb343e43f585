"""PSNR and SSIM of enlarged images, as papers on super-resolution measure them, compared with bicubic interpolation.

Colour images are compared by their luma Y of ITU-R BT.601 in studio range (16 to 235), grey ones as they are, without a
border of `scale` pixels. Bicubic ×4 then gives 28.43 dB and SSIM 0.810 on Set5, 26.00 dB and 0.703 on Set14, as in most
papers; Ledig et al. 2017 took SSIM from another tool, whose values are higher (0.8211, 0.7486).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli import images
from gancli.batches.pairs import downsample_bicubic, upsample_bicubic
from gancli.data.decode import decode
from gancli.data.image_files import ImageFiles
from gancli.data.listing import open_option
from gancli.data.options import Selection
from gancli.errors import DataError, UsageError
from gancli.events import Emit, Preparing, Warned
from gancli.metrics.metric import Metric, make_metric, mean
from gancli.sampling.upscale import Upscaler
from gancli.text import Note

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5  # Wang et al. 2004, section III.C
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
HR, LR = "HR", "LRx{}"


def luma(pixels: Tensor) -> Tensor:
    """Return Y, float64 `[H, W]` in 16…235, of uint8 `[3, H, W]`; one channel is returned as it is, in 0…255."""
    values = pixels.double()
    if len(values) == 1:
        return values[0]
    red, green, blue = values
    y: Tensor = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    return y


def psnr(pixels: Tensor, truth: Tensor, border: int) -> float:
    """Return the peak signal-to-noise ratio in dB of two images, uint8 `[C, H, W]`; infinite if they are equal."""
    a, b = _inner_luma(pixels, truth, border)
    mse = (a - b).square().mean().item()
    return 10 * math.log10(PEAK**2 / mse) if mse else math.inf


def ssim(pixels: Tensor, truth: Tensor, border: int) -> float:
    """Return the structural similarity, at most 1, of two images, uint8 `[C, H, W]` (Wang et al. 2004): an 11×11 Gaussian
    window of σ 1.5, without padding. Raises `ValueError` for images smaller than the window."""
    a, b = _inner_luma(pixels, truth, border)
    if min(a.shape) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW} pixels, not {tuple(a.shape)}")
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()

    def blurred(x: Tensor) -> Tensor:
        rows = F.conv2d(x[None, None], window.view(1, 1, -1, 1))
        return F.conv2d(rows, window.view(1, 1, 1, -1))[0, 0]

    mean_a, mean_b = blurred(a), blurred(b)
    variances = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    return (similarity / ((mean_a**2 + mean_b**2 + C1) * (variances + C2))).mean().item()


def _inner_luma(pixels: Tensor, truth: Tensor, border: int) -> tuple[Tensor, Tensor]:
    if pixels.shape != truth.shape:
        raise ValueError(f"images of {tuple(pixels.shape)} and {tuple(truth.shape)} cannot be compared")
    inner = slice(border, -border or None)
    return luma(pixels)[inner, inner], luma(truth)[inner, inner]


class Similarity(NamedTuple):
    """PSNR in dB and SSIM of an enlarged image, compared with its original."""

    psnr: float
    ssim: float


def similarity(pixels: Tensor, truth: Tensor, scale: int) -> Similarity:
    """Compare an image enlarged `scale` times with its original, uint8 `[C, H, W]` each. Raises `ValueError` for images of
    different sizes, and for too small ones."""
    return Similarity(psnr(pixels, truth, scale), ssim(pixels, truth, scale))


def bicubic(low_res: Tensor, scale: int) -> Tensor:
    """Enlarge an image, uint8 `[C, h, w]`, by bicubic interpolation: uint8 `[C, h·scale, w·scale]`."""
    return images.to_uint8(upsample_bicubic(images.to_float(low_res[None]), scale))[0]


def crop_to_multiple(truth: Tensor, scale: int) -> Tensor:
    """Crop the last rows and columns of an image, uint8 `[C, H, W]`, so that `scale` divides its sides."""
    height, width = (side - side % scale for side in truth.shape[1:])
    return truth[:, :height, :width]


@dataclass(frozen=True)
class Pair:
    """A high-resolution image and its low-resolution version: uint8 `[C, H, W]` and `[C, h, w]`."""

    name: str
    truth: Tensor
    low_res: Tensor


def read_pairs(
    place: Path,
    low_res: Path | None,
    scale: int,
    selection: Selection,
    emit: Emit,
    shards: Sequence[Path] = (),
) -> list[Pair]:
    """Read the images of a folder or archive, by name, cropped to multiples of `scale`. Their low-resolution versions are
    the images of the same names in `low_res`, or else made by antialiased bicubic interpolation. If `place` has a folder
    `HR`, its images are read, and the default of `low_res` is the folder `LRx4` (for scale 4) next to it.
    `selection`, `shards`: see `open_image_files`.

    Raises `UsageError` for the name of a dataset or an option without effect, and `DataError` for what cannot be read or
    does not match.
    """
    folder = LR.format(scale)
    has_hr = not shards and (place / HR).is_dir()
    high = place / HR if has_hr else place
    if has_hr and low_res is None and (place / folder).is_dir():
        low_res = place / folder
    with ExitStack() as stack:
        originals = stack.enter_context(open_option("--dataset", high, emit, shards, selection))
        originals.check_columns(selection)
        reduced = None
        if low_res is not None:
            reduced = stack.enter_context(open_option("--low-res", low_res, emit, selection=selection))
        names = sorted(originals.found.marks)
        reduced_names = sorted(reduced.found.marks) if reduced else []
        if in_hr := _in_folder(names, HR):
            has_hr = True
            if reduced is None and (reduced_names := _in_folder(names, folder)):
                low_res, reduced = place, originals
            names = in_hr
        if has_hr and reduced is None:
            what = f"no {folder} next to {HR}: the low-resolution images are made from those in {HR}"
            emit(Warned(Note(f"--dataset {place}: {what}")))
        if not names:
            raise DataError("; ".join([f"--dataset {high}: holds no images", *originals.notes()]))
        for note in originals.notes():
            emit(Warned(note))
        if reduced is not None and low_res is not None:
            return _paired(originals, names, reduced, reduced_names, low_res, scale)
        return _downsampled(originals, names, scale)


def _in_folder(names: Sequence[str], folder: str) -> list[str]:
    return [name for name in names if PurePath(name).parent.name == folder]


def _downsampled(originals: ImageFiles, names: Sequence[str], scale: int) -> list[Pair]:
    """Pair images with their downsampled versions. Raises `DataError`."""
    truths, pairs = _truths(originals, names, scale), []
    for name in names:
        low_res = images.to_uint8(downsample_bicubic(images.to_float(truths[name][None]), scale))[0]
        pairs.append(Pair(PurePath(name).name, truths[name], low_res))
    return pairs


def _paired(
    originals: ImageFiles,
    names: Sequence[str],
    reduced: ImageFiles,
    reduced_names: Sequence[str],
    low_res: Path,
    scale: int,
) -> list[Pair]:
    """Pair images with those of the same names in `low_res`. Raises `DataError`."""
    by_stem = {PurePath(name).stem: name for name in reduced_names}
    for name in names:
        if (stem := PurePath(name).stem) not in by_stem:
            raise DataError(f"--low-res {low_res}: has no image named {stem}, unlike {originals.where(name)}")
    partners = {name: by_stem[PurePath(name).stem] for name in names}
    small, truths = dict(_decoded(reduced, partners.values())), _truths(originals, names, scale)
    for name, partner in partners.items():
        channels, height, width = truths[name].shape
        if small[partner].shape != (channels, height // scale, width // scale):
            _, h, w = small[partner].shape
            raise DataError(
                f"{reduced.where(partner)}: {w}×{h} pixels, not {width // scale}×{height // scale}, a {scale}th of "
                f"{originals.where(name)}"
            )
    return [Pair(PurePath(name).name, truths[name], small[partner]) for name, partner in partners.items()]


def _truths(originals: ImageFiles, names: Sequence[str], scale: int) -> dict[str, Tensor]:
    return {name: crop_to_multiple(image, scale) for name, image in _decoded(originals, names)}


def _decoded(pictures: ImageFiles, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    """Decode images by name, uint8 `[C, H, W]`. Raises `DataError`."""
    for name, data in pictures.read(dict.fromkeys(names)):
        if isinstance(data, DataError):
            raise data
        yield name, images.from_pil(decode(data, pictures.where(name)))


def measure_enlarging(upscaler: Upscaler, pairs: Sequence[Pair], emit: Emit) -> list[Metric]:
    """Return PSNR and SSIM of a model, and of bicubic interpolation: the mean over the images, and its standard error.
    Raises `UsageError` for images that are too small."""
    scale = upscaler.variant.scale
    model, baseline = list[Similarity](), list[Similarity]()
    for number, pair in enumerate(pairs):
        emit(Preparing("enlarging images", number, len(pairs), "images"))
        try:
            model.append(similarity(upscaler.enlarge(pair.low_res), pair.truth, scale))
            baseline.append(similarity(bicubic(pair.low_res, scale), pair.truth, scale))
        except ValueError as error:
            raise UsageError(f"--dataset: {pair.name}: {error}") from None
    return [
        make_metric(name, mean([each[i] for each in model]), len(pairs), mean([each[i] for each in baseline]))
        for i, name in enumerate(("psnr on Y", "ssim on Y"))
    ]
