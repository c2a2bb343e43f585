"""Pairs of a picture and its low-resolution form, made on the device from random crops of photographs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli import images
from gancli.data.batch import Batch
from gancli.data.photographs import Photographs, check_scale
from gancli.data.resident import fits
from gancli.data.stream import WHOLE, IndexStream, seeded


def reduce(pictures: Tensor, scale: int) -> Tensor:
    """Float `[B, C, H, W]` in [-1, 1] → `[B, C, H/scale, W/scale]`, by antialiased bicubic interpolation, then rounded to
    8 bits: what a model is given is what a file of that size would hold."""
    size = (pictures.shape[2] // scale, pictures.shape[3] // scale)
    small = F.interpolate(pictures, size, mode="bicubic", antialias=True)
    return images.to_float(images.to_uint8(small))


def enlarge(pictures: Tensor, scale: int) -> Tensor:
    """Float `[B, C, h, w]` → `[B, C, h·scale, w·scale]` by bicubic interpolation: what super-resolution has to beat."""
    size = (pictures.shape[2] * scale, pictures.shape[3] * scale)
    # antialias=True changes nothing for enlarging but the kernel: a = -0.5 as in Pillow and MATLAB, instead of -0.75
    return F.interpolate(pictures.float(), size, mode="bicubic", antialias=True)


class PairBatches:
    """The batches of a run: of each photograph that the index stream names a random crop, turned and mirrored at random.

    Crops are a pure function of seed and step, so a resume needs to know the step and nothing else. `share` is the part of
    every batch that this process takes.
    """

    def __init__(
        self, source: Photographs, device: torch.device, batch_size: int, seed: int, scale: int,
        channels_last: bool = False, share: slice = WHOLE,
    ) -> None:  # fmt: skip
        check_scale(source.crop, scale)
        self.stream = IndexStream(source.num_images, batch_size, seed)
        self.source, self.scale = source, scale
        self._device, self._share = device, share
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        home = device if not source.mapped and fits(source.num_bytes, device) else torch.device("cpu")
        self._pixels = source.pixels.to(home)

    def batch(self, step: int) -> Batch:
        """The batch of a step (0 is the first)."""
        pictures = images.to_float(self._crops(step).to(self._device))
        pictures = pictures.contiguous(memory_format=self._layout)
        return Batch(pictures, reduce(pictures, self.scale))

    def preview(self, count: int) -> Batch:
        """The centres of the first photographs, up to twice the crop's side: the same each time."""
        count = min(count, self.source.num_images)
        shorter = min(int(s) for s in torch.minimum(self.source.heights, self.source.widths)[:count])
        side = min(2 * self.source.crop, shorter) // self.scale * self.scale
        centres = []
        for index in range(count):
            picture = self.source.picture(index)
            top, left = (picture.shape[1] - side) // 2, (picture.shape[2] - side) // 2
            centres.append(picture[:, top : top + side, left : left + side])
        pictures = images.to_float(torch.stack(centres).to(self._device))
        return Batch(pictures, reduce(pictures, self.scale))

    def _crops(self, step: int) -> Tensor:
        """uint8 `[B, C, crop, crop]`: one gather from the photographs, wherever they lie."""
        indices, side = self.stream.indices(step), self.source.crop
        heights, widths = self.source.heights[indices], self.source.widths[indices]
        rng = seeded(f"crops {self.stream.seed} {step}")
        share = torch.rand(2, len(indices), generator=rng, dtype=torch.float64)
        turned, upside, mirrored = torch.randint(0, 2, (3, len(indices), 1, 1), generator=rng).bool()[:, self._share]
        top, left = (share * torch.stack([heights - side + 1, widths - side + 1])).long()[:, self._share]
        indices, widths = indices[self._share], widths[self._share]

        along = torch.arange(side)
        row, column = along[None, :, None], along[None, None, :]
        row, column = torch.where(turned, column, row), torch.where(turned, row, column)
        row = torch.where(upside, side - 1 - row, row) + top[:, None, None]
        column = torch.where(mirrored, side - 1 - column, column) + left[:, None, None]
        position = (
            self.source.offsets[indices][:, None, None] + (row * widths[:, None, None] + column) * self.source.channels
        )
        position = position[..., None] + torch.arange(self.source.channels)
        values = self._pixels.index_select(0, position.flatten().to(self._pixels.device))
        return values.view(position.shape).permute(0, 3, 1, 2)
