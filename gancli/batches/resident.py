"""Batches from a data set that lies on the device as uint8. Per step: gather, normalise; nothing else."""

import torch
from torch import Tensor

from gancli import images
from gancli.batches.ahead import Ahead
from gancli.batches.batch import Batch
from gancli.batches.stream import WHOLE, IndexStream
from gancli.data.source import Source


class ResidentBatches:
    """The batches of a run.

    A data set that is memory-mapped, or does not fit, stays where it is and is gathered from there, one step ahead of the
    device. With `channels_last` the images of a batch are laid out so (it is the rows that are, once). `share` is the part
    of every batch that this process takes. With `mirror` half of the pictures of an epoch, others in each, are mirrored: a
    row's number is then that of its picture, or beyond the last by so much. `kept`: int64 indices of the images that are
    trained on (None: all).
    """

    def __init__(
        self, source: Source, device: torch.device, batch_size: int, seed: int, channels_last: bool = False,
        share: slice = WHOLE, mirror: bool = False, kept: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.stream = IndexStream(source.num_images if kept is None else len(kept), batch_size, seed)
        self._kept = kept
        self._share, self._mirror, self._num_images = share, mirror, source.num_images
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self.on_device = source.mapped_file is None and fits(source.num_bytes, device)
        self._home = device if self.on_device else torch.device("cpu")
        self._pixels = source.images.to(self._home)
        self._channels_last = channels_last and source.mapped_file is None  # a map is not laid out anew
        if self._channels_last:
            self._pixels = self._pixels.permute(0, 2, 3, 1).contiguous()
        self._labels = source.labels.to(self._home)
        self._order: tuple[int, Tensor] | None = None
        self._ahead = Ahead(lambda step: self.take(self.rows(step, 1)[0]), device)

    def batch(self, step: int) -> Batch:
        """The batch of a step (0 is the first)."""
        return self.finish(self.fetch(step))

    def fetch(self, step: int) -> tuple[Tensor, ...]:
        """What a step takes, on the device."""
        return self.take(self.rows(step, 1)[0]) if self.on_device else self._ahead.at(step)

    def rows(self, step: int, count: int) -> Tensor:
        """What `count` steps from `step` on take: int64 `[count, B]`, where the data lie. They must be of one epoch."""
        epoch, position = divmod(step, self.stream.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            order = self.stream.permutation(epoch)
            order = order if self._kept is None else self._kept[order]
            if self._mirror:
                order = order + self._num_images * self.stream.halves(epoch)
            order = order.view(-1, self.stream.batch_size)[:, self._share]
            self._order = (epoch, order.to(self._home))
        return self._order[1][position : position + count]

    def rows_left(self, step: int) -> int:
        """How many steps from `step` on `rows` can give together."""
        return self.stream.steps_per_epoch - step % self.stream.steps_per_epoch

    def take(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """The pixels, uint8 `[B, C, H, W]`, and labels of a step's row, where the data lie."""
        row, mirrored = (row % self._num_images, row >= self._num_images) if self._mirror else (row, None)
        pixels = self._pixels.index_select(0, row)
        if mirrored is not None:
            across = 2 if self._channels_last else 3
            pixels = torch.where(mirrored[:, None, None, None], pixels.flip(across), pixels)
        pixels = pixels.permute(0, 3, 1, 2) if self._channels_last else pixels.contiguous(memory_format=self._layout)
        return pixels, self._labels.index_select(0, row)

    def finish(self, taken: tuple[Tensor, ...]) -> Batch:
        """A batch of what `take` gave, brought to the device."""
        pixels, labels = taken
        return Batch(images.to_float(pixels), labels)


def fits(num_bytes: int, device: torch.device) -> bool:
    """Whether a data set may lie on `device`: it takes at most half of the memory that is free on a GPU."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes < free / 2
