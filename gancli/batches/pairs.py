"""Pairs of a picture and its low-resolution form, made on the device from random crops of photographs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli import images
from gancli.batches.ahead import Ahead
from gancli.batches.batch import Batch
from gancli.batches.resident import fits
from gancli.batches.stream import WHOLE, IndexStream, seeded
from gancli.data.photographs import Photographs, check_scale

BLOCK = 64  # steps whose crops are chosen in one go


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
        self.on_device = source.mapped_file is None and fits(source.num_bytes, device)
        self._home = device if self.on_device else torch.device("cpu")
        self._pixels = source.pixels.to(self._home)
        self._block: tuple[int, Tensor] | None = None
        self._ahead = Ahead(lambda step: self.take(self.rows(step, 1)[0]), device)

    def batch(self, step: int) -> Batch:
        """The batch of a step (0 is the first)."""
        return self.finish(self.fetch(step))

    def fetch(self, step: int) -> tuple[Tensor, ...]:
        """What a step takes, on the device."""
        return self.take(self.rows(step, 1)[0]) if self.on_device else self._ahead.at(step)

    def rows(self, step: int, count: int) -> Tensor:
        """Where the crops of `count` steps from `step` on lie: int64 `[count, 5, B]` (see `_crops`), where the data lie.
        They must be of one block of steps."""
        block, position = divmod(step, BLOCK)
        if self._block is None or self._block[0] != block:
            crops = [self._crops(block * BLOCK + index) for index in range(BLOCK)]
            self._block = (block, torch.stack(crops)[..., self._share].to(self._home))
        return self._block[1][position : position + count]

    def rows_left(self, step: int) -> int:
        """How many steps from `step` on `rows` can give together."""
        return BLOCK - step % BLOCK

    def take(self, row: Tensor) -> tuple[Tensor]:
        """The pixels of a step's row, uint8 `[B, C, crop, crop]`: one gather, wherever the photographs lie."""
        start, stride, turned, upside, mirrored = row[..., None, None]
        side, channels = self.source.crop, self.source.channels
        along = torch.arange(side, device=row.device)
        row_of, column_of = along[None, :, None], along[None, None, :]
        down, right = torch.where(turned > 0, column_of, row_of), torch.where(turned > 0, row_of, column_of)
        down = torch.where(upside > 0, side - 1 - down, down)
        right = torch.where(mirrored > 0, side - 1 - right, right)
        position = start + (down * stride + right) * channels
        position = position[..., None] + torch.arange(channels, device=row.device)
        values = self._pixels.index_select(0, position.flatten())
        return (values.view(position.shape).permute(0, 3, 1, 2),)

    def finish(self, taken: tuple[Tensor, ...]) -> Batch:
        """A batch of what `take` gave, brought to the device."""
        (pixels,) = taken
        pictures = images.to_float(pixels).contiguous(memory_format=self._layout)
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
        """A step's crops, int64 `[5, B]`: where each begins, the width of its picture, and whether it is turned, upside down
        and mirrored (0 or 1)."""
        indices, side = self.stream.indices(step), self.source.crop
        heights, widths = self.source.heights[indices], self.source.widths[indices]
        rng = seeded(f"crops {self.stream.seed} {step}")
        share = torch.rand(2, len(indices), generator=rng, dtype=torch.float64)
        flags = torch.randint(0, 2, (3, len(indices), 1, 1), generator=rng).view(3, -1)
        top, left = (share * torch.stack([heights - side + 1, widths - side + 1])).long()
        start = self.source.offsets[indices] + (top * widths + left) * self.source.channels
        return torch.stack([start, widths, *flags])
