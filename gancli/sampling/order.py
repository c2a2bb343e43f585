"""Which pictures are drawn, and with what: made of what was asked for, by the command line or in Python."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli import images
from gancli.config.sample import SampleConfig
from gancli.errors import UsageError
from gancli.events import Emit, Preparing
from gancli.sampling import draw, walk
from gancli.sampling.draw import Drawn, Paint, Request
from gancli.sampling.labels import parse_labels
from gancli.store import pretrained
from gancli.store.checkpoint import Model


@dataclass(frozen=True)
class Order:
    """Pictures to draw, on `device`. `columns`: of a grid of them; None: as near to a square as can be."""

    model: Model
    config: SampleConfig
    wanted: list[Request]
    device: torch.device
    columns: int | None
    held: Tensor | None = None  # the pictures, where they are drawn already: uint8 [N, C, H, W], in order

    @property
    def paint(self) -> Paint:
        """What makes them: the generator, or all its levels side by side."""
        return draw.side_by_side(self.model.variant) if self.config.levels else self.model.variant.generator

    @property
    def num_levels(self) -> int:
        """How many pictures each consists of, side by side."""
        return self.model.variant.num_levels if self.config.levels else 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the pictures' labels; empty where the pictures are not drawn by class."""
        return self.model.variant.images.class_names if self.model.variant.conditional else ()

    def drawn(self, emit: Emit) -> Iterator[Drawn]:
        """The pictures, `config.batch_size` held at a time, not in order."""
        if self.held is not None:
            yield from map(Drawn, range(len(self.wanted)), self.wanted, self.held)
            return
        chunk, total, count = self.config.batch_size, len(self.wanted), 0
        for start in range(0, total, chunk):
            some = self.wanted[start : start + chunk]
            for one in draw.draw(self.model.variant, self.paint, some, self.device, self.config.truncation):
                yield Drawn(start + one.index, one.request, one.pixels)
                count += 1
                if count % draw.BLOCK == 0:
                    emit(Preparing("drawing pictures", count, total, "pictures"))

    @property
    def zoom(self) -> int:
        """How many pixels of a file each pixel becomes, across and down."""
        return self.config.zoom or 1

    def walk(self, frames_per_leg: int) -> Iterator[Tensor]:
        """The frames of a walk over `config.walk` stops."""
        assert self.config.walk is not None
        variant, truncation = self.model.variant, self.config.truncation
        return walk.walk(variant, self.paint, self.wanted, self.config.walk, frames_per_leg, self.device, truncation)

    def pixels(self, emit: Emit) -> Tensor:
        """All pictures in order: uint8 `[N, C, H, W]`."""
        if self.held is not None:
            return self.held
        found = {one.index: one.pixels for one in self.drawn(emit)}
        return torch.stack([found[index] for index in range(len(self.wanted))])


def make(model: Model, config: SampleConfig, device: torch.device) -> Order:
    """The order for what is asked for; the model's generator is moved to `device`. Raises `UsageError` for labels or levels
    that the model does not have."""
    variant = model.variant
    labels = _labels(model, config)
    if config.levels and variant.num_levels == 1:
        raise UsageError(f"--levels: {model.facts.variant} makes its pictures in one go; leave it out")
    columns = config.columns
    if columns is None and 1 < len(labels) <= 32:
        columns = images.columns_for(config.count, len(labels))
    variant.generator.to(device)
    wanted = draw.requests(config.count, config.seed, labels)
    return Order(model, config, wanted, device, columns)


def check_reads(model: Model, path: Path, reads: str) -> None:
    """Raises `UsageError` for a model (of `path`) that draws pictures where one that enlarges them is needed, or the other
    way round."""
    if model.variant.condition_type == reads:
        return
    name = model.facts.variant
    if reads == "labels":
        raise UsageError(
            f"{pretrained.pretrained_name(path) or path}: {name} enlarges pictures; say which with -i FILE or -i DIR"
        )
    raise UsageError(f"-i: {name} draws pictures from noise and reads none; leave it out")


def _labels(model: Model, config: SampleConfig) -> tuple[int, ...]:
    names = model.variant.images.class_names
    if not model.variant.conditional:
        if config.label:
            raise UsageError(
                f"--label {','.join(config.label)}: {model.facts.variant} is not conditional: its pictures cannot be chosen"
            )
        return (0,)
    return parse_labels(config.label, names) if config.label else tuple(range(len(names)))
