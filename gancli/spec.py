"""What a variant is built for and trained on: the description of a dataset's images, and a batch of them.

Imports no torch, so that commands that only read files answer at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ImageSpec:
    """The images that a variant is built for. `class_names` is empty if the dataset has no labels."""

    channels: int
    size: int  # height and width, in pixels
    class_names: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class Batch:
    """The data of one training step.

    `images`: float `[B, C, H, W]` in [-1, 1]. `condition`: by the variant's `condition_type`, int64 labels `[B]` (all 0 if
    the dataset has none), or low-resolution images, float `[B, C, h, w]` in [-1, 1].
    """

    images: "Tensor"
    condition: "Tensor"

    def parts(self, count: int) -> "tuple[Batch, ...]":
        """Return so many equal parts of the batch, in its order; the first ones have one image more if it cannot be divided
        evenly."""
        if count == 1:
            return (self,)
        split = zip(self.images.tensor_split(count), self.condition.tensor_split(count), strict=True)
        return tuple(Batch(images, condition) for images, condition in split)
