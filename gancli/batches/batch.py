"""What a step is given, and what it needs to know about the images beforehand. No torch is imported at run time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ImageSpec:
    """The images a variant is built for. `class_names` is empty where the data set has no labels."""

    channels: int
    size: int  # height and width, in pixels
    class_names: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class Batch:
    """`images`: float `[B, C, H, W]` in [-1, 1]. `condition`: what the variant `reads`: int64 labels `[B]` (all 0
    where the data set has none), or low-resolution images, float `[B, C, h, w]` in [-1, 1]."""

    images: "Tensor"
    condition: "Tensor"
