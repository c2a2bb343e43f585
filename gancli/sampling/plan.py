"""Which images are generated, and how, from the options of `gan sample` and of `Model.sample` in Python."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli import images
from gancli.config.sample import SampleConfig
from gancli.errors import UsageError
from gancli.events import Emit, Preparing
from gancli.sampling import generate
from gancli.sampling.generate import GeneratedImage, GeneratorFn, Request
from gancli.sampling.labels import parse_labels
from gancli.store.checkpoint import Model


@dataclass(frozen=True)
class SamplingPlan:
    """Images to generate on `device`. `labels` take turns (0 for an unconditional model). `columns`: of a grid of the
    images; None: as square as possible. `model_name`: in the metadata of files; `""`: not there."""

    model: Model
    config: SampleConfig
    requests: list[Request]
    labels: tuple[int, ...]
    device: torch.device
    columns: int | None
    model_name: str = ""
    generated: Tensor | None = None  # the images, if they are already generated: uint8 [N, C, H, W], in order

    @property
    def generator(self) -> GeneratorFn:
        """The generator, or all its levels side by side."""
        return generate.side_by_side(self.model.variant) if self.config.levels else self.model.variant.generator

    @property
    def width(self) -> int:
        """The width of an image in pixels; with `levels`, of all its levels side by side."""
        variant = self.model.variant
        return generate.width_side_by_side(variant.images.size, variant.num_levels if self.config.levels else 1)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the labels; empty for an unconditional model."""
        return self.model.variant.images.class_names if self.model.variant.conditional else ()

    @property
    def zoom(self) -> int:
        """The side in pixels, in files, of each pixel."""
        return self.config.zoom or 1

    def generate(self, emit: Emit) -> Iterator[GeneratedImage]:
        """Yield the images, not in order, of which at most `config.batch_size` are in memory."""
        if self.generated is not None:
            yield from map(GeneratedImage, range(len(self.requests)), self.requests, self.generated)
            return
        chunk, total, count = self.config.batch_size, len(self.requests), 0
        for start in range(0, total, chunk):
            some = self.requests[start : start + chunk]
            for one in generate.generate(self.model.variant, self.generator, some, self.device, self.config.truncation):
                yield GeneratedImage(start + one.index, one.request, one.pixels)
                count += 1
                if count % generate.BLOCK == 0:
                    emit(Preparing("generating images", count, total, "images"))

    def pixels(self, emit: Emit) -> Tensor:
        """Return the images in order: uint8 `[N, C, H, W]`."""
        if self.generated is not None:
            return self.generated
        found = {one.index: one.pixels for one in self.generate(emit)}
        return torch.stack([found[index] for index in range(len(self.requests))])

    def frames(self, frames_per_leg: int) -> Iterator[Tensor]:
        """Yield the frames of an interpolation between `config.walk` seeds."""
        assert self.config.walk is not None
        return generate.interpolate(
            self.model.variant, self.generator, self.requests, self.config.walk, frames_per_leg, self.device,
            self.config.truncation,
        )  # fmt: skip


def make_plan(model: Model, config: SampleConfig, device: torch.device, name: str = "") -> SamplingPlan:
    """Return the plan for the given options, and move the generator to `device`. `name`: of the model, for the metadata of
    files. Raises `UsageError` for labels or levels that the model does not have."""
    variant = model.variant
    labels = _labels(model, config)
    if config.levels and variant.num_levels == 1:
        raise UsageError(f"--levels: {model.facts.variant} has only one level; leave it out")
    columns = config.columns
    if columns is None and 1 < len(labels) <= 32:
        columns = images.columns_for(config.count, len(labels))
    variant.generator.to(device)
    requests = generate.requests_of(config.all_seeds(), labels)
    return SamplingPlan(model, config, requests, labels, device, columns, name)


def _labels(model: Model, config: SampleConfig) -> tuple[int, ...]:
    names = model.variant.images.class_names
    if model.variant.conditional:
        return parse_labels(config.label, names) if config.label else tuple(range(len(names)))
    if config.label:
        raise UsageError(
            f"--label {','.join(config.label)}: {model.facts.variant} is not conditional, so has no labels"
        )
    return (0,)
