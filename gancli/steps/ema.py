"""The averaged generator: what is sampled and exported."""

import copy

import torch
from torch import Tensor, nn

from gancli.machine import private


class Average:
    """An exponential moving average of a generator's weights and floating-point buffers (integer buffers are copied).

    Early on the decay is min(decay, (1+t)/(10+t)), so that the random start is soon forgotten. With `decay` 0 there is no
    average, and `module` is the generator as it was when `refresh` was last called.
    """

    def __init__(self, generator: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(generator).requires_grad_(False).eval()
        pairs = list(zip(self.module.state_dict().values(), generator.state_dict().values(), strict=True))
        self._averaged = [mine for mine, _ in pairs if mine.is_floating_point()]
        self._live = [live for _, live in pairs if live.is_floating_point()]
        self._copied = [(mine, live) for mine, live in pairs if not mine.is_floating_point()]
        self._weight = 1.0
        self._weight_tensor = torch.ones((), device=self._averaged[0].device)

    def update(self, step: int) -> None:
        """Move towards the live weights; `step` is the number of steps done, 1 after the first."""
        self.prepare(step)
        self.move()

    def prepare(self, step: int) -> None:
        """The host's part of `update`."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        if weight != self._weight:
            self._weight = weight
            self._weight_tensor.fill_(weight)

    def tensors(self) -> list[Tensor]:
        """All that `move` changes."""
        return list(self.module.state_dict().values())

    def settled(self, step: int) -> bool:
        """Whether `prepare` changes nothing any more from `step` on."""
        return not self.decay or (1 + step) / (10 + step) >= self.decay

    @torch.no_grad()
    def move(self) -> None:
        """The device's part of `update`, which may be captured."""
        if not self.decay:
            return
        if self._weight_tensor.device.type == "cpu":
            private.foreach_lerp_(self._averaged, self._live, [self._weight_tensor] * len(self._live))
        else:  # the same in kernels that take many tensors at once
            way = private.foreach_sub(self._live, self._averaged)
            private.foreach_mul_(way, self._weight_tensor)
            private.foreach_add_(self._averaged, way)
        self._copy_integers()

    def refresh(self) -> nn.Module:
        """The module to sample from, up to date also where there is no average."""
        if not self.decay:
            self.start_over()
        return self.module

    @torch.no_grad()
    def start_over(self) -> None:
        """Forget what was averaged: the live weights are all that there is."""
        private.foreach_copy_(self._averaged, self._live)
        self._copy_integers()

    def _copy_integers(self) -> None:
        for mine, live in self._copied:
            mine.copy_(live)
