"""Generated images."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gancli import images
from gancli.api import options
from gancli.api.option_types import Int
from gancli.api.options import PathLike
from gancli.config import paths
from gancli.config.sample import SampleConfig
from gancli.events import ignore
from gancli.sampling import files
from gancli.sampling.plan import Order
from gancli.text import counted


@dataclass(frozen=True, repr=False)
class Samples:
    """Generated images. `pixels`: uint8 `[N, C, H, W]`; `seeds` and `labels`: int64 `[N]`, all labels 0 for an unconditional
    model. A notebook shows them as a grid.
    """

    pixels: Tensor
    seeds: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    order: Order

    @classmethod
    def of(cls, order: Order) -> "Samples":
        """Draw an order."""
        pixels = order.pixels(ignore)
        seeds = torch.tensor([request.seed for request in order.wanted])
        labels = torch.tensor([request.label for request in order.wanted])
        return cls(pixels, seeds, labels, order.class_names, dataclasses.replace(order, held=pixels))

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        count, channels, height, width = self.pixels.shape
        return f"<{counted(count, 'sample')} {channels}×{height}×{width} of {self.order.model.facts.variant}>"

    def images(self) -> list[Image.Image]:
        """Return the images as a list of Pillow images of mode L or RGB."""
        return [images.to_pil(pixels) for pixels in self.pixels]

    @options.spoken()
    def grid(self, columns: Int | None = None) -> Image.Image:
        """Return all images as one, as `gan sample -o grid.png` writes it. `columns`: by default those given to `sample`."""
        asked: int | None = options.field(SampleConfig, "columns").check(columns)
        return images.to_pil(images.grid(self.pixels, asked or self.order.columns), self.order.zoom)

    @options.spoken()
    def save(self, path: PathLike) -> list[Path]:
        """Write the images as `gan sample -o` does, and return the files. `path`: a grid (`.png`, `.jpg`, `.webp`), a folder
        (ending with `/`), or an `.npz` array. Raises `UsageError`, and `GancliError` if a file cannot be written."""
        asked = options.path(path, "path")
        place = paths.expanded(asked, "-o")
        paths.check_output(place, "-o")
        write = files.writer(place, asked, self.order.config)
        return [Path(file) for file in write(self.order, place, ignore)]

    def _repr_png_(self) -> bytes:
        return images.encode(self.grid(), ".png")
