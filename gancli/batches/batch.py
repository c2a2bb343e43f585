"""What a step is given. No torch is imported at run time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """`images`: float `[B, C, H, W]` in [-1, 1]. `condition`: what the variant `reads`: int64 labels `[B]` (all 0
    where the data set has none), or low-resolution images, float `[B, C, h, w]` in [-1, 1]."""

    images: "Tensor"
    condition: "Tensor"


class Batches(Protocol):
    """What `resident` and `pairs` give. `on_device`: rows and pixels lie on the device."""

    on_device: bool

    def batch(self, step: int) -> Batch: ...

    def rows(self, step: int, count: int) -> "Tensor": ...

    def rows_left(self, step: int) -> int: ...

    def take(self, row: "Tensor") -> "tuple[Tensor, ...]": ...

    def fetch(self, step: int) -> "tuple[Tensor, ...]": ...

    def finish(self, taken: "tuple[Tensor, ...]") -> Batch: ...
