"""Batches from a data set that lies on the device as uint8. Per step: gather, normalise; nothing else."""

import torch
from torch import Tensor

from gancli import images
from gancli.data.batch import Batch
from gancli.data.source import Source
from gancli.data.stream import WHOLE, IndexStream


class ResidentBatches:
    """The batches of a run.

    A data set that is memory-mapped, or does not fit, stays where it is and is gathered from there. With `channels_last` the
    images of a batch are laid out so (it is the rows that are, once). `share` is the part of every batch that this process
    takes.
    """

    def __init__(
        self, source: Source, device: torch.device, batch_size: int, seed: int, channels_last: bool = False,
        share: slice = WHOLE,
    ) -> None:  # fmt: skip
        self.stream = IndexStream(source.num_images, batch_size, seed)
        self._device, self._share = device, share
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        home = device if not source.mapped and fits(source.num_bytes, device) else torch.device("cpu")
        self._pixels = source.images.to(home)
        self._channels_last = channels_last and not source.mapped  # a map is not laid out anew
        if self._channels_last:
            self._pixels = self._pixels.permute(0, 2, 3, 1).contiguous()
        self._labels = source.labels.to(home)
        self._order: tuple[int, Tensor] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of a step (0 is the first)."""
        epoch, position = divmod(step, self.stream.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, self.stream.permutation(epoch).to(self._labels.device))
        size = self.stream.batch_size
        indices = self._order[1][position * size : (position + 1) * size][self._share]
        pixels = self._gathered(indices).to(self._device)
        return Batch(images.to_float(pixels), self._labels.index_select(0, indices).to(self._device))

    def _gathered(self, indices: Tensor) -> Tensor:
        """uint8 `[B, C, H, W]`."""
        pixels = self._pixels.index_select(0, indices)
        return pixels.permute(0, 3, 1, 2) if self._channels_last else pixels.contiguous(memory_format=self._layout)


def fits(num_bytes: int, device: torch.device) -> bool:
    """Whether a data set may lie on `device`: it takes at most half of the memory that is free on a GPU."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes < free / 2
