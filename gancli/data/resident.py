"""Batches from a data set that lies on the device as uint8. Per step: gather, normalise; nothing else."""

import torch
from torch import Tensor

from gancli import images
from gancli.data.batch import Batch
from gancli.data.source import Source
from gancli.data.stream import IndexStream


class ResidentBatches:
    """The batches of a run. A memory-mapped data set stays where it is and is gathered from there."""

    def __init__(
        self, source: Source, device: torch.device, batch_size: int, seed: int, channels_last: bool = False
    ) -> None:
        self.stream = IndexStream(len(source.images), batch_size, seed)
        self._device = device
        self._shape = tuple(source.images.shape[1:])
        home = torch.device("cpu") if source.mapped else device
        self._rows = source.images.flatten(1).to(home)
        self._labels = source.labels.to(home)
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._order: tuple[int, Tensor] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of a step (0 is the first)."""
        epoch, position = divmod(step, self.stream.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, self.stream.permutation(epoch).to(self._rows.device))
        size = self.stream.batch_size
        indices = self._order[1][position * size : (position + 1) * size]
        pixels = self._rows.index_select(0, indices).view(size, *self._shape).to(self._device)
        labels = self._labels.index_select(0, indices).to(self._device)
        return Batch(images.to_float(pixels).contiguous(memory_format=self._layout), labels)
