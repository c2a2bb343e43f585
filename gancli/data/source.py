"""A data set as one uint8 tensor with labels."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from gancli.data import fingerprint
from gancli.spec import ImageSpec


@dataclass(frozen=True)
class Source:
    """One data set, decoded. `images`: uint8 `[N, C, H, W]`; `labels`: int64 `[N]`, all 0 where there are none.

    `mapped_file`: see `cache.PixelArray`. `digest`: of the images, where it is known. `stacked`: each
    channel is a picture of its own, of a digit, and the label their number (`data.stacked`). `note`: what to warn of each
    time that it is opened, a line each.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    mapped_file: Path | None = None
    digest: str = ""
    stacked: bool = False
    note: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """What a resume knows these pictures and labels by, wherever they lie."""
        pixels = self.digest or fingerprint.digest(self.images)
        return fingerprint.fingerprint(pixels, [self.labels], self.class_names)

    @property
    def spec(self) -> ImageSpec:
        _, channels, height, _ = self.images.shape
        return ImageSpec(channels, height, self.class_names)

    @property
    def num_images(self) -> int:
        return len(self.images)

    @property
    def num_bytes(self) -> int:
        return self.images.numel() + 8 * len(self.labels)
