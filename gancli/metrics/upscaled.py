"""How well a super-resolution model enlarges the pictures of a folder or an archive, beside bicubic interpolation."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from torch import Tensor

from gancli import images
from gancli.batches.pairs import downsample_bicubic, upsample_bicubic
from gancli.data.decode import decode
from gancli.data.image_files import Pictures
from gancli.data.listing import opened_for
from gancli.errors import DataError, UsageError
from gancli.events import Emit, Preparing, Warned
from gancli.metrics.fidelity import psnr, ssim
from gancli.metrics.figure import Figure, Measure
from gancli.sampling.upscale import Upscaler
from gancli.text import Note


@dataclass(frozen=True)
class Pair:
    """A true picture and its low-resolution form: uint8 `[C, H, W]` and `[C, h, w]`."""

    name: str
    truth: Tensor
    low_res: Tensor


def read_pairs(place: Path, low_res: Path | None, scale: int, emit: Emit) -> list[Pair]:
    """The pictures of a folder or an archive, by name; their low-resolution forms are the pictures of `low_res`, another
    one, of the same name, else made by antialiased bicubic interpolation. Of one with a folder `HR` those in it are meant,
    and where `LRx4` (for scale 4) lies beside it, those as low-resolution.

    A true picture's last rows and columns are left out where its size is no multiple of the scale. Raises `UsageError` for
    the name of a data set, and `DataError` for what cannot be read or does not fit.
    """
    hr, lr = "HR", f"LRx{scale}"
    made = Note(f"--dataset {place}: no {lr} beside {hr}: the low-resolution pictures are made of those in {hr}")
    if (place / hr).is_dir():
        if low_res is None and (place / lr).is_dir():
            low_res = place / lr
        elif low_res is None:
            emit(Warned(made))
        place /= hr
    with contextlib.ExitStack() as stack:
        true = stack.enter_context(opened_for("--dataset", place, emit))
        names, small, small_names = sorted(true.found.marks), true, list[str]()
        if low_res is not None:
            small = stack.enter_context(opened_for("--low-res", low_res, emit))
            small_names = sorted(small.found.marks)
        if (top := _top(names)) is not None and hr in (folders := _folders(names, top)):
            if low_res is None and lr in folders:
                small_names, low_res = [name for name in names if name.startswith(f"{top}{lr}/")], place
            elif low_res is None:
                emit(Warned(made))
            names = [name for name in names if name.startswith(f"{top}{hr}/")]
        if not names:
            raise DataError("; ".join([f"--dataset {place}: holds no images", *true.notes()]))
        for note in true.notes():
            emit(Warned(note))
        if low_res is None:
            truths = {name: whole_steps(picture, scale) for name, picture in _decoded(true, names)}
            return [Pair(PurePath(name).name, truths[name], _reduced(truths[name], scale)) for name in names]
        return _paired(true, names, small, small_names, low_res, scale)


def _paired(
    true: Pictures, names: Sequence[str], small: Pictures, small_names: Sequence[str], low_res: Path, scale: int
) -> list[Pair]:
    """True pictures with those of the same name out of `low_res`. Raises `DataError`."""
    called = {PurePath(name).stem: name for name in small_names}
    found = {name: called.get(PurePath(name).stem, "") for name in names}
    if "" in found.values():
        name = next(name for name in names if not found[name])
        raise DataError(f"--low-res {low_res}: has no picture named {PurePath(name).stem}, as {true.where(name)} is")
    reduced, truths = dict(_decoded(small, dict.fromkeys(found.values()))), dict(_decoded(true, names))
    pairs = []
    for name in names:
        truth, other = whole_steps(truths[name], scale), reduced[found[name]]
        channels, height, width = truth.shape
        if other.shape != (channels, height // scale, width // scale):
            raise DataError(
                f"{small.where(found[name])}: {other.shape[2]}×{other.shape[1]} pixels, not {width // scale}×"
                f"{height // scale}, a {scale}th of {true.where(name)}"
            )
        pairs.append(Pair(PurePath(name).name, truth, other))
    return pairs


def _top(names: Sequence[str]) -> str | None:
    """The folder, with its `/`, that holds everything and more than one folder; "" where that is the archive itself; None
    where some lie beside folders."""
    top = ""
    while len(folders := _folders(names, top)) == 1 and "" not in folders:
        top += f"{folders.pop()}/"
    return None if "" in folders else top


def _folders(names: Sequence[str], top: str) -> set[str]:
    """The folders in a folder; "" for pictures that lie in none of them."""
    return {name[len(top) :].rpartition("/")[0].partition("/")[0] for name in names}


def _decoded(pictures: Pictures, names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    """Pictures by name, uint8 `[C, H, W]`. Raises `DataError`."""
    for name, data in pictures.read(names):
        if isinstance(data, DataError):
            raise data
        yield name, images.from_pil(decode(data, pictures.where(name)))


def _reduced(truth: Tensor, scale: int) -> Tensor:
    return images.to_uint8(downsample_bicubic(images.to_float(truth[None]), scale))[0]


def enlarged(upscaler: Upscaler, pairs: Sequence[Pair], emit: Emit) -> list[Figure]:
    """PSNR and SSIM on Y, `scale` pixels of border left out: mean over the pictures and its standard error; beside it what
    bicubic interpolation gives. Raises `UsageError` for pictures that are too small to compare."""
    scale = upscaler.variant.scale
    ours: list[Likeness] = []
    plain: list[Likeness] = []
    for number, pair in enumerate(pairs):
        emit(Preparing("enlarging pictures", number, len(pairs), "pictures"))
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
    """How similar an image is to the true one: PSNR in dB and SSIM, both of luma (Y)."""

    psnr: float
    ssim: float


def likeness(picture: Tensor, truth: Tensor, scale: int) -> Likeness:
    """Of a picture enlarged `scale` times, uint8 `[C, H, W]`, against the true one, `scale` pixels of border left out.
    Raises `ValueError` for pictures of different sizes or too small ones."""
    return Likeness(psnr(picture, truth, scale), ssim(picture, truth, scale))


def bicubic(low_res: Tensor, scale: int) -> Tensor:
    """uint8 `[C, h, w]` → uint8 `[C, h·scale, w·scale]`: what super-resolution has to beat."""
    return images.to_uint8(upsample_bicubic(images.to_float(low_res[None]), scale))[0]


def _mean(values: list[float]) -> Measure:
    found = torch.tensor(values, dtype=torch.float64)
    return Measure(found.mean().item(), found.std().item() / len(values) ** 0.5 if len(values) > 1 else None)
