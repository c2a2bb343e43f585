"""`gancli.load`: a model to draw with, or to enlarge with."""

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from gancli import images
from gancli.api import options
from gancli.api.samples import Samples
from gancli.config.export import ExportConfig
from gancli.config.sample import EnlargeConfig, SampleConfig
from gancli.data.decode import layers_of, shape_of
from gancli.errors import UsageError
from gancli.events import Telling
from gancli.machine.device import choose_device
from gancli.metrics import side_by_side
from gancli.metrics.side_by_side import Compared
from gancli.sampling import enlarging, order
from gancli.sampling.upscale import check_memory, enlarge_layers
from gancli.store import checkpoint, names
from gancli.store.facts import Facts
from gancli.store.rundir import model_in
from gancli.text import counted


def load(path: str | os.PathLike[str], device: str | None = None) -> "Model":
    """The model of a run directory, of a `ckpt.safetensors` or of a name (`"digits"`: one that comes along), on `device`
    (auto, cpu, cuda, cuda:N, mps; by default what `GAN_DEVICE` says, else auto). Raises `CheckpointError` for any file that
    is not a sound one, and `UsageError`."""
    where = choose_device(device or os.environ.get("GAN_DEVICE") or "auto")
    file = model_in(names.located(path).path)
    return Model(checkpoint.load_model(file), file, where)


class Model:
    """A model that was loaded. `path`: of its checkpoint; `device`: where it draws."""

    def __init__(self, loaded: checkpoint.Model, path: Path, device: torch.device) -> None:
        self.loaded, self.path, self.device = loaded, path, device
        loaded.variant.generator.to(device)

    @property
    def generator(self) -> nn.Module:
        """The averaged generator: noise and, for a conditional model, labels (or low-resolution pictures) → float
        `[B, C, H, W]` in [-1, 1]. In eval mode, on `device`."""
        return self.loaded.variant.generator

    @property
    def latent_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one picture's noise, for each tensor of noise that the generator takes."""
        return self.loaded.variant.latent_shapes

    @property
    def facts(self) -> Facts:
        """What the checkpoint says of itself: variant, options, step, data set, losses."""
        return self.loaded.facts

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that may be asked for; empty where pictures are not drawn by class."""
        return self.loaded.variant.images.class_names if self.loaded.variant.conditional else ()

    def __repr__(self) -> str:
        facts = self.facts
        channels, size = facts.images.channels, facts.images.size
        if self.loaded.variant.reads == "low_res":
            does = f"enlarges {self.loaded.variant.scale} times"
        else:
            does = f"draws {channels}×{size}×{size}"
            does += f" of {counted(len(self.class_names), 'class')}" if self.class_names else ""
        count = sum(parameter.numel() for parameter in self.generator.parameters())
        where = (
            f"trained on {facts.dataset} for {counted(facts.step, 'step', ',')}; {count:,} parameters, on {self.device}"
        )
        return f"<{facts.variant} {does}; {where}; {self.path}>"

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        label: str | int | Sequence[str | int] | None = None,
        truncation: float | None = None,
        levels: bool | None = None,
        columns: int | None = None,
        zoom: int | None = None,
        batch_size: int | None = None,
    ) -> Samples:
        """Draw `n` pictures (by default 64) from seed `seed` on: those of `gan sample -n N --seed SEED`, to the last bit.
        `columns` is of the grid that they show themselves as, `zoom` of that and of files: each pixel becomes so many across
        and down. Raises `UsageError`."""
        self._check_reads("labels")
        labels = None if label is None else [label] if isinstance(label, str | int) else list(label)
        config = SampleConfig(
            **options.given(
                count=n,
                seed=seed,
                label=labels and tuple(map(str, labels)),
                truncation=truncation,
                levels=levels,
                columns=columns,
                zoom=zoom,
                batch_size=batch_size,
            )
        )
        return Samples.of(order.make(self.loaded, config, self.device))

    def enlarge(self, image: Image.Image, *, tile: int | None = None) -> Image.Image:
        """A picture enlarged: any mode that Pillow has in, and out as `gan sample -i` writes it, transparency, profile and
        EXIF kept in its `info`. `tile`: side of the tiles in pixels of `image` (None: as memory allows). Raises
        `UsageError`, and `GancliError` where it does not fit into memory."""
        self._check_reads("low_res")
        config = EnlargeConfig(**options.given(tile=tile))
        upscaler = enlarging.ready(self.loaded.variant, self.device, config.tile)
        name = str(getattr(image, "filename", "") or "the picture")
        set_aside = check_memory(upscaler, shape_of(image), ".png", name)
        layers = layers_of(image)
        layers = replace(layers, about=layers.about.for_file(".png"))
        work = enlarge_layers(upscaler.fitting(layers.colour, set_aside), layers, name, set_aside)
        telling = Telling(work)
        deque(telling, maxlen=0)  # nobody is told how far it is
        return telling.result

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        opset: int | None = None,
        license: str | None = None,  # noqa: A002 - the option's name
    ) -> list[Path]:
        """Write the model for other programs, as `gan export -o PATH` does: `.onnx`, `.pt2`, or a folder for a model hub.
        Gives the files that were written. Raises `UsageError`, and `GancliError` for what the disk refuses."""
        from gancli.export import write

        target = write.target(os.fspath(path), ExportConfig(**options.given(opset=opset, license=license)))
        telling = Telling(write.written(target, self.path, checkpoint.load_model(self.path)))
        deque(telling, maxlen=0)  # as above
        return [Path(file) for file in telling.result.files]

    def compare(self, image: Image.Image, true: Image.Image | None = None, *, tile: int | None = None) -> Compared:
        """A picture as it is, by bicubic interpolation, by this model and, where it is given, as it truly is, side by side:
        what `gan sample -i … --compare --true …` writes. Its `figures`, of `bicubic` and `model`, are PSNR and SSIM; none
        without a `true` picture. Raises `UsageError`, and `DataError` for a true picture of another size."""
        self._check_reads("low_res")
        config = EnlargeConfig(**options.given(tile=tile))
        upscaler = enlarging.ready(self.loaded.variant, self.device, config.tile)
        low_res = images.from_pil(_opaque(image))
        truth = None if true is None else side_by_side.fitting(images.from_pil(_opaque(true)), low_res, upscaler)
        return side_by_side.compared(upscaler, low_res, truth, side_by_side.name_of(self.path))

    def _check_reads(self, reads: str) -> None:
        if self.loaded.variant.reads != reads:
            does = "draws pictures; sample them" if reads == "low_res" else "enlarges pictures: model.enlarge(image)"
            raise UsageError(f"{names.name_of(self.path) or self.path}: {self.facts.variant} {does}")


def _opaque(image: Image.Image) -> Image.Image:
    """A picture as mode L or RGB, on white where it is transparent."""
    layers = layers_of(image)
    if layers.alpha is None:
        return layers.colour
    white = Image.new(layers.colour.mode, layers.colour.size, "white")
    return Image.composite(layers.colour, white, layers.alpha)
