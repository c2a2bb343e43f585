"""The averaged generator: what is sampled and exported."""

import copy

import torch
from torch import nn


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

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the live weights; `step` is the number of steps done, 1 after the first."""
        if self.decay:
            self._lerp(1 - min(self.decay, (1 + step) / (10 + step)))

    @torch.no_grad()
    def refresh(self) -> nn.Module:
        """The module to sample from, up to date also where there is no average."""
        if not self.decay:
            self._lerp(1.0)
        return self.module

    def _lerp(self, weight: float) -> None:
        torch._foreach_lerp_(self._averaged, self._live, weight)
        for mine, live in self._copied:
            mine.copy_(live)
