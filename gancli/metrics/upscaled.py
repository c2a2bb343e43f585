"""How well a super-resolution model enlarges a folder of pictures, beside bicubic interpolation."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gancli import images
from gancli.batches.pairs import enlarge, reduce
from gancli.config.paths import read_file
from gancli.data.decode import decode
from gancli.data.formats import is_image, is_other_picture
from gancli.data.walk import Found
from gancli.errors import DataError, UsageError
from gancli.events import Event, Preparing, Warned
from gancli.metrics.fidelity import psnr, ssim
from gancli.metrics.figure import Figure, Measure
from gancli.sampling.upscale import Upscaler


@dataclass(frozen=True)
class Pair:
    """A true picture and its low-resolution form: uint8 `[C, H, W]` and `[C, h, w]`."""

    name: str
    truth: Tensor
    low_res: Tensor


def read_pairs(folder: Path, low_res: Path | None, scale: int) -> Generator[Event, None, list[Pair]]:
    """The pictures of a folder, by name, as a generator of warnings that returns them; their low-resolution forms are the
    files of `low_res` of the same name, else made by antialiased bicubic interpolation. A folder of `HR` and `LRx4` (for
    scale 4) is read as both.

    A true picture's last rows and columns are left out where its size is no multiple of the scale. Raises `DataError` for
    what cannot be read or does not fit.
    """
    if low_res is None and (folder / "HR").is_dir() and (folder / f"LRx{scale}").is_dir():
        folder, low_res = folder / "HR", folder / f"LRx{scale}"
    found = _files(folder)
    files = [path for path in found if is_image(path.name)]
    notes = Found(others=[path.name for path in found if is_other_picture(path.name)]).notes()
    if not files:
        raise DataError("; ".join([f"--dataset {folder}: holds no images", *notes]))
    for note in notes:
        yield Warned(note)
    small = {path.stem: path for path in _files(low_res) if is_image(path.name)} if low_res is not None else {}
    return [_pair(path, small, low_res, scale) for path in files]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from None


def _read(path: Path) -> Tensor:
    try:
        return images.from_pil(decode(read_file(path), str(path)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _pair(path: Path, small: dict[str, Path], low_res: Path | None, scale: int) -> Pair:
    truth = whole_steps(_read(path), scale)
    height, width = truth.shape[1:]
    if low_res is None:
        return Pair(path.name, truth, images.to_uint8(reduce(images.to_float(truth[None]), scale))[0])
    if path.stem not in small:
        raise DataError(f"--low-res {low_res}: has no picture named {path.stem}, as {path} is")
    reduced = _read(small[path.stem])
    if reduced.shape != (len(truth), height // scale, width // scale):
        raise DataError(
            f"{small[path.stem]}: {reduced.shape[2]}×{reduced.shape[1]} pixels, not {width // scale}×{height // scale}, "
            f"a {scale}th of {path}"
        )
    return Pair(path.name, truth, reduced)


def enlarged(upscaler: Upscaler, pairs: Sequence[Pair]) -> Generator[Event, None, list[Figure]]:
    """PSNR and SSIM on Y, `scale` pixels of border left out: mean over the pictures and its standard error; beside it what
    bicubic interpolation gives. Raises `UsageError` for pictures that are too small to compare."""
    scale = upscaler.variant.scale
    ours: list[Likeness] = []
    plain: list[Likeness] = []
    for number, pair in enumerate(pairs):
        yield Preparing("enlarging pictures", number, len(pairs), "pictures")
        try:
            ours.append(likeness(upscaler.enlarge(pair.low_res), pair.truth, scale))
            plain.append(likeness(bicubic(pair.low_res, scale), pair.truth, scale))
        except ValueError as error:
            raise UsageError(f"--dataset: {pair.name}: {error}") from None
    return [
        Figure(name, unit, True, len(pairs), _mean([x[i] for x in ours]), _mean([x[i] for x in plain]))
        for i, (name, unit) in enumerate((("psnr on Y", "dB"), ("ssim on Y", "")))
    ]


def whole_steps(truth: Tensor, scale: int) -> Tensor:
    """A true picture, uint8 `[C, H, W]`, without its last rows and columns where its sides are no multiples of the scale."""
    height, width = (side - side % scale for side in truth.shape[1:])
    return truth[:, :height, :width]


class Likeness(NamedTuple):
    """How near a picture is to the true one: PSNR in dB and SSIM, on Y."""

    psnr: float
    ssim: float


def likeness(picture: Tensor, truth: Tensor, scale: int) -> Likeness:
    """Of a picture enlarged `scale` times, uint8 `[C, H, W]`, against the true one, `scale` pixels of border left out.
    Raises `ValueError` for pictures of different sizes or too small ones."""
    return Likeness(psnr(picture, truth, scale), ssim(picture, truth, scale))


def bicubic(low_res: Tensor, scale: int) -> Tensor:
    """uint8 `[C, h, w]` → uint8 `[C, h·scale, w·scale]`: what super-resolution has to beat."""
    return images.to_uint8(enlarge(images.to_float(low_res[None]), scale))[0]


def _mean(values: list[float]) -> Measure:
    found = torch.tensor(values, dtype=torch.float64)
    return Measure(found.mean().item(), found.std().item() / len(values) ** 0.5 if len(values) > 1 else None)
