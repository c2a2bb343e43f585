"""The batches of a run, and how a training step gets its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.spec import Batch

if TYPE_CHECKING:  # they take 0.1 s to import, which sampling does without
    from gancli.data.dataset import Dataset
    from gancli.data.photographs import PhotoDataset

WHOLE_BATCH = slice(None)  # the share of a process that trains alone


class Batches(ABC):
    """Gives the batch of any step, as a pure function of seed and step: a resume needs no state.

    The dataset is moved to `device` unless it is memory-mapped or takes more than half of the free GPU memory (`on_device`
    is then False, and a thread gathers each step's data one step ahead). A captured step contains `gather` (where
    `on_device`) and `to_batch`; only the index rows are copied before each replay. `share` is the part of each batch that
    this process takes.
    """

    def __init__(self, source: "Dataset | PhotoDataset", device: torch.device, block_steps: int, share: slice) -> None:
        self.on_device = source.mapped_file is None and fits_in_memory(source.num_bytes, device)
        self._data_device = device if self.on_device else torch.device("cpu")
        self._block_steps, self._share = block_steps, share
        self._block: tuple[int, Tensor] | None = None
        self._prefetcher = Prefetcher(lambda step: self.gather(self.rows(step, 1)[0]), device)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step (0 is the first)."""
        return self.to_batch(self.fetch(step))

    def fetch(self, step: int) -> tuple[Tensor, ...]:
        """Return the step's gathered data on the training device, as `to_batch` takes them."""
        return self.gather(self.rows(step, 1)[0]) if self.on_device else self._prefetcher.get(step)

    def rows(self, step: int, count: int) -> Tensor:
        """Return the index rows of `count` steps, int64 `[count, …, B]` on the data's device. `count` is at most
        `rows_left(step)`."""
        block, position = divmod(step, self._block_steps)
        if self._block is None or self._block[0] != block:
            self._block = (block, self.block_rows(block)[..., self._share].to(self._data_device))
        return self._block[1][position : position + count]

    def rows_left(self, step: int) -> int:
        """Return how many steps, counted from `step`, `rows` can give together."""
        return self._block_steps - step % self._block_steps

    @abstractmethod
    def block_rows(self, block: int) -> Tensor:
        """Return the index rows of a block of steps, int64 `[block_steps, …, batch_size]` on the CPU."""

    @abstractmethod
    def gather(self, row: Tensor) -> tuple[Tensor, ...]:
        """Return the data of a step's index row, on the data's device."""

    @abstractmethod
    def to_batch(self, gathered: tuple[Tensor, ...]) -> Batch:
        """Return the batch of gathered data that are on the training device."""


def fits_in_memory(num_bytes: int, device: torch.device) -> bool:
    """Return whether a dataset takes at most half of the GPU memory that is free; True on other devices."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes < free / 2


class Prefetcher:
    """Gathers each step's data on the host in a thread, while a GPU still works on the step before.

    `gather(step)` returns a step's tensors on the host; they are pinned, so that the copy to the GPU does not block. On
    other devices nothing is gathered in advance.
    """

    def __init__(self, gather: Callable[[int], tuple[Tensor, ...]], device: torch.device) -> None:
        self._gather, self._device = gather, device
        self._pool = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._next: tuple[int, Future[tuple[Tensor, ...]]] | None = None

    def get(self, step: int) -> tuple[Tensor, ...]:
        """Return a step's tensors on the device, and start to gather those of the next step."""
        if self._pool is None:
            return tuple(tensor.to(self._device) for tensor in self._gather(step))
        if self._next is None or self._next[0] != step:
            self._next = (step, self._pool.submit(self._gather_pinned, step))
        gathered = self._next[1].result()
        self._next = (step + 1, self._pool.submit(self._gather_pinned, step + 1))
        return tuple(tensor.to(self._device, non_blocking=True) for tensor in gathered)

    def _gather_pinned(self, step: int) -> tuple[Tensor, ...]:
        return tuple(tensor.pin_memory() for tensor in self._gather(step))
