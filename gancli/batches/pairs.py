"""Pairs of a high- and a low-resolution image, made on the device from random crops of photographs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gancli import images
from gancli.batches.batch import WHOLE_BATCH, Batches
from gancli.batches.index_stream import IndexStream, seeded_generator
from gancli.data.photographs import PhotoDataset, check_scale
from gancli.spec import Batch

BLOCK_STEPS = 64  # steps whose crops are chosen together


def downsample_bicubic(pictures: Tensor, scale: int) -> Tensor:
    """Downsample images, float `[B, C, H, W]` in [-1, 1] → `[B, C, H/scale, W/scale]`, by antialiased bicubic interpolation,
    rounded to 8 bits as in an image file."""
    size = (pictures.shape[2] // scale, pictures.shape[3] // scale)
    small = F.interpolate(pictures, size, mode="bicubic", antialias=True)
    return images.to_float(images.to_uint8(small))


def upsample_bicubic(pictures: Tensor, scale: int) -> Tensor:
    """Upsample images, float `[B, C, h, w]` → `[B, C, h·scale, w·scale]`, by bicubic interpolation: the baseline of
    super-resolution."""
    size = (pictures.shape[2] * scale, pictures.shape[3] * scale)
    # For upsampling antialias=True only changes the kernel: a = -0.5 as in Pillow and MATLAB, instead of -0.75.
    return F.interpolate(pictures.float(), size, mode="bicubic", antialias=True)


class PairBatches(Batches):
    """The batches of a run on pairs: a random crop of each photograph, transposed and flipped at random, and its
    low-resolution version, `scale` times smaller.

    Raises `UsageError` where `scale` does not divide the crop. `channels_last`: memory format of the images.
    """

    def __init__(
        self, source: PhotoDataset, device: torch.device, batch_size: int, seed: int, scale: int,
        channels_last: bool = False, share: slice = WHOLE_BATCH,
    ) -> None:  # fmt: skip
        check_scale(source.crop, scale)
        super().__init__(source, device, BLOCK_STEPS, share)
        self.stream = IndexStream(source.num_images, batch_size, seed)
        self.source, self.scale = source, scale
        self._device = device
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._pixels = source.pixels.to(self._data_device)

    def block_rows(self, block: int) -> Tensor:
        """Return the crops of a block of steps: int64 `[BLOCK_STEPS, 5, batch_size]` (see `_crops`)."""
        return torch.stack([self._crops(block * BLOCK_STEPS + index) for index in range(BLOCK_STEPS)])

    def gather(self, row: Tensor) -> tuple[Tensor]:
        """Return the pixels of a row `[5, B]` of crops, uint8 `[B, C, crop, crop]`, with one `index_select`."""
        start, width, transposed, flipped, mirrored = row[..., None, None]
        side, channels = self.source.crop, self.source.channels
        offsets = torch.arange(side, device=row.device)
        rows, columns = offsets[None, :, None], offsets[None, None, :]
        down, right = torch.where(transposed > 0, columns, rows), torch.where(transposed > 0, rows, columns)
        down = torch.where(flipped > 0, side - 1 - down, down)
        right = torch.where(mirrored > 0, side - 1 - right, right)
        position = start + (down * width + right) * channels
        position = position[..., None] + torch.arange(channels, device=row.device)
        values = self._pixels.index_select(0, position.flatten())
        return (values.view(position.shape).permute(0, 3, 1, 2),)

    def to_batch(self, gathered: tuple[Tensor, ...]) -> Batch:
        """Return the crops scaled to [-1, 1], and their low-resolution versions."""
        (pixels,) = gathered
        high_res = images.to_float(pixels).contiguous(memory_format=self._layout)
        return Batch(high_res, downsample_bicubic(high_res, self.scale))

    def preview(self, count: int) -> Batch:
        """Return the centres of the first `count` photographs, at most twice the crop's side: the same each time."""
        count = min(count, self.source.num_images)
        shorter = min(int(s) for s in torch.minimum(self.source.heights, self.source.widths)[:count])
        side = min(2 * self.source.crop, shorter) // self.scale * self.scale
        centres = []
        for index in range(count):
            photograph = self.source.image(index)
            top, left = (photograph.shape[1] - side) // 2, (photograph.shape[2] - side) // 2
            centres.append(photograph[:, top : top + side, left : left + side])
        high_res = images.to_float(torch.stack(centres).to(self._device))
        return Batch(high_res, downsample_bicubic(high_res, self.scale))

    def _crops(self, step: int) -> Tensor:
        """Return a step's crops, int64 `[5, B]`: offset of the first pixel, width of the photograph, and whether the crop is
        transposed, flipped upside down and mirrored (0 or 1)."""
        indices, side = self.stream.indices(step), self.source.crop
        heights, widths = self.source.heights[indices], self.source.widths[indices]
        rng = seeded_generator(f"crops {self.stream.seed} {step}")
        fractions = torch.rand(2, len(indices), generator=rng, dtype=torch.float64)
        flags = torch.randint(0, 2, (3, len(indices), 1, 1), generator=rng).view(3, -1)
        top, left = (fractions * torch.stack([heights - side + 1, widths - side + 1])).long()
        start = self.source.offsets[indices] + (top * widths + left) * self.source.channels
        return torch.stack([start, widths, *flags])
