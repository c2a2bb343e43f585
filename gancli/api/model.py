"""`gancli.load`: a model that generates or enlarges images; and the images it generates."""

import dataclasses
import operator
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gancli import images
from gancli.api import common
from gancli.api.common import PathLike, VariantLike
from gancli.api.option_types import Float, Int
from gancli.config import RunConfig, paths
from gancli.config.option import checked
from gancli.config.sample import EnlargeConfig, ExportConfig, SampleConfig, sample_config
from gancli.config.seeds import MAX_SEEDS, format_seeds
from gancli.data.decode import shape_of, split_layers
from gancli.errors import UsageError
from gancli.events import ignore
from gancli.machine.device import choose_device
from gancli.metrics import side_by_side
from gancli.metrics.side_by_side import SideBySide
from gancli.sampling import enlarge, files, plan
from gancli.sampling.enlarge import enlarge_layers
from gancli.sampling.plan import SamplingPlan
from gancli.sampling.upscale import check_memory
from gancli.store import checkpoint, pretrained
from gancli.store.facts import Facts
from gancli.store.run_directory import require_model_file
from gancli.text import counted

if hasattr(os, "register_at_fork"):  # a forked process would wait forever for torch's threads, which it lacks
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))

Picture = Image.Image | np.ndarray[Any, Any] | Tensor
"""An image to enlarge: a Pillow image of any mode, an array `[H, W]` or `[H, W, C]`, or a tensor `[C, H, W]`, both uint8."""


@common.errors_in_python("path")
def load(path: PathLike, device: str | torch.device | None = None, *, variant: VariantLike | None = None) -> "Model":
    """Load a model. `path`: a finished run or its directory, a checkpoint (`ckpt.safetensors`), or the name of a pretrained
    model such as `"digits"`. `device`: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`; by default `GAN_DEVICE`, else
    `"auto"`. `variant`: the code of a variant from a file, its path or class, unless this process has trained with it; a
    checkpoint never imports any. Raises `CheckpointError` for a file that is not a valid checkpoint, and `UsageError`."""
    chosen = None if device is None else common.field(RunConfig, "device").check(device)
    if variant is not None:
        common.variant(variant)
    where = choose_device(chosen or os.environ.get("GAN_DEVICE") or "auto")
    file = require_model_file(pretrained.resolve_checkpoint(common.path(path, "path", "a path, a name or a run")).path)
    return Model(checkpoint.load_model(file), file, where)


class Model:
    """A loaded model. `path`: its checkpoint, a `pathlib.Path`; `device`: the `torch.device` it runs on. You can pass it
    wherever the path of a model is expected. It pickles with its weights."""

    def __init__(self, loaded: checkpoint.Model, path: Path, device: torch.device) -> None:
        self.loaded, self.path, self.device = loaded, path, device
        loaded.variant.generator.to(device)

    @property
    def generator(self) -> nn.Module:
        """The averaged generator, in eval mode, on `device`. Maps noise and, for a conditional model, labels (int64 `[B]`)
        to images, float `[B, C, H, W]` in [-1, 1]. That of srgan maps low-resolution images in [-1, 1]."""
        return self.loaded.variant.generator

    @property
    def latent_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of the noise for one image, for each noise tensor that the generator takes."""
        return self.loaded.variant.latent_shapes

    @property
    def facts(self) -> Facts:
        """The metadata of the checkpoint: variant, options, step, dataset, losses."""
        return self.loaded.facts

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that `sample` can generate; empty for an unconditional model."""
        return self.loaded.variant.images.class_names if self.loaded.variant.conditional else ()

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        facts = self.facts
        channels, size = facts.images.channels, facts.images.size
        if self.loaded.variant.condition_type == "low_res":
            does = f"enlarges {self.loaded.variant.scale} times"
        else:
            does = f"generates {channels}×{size}×{size}"
            does += f" of {counted(len(self.class_names), 'class')}" if self.class_names else ""
        count = sum(parameter.numel() for parameter in self.generator.parameters())
        where = (
            f"trained on {facts.dataset} for {counted(facts.step, 'step', ',')}; {count:,} parameters, on {self.device}"
        )
        return f"<{facts.variant} {does}; {where}; {self.path}>"

    @common.errors_in_python()
    def sample(
        self,
        n: Int | None = None,
        *,
        seed: Int | None = None,
        seeds: str | Int | Iterable[Int] | None = None,
        label: str | Int | Iterable[str | Int] | None = None,
        truncation: Float | None = None,
        levels: bool | None = None,
        columns: Int | None = None,
        captions: bool | None = None,
        zoom: Int | None = None,
        batch_size: Int | None = None,
    ) -> "Samples":
        """Generate `n` images (default 64), bit for bit those of `gan sample`. The first has the seed `seed` (default 0),
        the next one `seed + 1`. `seeds`, instead of both: the seed of each image, as whole numbers or a text such as
        `"1,5,9-12"`. `label`: a class by name or number, or several that take turns. `truncation`: bound of the noise,
        above 0 and at most 10. `columns`: of the grid. `captions`: whether the class and the seed are under each image of
        the grid. `zoom`: side of a pixel in the grid and in files, 1 to 64. `batch_size` bounds the memory and does not
        change the images. Raises `UsageError`."""
        self._check_condition("labels")
        given = common.given(
            count=n,
            seed=seed,
            seeds=None if seeds is None else _seeds(seeds),
            label=None if label is None else _labels(label),
            truncation=truncation,
            levels=levels,
            columns=columns,
            captions=captions,
            zoom=zoom,
            batch_size=batch_size,
        )
        config = sample_config(checked(SampleConfig, given))
        return Samples.of(plan.make_plan(self.loaded, config, self.device, pretrained.model_name(self.path)))

    @common.errors_in_python()
    def enlarge(self, image: Picture, *, tile: Int | None = None) -> Image.Image:
        """Enlarge an image, as `gan sample -i` does, and return a Pillow image with its transparency, profile and EXIF.
        `image`: a Pillow image of any mode, a uint8 array `[H, W]` or `[H, W, C]`, or a uint8 tensor `[C, H, W]`.
        `tile`: side of the tiles in pixels of `image`; by default as memory allows. Raises `UsageError`, and `GancliError`
        if the image does not fit into memory."""
        self._check_condition("low_res")
        config = EnlargeConfig(**checked(EnlargeConfig, common.given(tile=tile)))
        image = _as_pillow(image, "image")
        upscaler = enlarge.make_upscaler(self.loaded.variant, self.device, config.tile)
        name = str(getattr(image, "filename", "") or "the image")
        set_aside = check_memory(upscaler, shape_of(image), ".png", name)
        layers = split_layers(image)
        return enlarge_layers(upscaler, layers, name, set_aside, ignore)

    @common.errors_in_python()
    def export(
        self,
        path: PathLike,
        *,
        opset: Int | None = None,
        license: str | None = None,  # noqa: A002 - the option's name
        space: bool | None = None,
    ) -> list[Path]:
        """Write the model for other programs, as `gan export` does, and return the files. `path`: `.onnx`, `.pt2`, or a
        folder for a model hub. `space`: add what a Hugging Face Space needs to the folder. Raises `UsageError`, and
        `GancliError` if a file cannot be written."""
        from gancli.export import write

        config = ExportConfig(**checked(ExportConfig, common.given(opset=opset, license=license, space=space)))
        target = write.target(common.path(path, "path"), config)
        exported = write.export(target, self.path, checkpoint.load_model(self.path), ignore)
        return [Path(file) for file in exported.files]

    @common.errors_in_python()
    def compare(self, image: Picture, true: Picture | None = None, *, tile: Int | None = None) -> SideBySide:
        """Show an image, its bicubic enlargement, that of this model and, if given, the `true` high-resolution image side by
        side, as `gan sample --compare` does. With `true`, the `figures` of `"bicubic"` and `"model"` are PSNR and SSIM.
        Raises `UsageError`, and `DataError` if `true` has another size than the enlarged image."""
        self._check_condition("low_res")
        config = EnlargeConfig(**checked(EnlargeConfig, common.given(tile=tile)))
        upscaler = enlarge.make_upscaler(self.loaded.variant, self.device, config.tile)
        low_res = images.from_pil(_opaque(_as_pillow(image, "image")))
        shown = None if true is None else images.from_pil(_opaque(_as_pillow(true, "true")))
        truth = None if shown is None else side_by_side.crop_original(shown, low_res, upscaler)
        return side_by_side.make_side_by_side(upscaler, low_res, truth, pretrained.model_name(self.path))

    def _check_condition(self, condition: str) -> None:
        """Raises `UsageError` if the model needs another kind of input."""
        if self.loaded.variant.condition_type != condition:
            low_res = condition == "low_res"
            does = "generates images; sample them" if low_res else "enlarges images: model.enlarge(image)"
            raise UsageError(f"{pretrained.pretrained_name(self.path) or self.path}: {self.facts.variant} {does}")


def _labels(label: object) -> tuple[str, ...]:
    """Return labels as texts, as on the command line. Raises `UsageError` if there are none."""
    plain = label.tolist() if isinstance(label, np.ndarray | np.generic | Tensor) else label
    several = plain if isinstance(plain, Iterable) and not isinstance(plain, str) else [plain]
    labels = tuple(str(each.item() if isinstance(each, np.generic | Tensor) else each) for each in several)
    if not labels:
        raise UsageError("label: is empty; omit it for all classes in turn")
    return labels


def _seeds(seeds: object) -> str:
    """Return seeds as text, as on the command line. Raises `UsageError` for what are no whole numbers."""
    if isinstance(seeds, str):
        return seeds
    several = seeds.flatten().tolist() if isinstance(seeds, np.ndarray | np.generic | Tensor) else seeds
    try:
        numbers = list(
            map(operator.index, islice(several if isinstance(several, Iterable) else [several], MAX_SEEDS + 1))
        )
    except TypeError:
        raise UsageError('seeds: must be whole numbers, or a text such as "1,5,9-12"') from None
    if not numbers:
        raise UsageError("seeds: is empty; omit it for the seeds 0, 1, 2, …")
    return format_seeds(numbers)


def _as_pillow(image: object, name: str) -> Image.Image:
    """Return an argument as a Pillow image. Raises `UsageError`."""
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, Tensor) and image.dtype == torch.uint8 and image.ndim == 3 and image.shape[0] in (1, 3):
        return images.to_pil(image)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape[2:] in ((), (3,), (4,)):
        return Image.fromarray(image)
    shape = "×".join(map(str, getattr(image, "shape", ())))
    what = f"{type(image).__name__} {getattr(image, 'dtype', '')} {shape}".strip()
    raise UsageError(
        f"{name}: must be a Pillow image, a uint8 array [H, W] or [H, W, C], or a uint8 tensor [C, H, W], not {what}"
    )


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image of mode L or RGB, on white where it is transparent."""
    layers = split_layers(image)
    if layers.alpha is None:
        return layers.colour
    white = Image.new(layers.colour.mode, layers.colour.size, "white")
    return Image.composite(layers.colour, white, layers.alpha)


@dataclass(frozen=True, repr=False)
class Samples:
    """Generated images. `pixels`: uint8 `[N, C, H, W]`; `seeds` and `labels`: int64 `[N]`, all labels 0 for an unconditional
    model. A notebook shows them as a grid."""

    pixels: Tensor
    seeds: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    order: SamplingPlan

    @classmethod
    def of(cls, order: SamplingPlan) -> "Samples":
        """Generate the images of an order."""
        pixels = order.pixels(ignore)
        seeds = torch.tensor([request.seed for request in order.requests])
        labels = torch.tensor([request.label for request in order.requests])
        return cls(pixels, seeds, labels, order.class_names, dataclasses.replace(order, generated=pixels))

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        count, channels, height, width = self.pixels.shape
        return f"<{counted(count, 'sample')} {channels}×{height}×{width} of {self.order.model.facts.variant}>"

    def images(self) -> list[Image.Image]:
        """Return the images as a list of Pillow images of mode L or RGB."""
        return [images.to_pil(pixels) for pixels in self.pixels]

    @common.errors_in_python()
    def grid(self, columns: Int | None = None) -> Image.Image:
        """Return all images as one, as `gan sample -o grid.png` writes it. `columns`: by default those given to `sample`."""
        chosen: int | None = common.field(SampleConfig, "columns").check(columns)
        order = dataclasses.replace(self.order, columns=chosen or self.order.columns)
        return files.grid_image(order, self.pixels)

    @common.errors_in_python()
    def save(self, path: PathLike) -> list[Path]:
        """Write the images as `gan sample -o` does, and return the files. `path`: a grid (`.png`, `.jpg`, `.webp`), a folder
        (ending with `/`), or an `.npz` array. Raises `UsageError`, and `GancliError` if a file cannot be written."""
        output = common.path(path, "path")
        expanded = paths.expanded(output, "-o")
        paths.check_output(expanded, "-o")
        write = files.writer(expanded, output, self.order.config)
        return [Path(file) for file in write(self.order, expanded, ignore)]

    def _repr_png_(self) -> bytes:
        return images.encode(self.grid(), ".png")
