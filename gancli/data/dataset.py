"""A decoded dataset: one uint8 tensor of images, and labels."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from gancli.spec import ImageSpec

DIGEST_BYTES = 16


def digest(values: Tensor) -> str:
    """Return the digest (BLAKE2b, in hexadecimal) of a tensor's bytes. It takes about a second per gigabyte."""
    return hashlib.blake2b(values.contiguous().numpy().data, digest_size=DIGEST_BYTES).hexdigest()


def fingerprint(pixels: str, numbers: Sequence[Tensor], names: Sequence[str]) -> str:
    """Return the fingerprint of a dataset from the digest of its pixels, its labels or sizes (int64) and its class names."""
    parts = [pixels, *map(digest, numbers), *names]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=DIGEST_BYTES).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A dataset of square images of one size. `images`: uint8 `[N, C, H, W]`; `labels`: int64 `[N]`, all 0 without classes.

    `mapped_file`: see `cache.PixelArray`. `digest`: of the images, "" if unknown. `stacked`: each channel is the image of a
    digit, and the label is their number (`data.stacked`). `note`: warnings to repeat whenever it is opened, a line each.
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
        """The fingerprint by which a resumed run recognises its images and labels, wherever they are."""
        return fingerprint(self.digest or digest(self.images), [self.labels], self.class_names)

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
