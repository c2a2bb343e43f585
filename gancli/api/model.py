"""`gancli.load`: a model that generates or enlarges images."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gancli import images
from gancli.api import options
from gancli.api.option_types import Float, Int
from gancli.api.options import PathLike, VariantLike
from gancli.api.samples import Samples
from gancli.config import RunConfig
from gancli.config.option import checked
from gancli.config.sample import EnlargeConfig, ExportConfig, SampleConfig
from gancli.data.decode import layers_of, shape_of
from gancli.errors import UsageError
from gancli.events import ignore
from gancli.machine.device import choose_device
from gancli.metrics import side_by_side
from gancli.metrics.side_by_side import Compared
from gancli.sampling import enlarging, order
from gancli.sampling.upscale import check_memory, enlarge_layers
from gancli.store import checkpoint, pretrained
from gancli.store.facts import Facts
from gancli.store.run_directory import require_model_file
from gancli.text import counted

if hasattr(os, "register_at_fork"):  # a forked process has none of torch's threads, and would wait for them for ever
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))

Picture = Image.Image | np.ndarray[Any, Any] | Tensor
"""What is enlarged: a Pillow image of any mode, an array `[H, W]` or `[H, W, C]`, or a tensor `[C, H, W]`, both uint8."""


@options.spoken("path")
def load(path: PathLike, device: str | torch.device | None = None, *, variant: VariantLike | None = None) -> "Model":
    """Load a model. `path`: a finished run or its directory, a checkpoint (`ckpt.safetensors`), or the name of a pretrained
    model such as `"digits"`. `device`: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`; by default `GAN_DEVICE`, else
    `"auto"`. `variant`: the code of a variant from a file, its path or class, unless this process has trained with it; a
    checkpoint never imports any. Raises `CheckpointError` for a file that is not a valid checkpoint, and `UsageError`."""
    asked = None if device is None else options.field(RunConfig, "device").check(device)
    if variant is not None:
        options.variant(variant)
    where = choose_device(asked or os.environ.get("GAN_DEVICE") or "auto")
    file = require_model_file(pretrained.resolve_checkpoint(options.path(path, "path", "a path, a name or a run")).path)
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
            does = f"draws {channels}×{size}×{size}"
            does += f" of {counted(len(self.class_names), 'class')}" if self.class_names else ""
        count = sum(parameter.numel() for parameter in self.generator.parameters())
        where = (
            f"trained on {facts.dataset} for {counted(facts.step, 'step', ',')}; {count:,} parameters, on {self.device}"
        )
        return f"<{facts.variant} {does}; {where}; {self.path}>"

    @options.spoken()
    def sample(
        self,
        n: Int | None = None,
        *,
        seed: Int | None = None,
        label: str | Int | Iterable[str | Int] | None = None,
        truncation: Float | None = None,
        levels: bool | None = None,
        columns: Int | None = None,
        zoom: Int | None = None,
        batch_size: Int | None = None,
    ) -> Samples:
        """Generate `n` images (default 64), bit for bit those of `gan sample`. The first has the seed `seed` (default 0),
        the next one `seed + 1`. `label`: a class by name or number, or several that take turns. `truncation`: bound of the
        noise, above 0 and at most 10. `columns`: of the grid. `zoom`: side of a pixel in the grid and in files, 1 to 64.
        `batch_size` bounds the memory and does not change the images. Raises `UsageError`."""
        self._check_reads("labels")
        asked = options.given(
            count=n,
            seed=seed,
            label=None if label is None else _labels(label),
            truncation=truncation,
            levels=levels,
            columns=columns,
            zoom=zoom,
            batch_size=batch_size,
        )
        config = SampleConfig(**checked(SampleConfig, asked))
        return Samples.of(order.make(self.loaded, config, self.device))

    @options.spoken()
    def enlarge(self, image: Picture, *, tile: Int | None = None) -> Image.Image:
        """Enlarge an image, as `gan sample -i` does, and return a Pillow image with its transparency, profile and EXIF.
        `image`: a Pillow image of any mode, a uint8 array `[H, W]` or `[H, W, C]`, or a uint8 tensor `[C, H, W]`.
        `tile`: side of the tiles in pixels of `image`; by default as memory allows. Raises `UsageError`, and `GancliError`
        if the image does not fit into memory."""
        self._check_reads("low_res")
        config = EnlargeConfig(**checked(EnlargeConfig, options.given(tile=tile)))
        image = _picture(image, "image")
        upscaler = enlarging.ready(self.loaded.variant, self.device, config.tile)
        name = str(getattr(image, "filename", "") or "the picture")
        set_aside = check_memory(upscaler, shape_of(image), ".png", name)
        layers = layers_of(image)
        return enlarge_layers(upscaler.fitting(layers.colour, set_aside), layers, name, set_aside, ignore)

    @options.spoken()
    def export(
        self,
        path: PathLike,
        *,
        opset: Int | None = None,
        license: str | None = None,  # noqa: A002 - the option's name
    ) -> list[Path]:
        """Write the model for other programs, as `gan export` does, and return the files. `path`: `.onnx`, `.pt2`, or a
        folder for a model hub. Raises `UsageError`, and `GancliError` if a file cannot be written."""
        from gancli.export import write

        asked = checked(ExportConfig, options.given(opset=opset, license=license))
        target = write.target(options.path(path, "path"), ExportConfig(**asked))
        exported = write.written(target, self.path, checkpoint.load_model(self.path), ignore)
        return [Path(file) for file in exported.files]

    @options.spoken()
    def compare(self, image: Picture, true: Picture | None = None, *, tile: Int | None = None) -> Compared:
        """Show an image, its bicubic enlargement, that of this model and, if given, the `true` high-resolution image side by
        side, as `gan sample --compare` does. With `true`, the `figures` of `"bicubic"` and `"model"` are PSNR and SSIM.
        Raises `UsageError`, and `DataError` if `true` has another size than the enlarged image."""
        self._check_reads("low_res")
        config = EnlargeConfig(**checked(EnlargeConfig, options.given(tile=tile)))
        upscaler = enlarging.ready(self.loaded.variant, self.device, config.tile)
        low_res = images.from_pil(_opaque(_picture(image, "image")))
        shown = None if true is None else images.from_pil(_opaque(_picture(true, "true")))
        truth = None if shown is None else side_by_side.fitting(shown, low_res, upscaler)
        return side_by_side.compared(upscaler, low_res, truth, side_by_side.name_of(self.path))

    def _check_reads(self, reads: str) -> None:
        if self.loaded.variant.condition_type != reads:
            does = "draws pictures; sample them" if reads == "low_res" else "enlarges pictures: model.enlarge(image)"
            raise UsageError(f"{pretrained.pretrained_name(self.path) or self.path}: {self.facts.variant} {does}")


def _labels(label: object) -> tuple[str, ...]:
    """Labels as the command line has them. Raises `UsageError` for none."""
    plain = label.tolist() if isinstance(label, np.ndarray | np.generic | Tensor) else label
    several = plain if isinstance(plain, Iterable) and not isinstance(plain, str) else [plain]
    found = tuple(str(each.item() if isinstance(each, np.generic | Tensor) else each) for each in several)
    if not found:
        raise UsageError("label: is empty; leave it out for all classes in turn")
    return found


def _picture(image: object, name: str) -> Image.Image:
    """What was given as a Pillow image. Raises `UsageError`."""
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
    """A picture as mode L or RGB, on white where it is transparent."""
    layers = layers_of(image)
    if layers.alpha is None:
        return layers.colour
    white = Image.new(layers.colour.mode, layers.colour.size, "white")
    return Image.composite(layers.colour, white, layers.alpha)
