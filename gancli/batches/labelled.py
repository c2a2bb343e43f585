"""Batches of images with labels. The dataset stays uint8; a step gathers its images and scales them to [-1, 1]."""

import torch
from torch import Tensor

from gancli import images
from gancli.batches.batch import WHOLE_BATCH, Batches
from gancli.batches.index_stream import IndexStream
from gancli.data.dataset import Dataset
from gancli.spec import Batch


class LabelledBatches(Batches):
    """The batches of a run on images with labels.

    `channels_last`: memory format of a batch's images. `mirror`: half of the images of each epoch, chosen anew, are
    mirrored; an index of `num_images` or more stands for the mirrored image. `kept`: int64 indices of the images to train
    on (None: all).
    """

    def __init__(
        self, source: Dataset, device: torch.device, batch_size: int, seed: int, channels_last: bool = False,
        share: slice = WHOLE_BATCH, mirror: bool = False, kept: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.stream = IndexStream(source.num_images if kept is None else len(kept), batch_size, seed)
        super().__init__(source, device, self.stream.steps_per_epoch, share)
        self._kept, self._mirror, self._num_images = kept, mirror, source.num_images
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._pixels, self._labels = source.images.to(self._data_device), source.labels.to(self._data_device)
        self._is_nhwc = channels_last and source.mapped_file is None  # a mapped file keeps its layout
        if self._is_nhwc:
            self._pixels = self._pixels.permute(0, 2, 3, 1).contiguous()

    def block_rows(self, block: int) -> Tensor:
        """Return the indices of an epoch: int64 `[steps_per_epoch, batch_size]`."""
        indices = self.stream.permutation(block)
        indices = indices if self._kept is None else self._kept[indices]
        if self._mirror:
            indices = indices + self._num_images * self.stream.random_half(block)
        return indices.view(-1, self.stream.batch_size)

    def gather(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images, uint8 `[B, C, H, W]`, and labels, int64 `[B]`, of a row `[B]` of indices."""
        row, mirrored = (row % self._num_images, row >= self._num_images) if self._mirror else (row, None)
        pixels = self._pixels.index_select(0, row)
        if mirrored is not None:
            width_dim = 2 if self._is_nhwc else 3
            pixels = torch.where(mirrored[:, None, None, None], pixels.flip(width_dim), pixels)
        pixels = pixels.permute(0, 3, 1, 2) if self._is_nhwc else pixels.contiguous(memory_format=self._layout)
        return pixels, self._labels.index_select(0, row)

    def to_batch(self, gathered: tuple[Tensor, ...]) -> Batch:
        """Return the images scaled to [-1, 1], with their labels."""
        pixels, labels = gathered
        return Batch(images.to_float(pixels), labels)
