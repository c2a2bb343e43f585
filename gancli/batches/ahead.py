"""Data that stay on the host: each step's are gathered by a thread while the device still works on the step before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

Taken = tuple[Tensor, ...]


class Ahead:
    """`take(step)` gives a step's tensors on the host; `at(step)` gives them on the device, with the next step's under way.

    Pinned memory is what a GPU can fetch from without the host's help; on any other device this is a plain call.
    """

    def __init__(self, take: Callable[[int], Taken], device: torch.device) -> None:
        self._take, self._device = take, device
        self._pool = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._next: tuple[int, Future[Taken]] | None = None

    def at(self, step: int) -> Taken:
        """A step's tensors, on the device. Asked for in order, they are ready."""
        if self._pool is None:
            return tuple(tensor.to(self._device) for tensor in self._take(step))
        if self._next is None or self._next[0] != step:
            self._next = (step, self._pool.submit(self._gathered, step))
        found = self._next[1].result()
        self._next = (step + 1, self._pool.submit(self._gathered, step + 1))
        return tuple(tensor.to(self._device, non_blocking=True) for tensor in found)

    def _gathered(self, step: int) -> Taken:
        return tuple(tensor.pin_memory() for tensor in self._take(step))
