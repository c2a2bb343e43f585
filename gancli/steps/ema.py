"""The averaged generator, which is sampled and exported."""

import copy

import torch
from torch import Tensor, nn

from gancli.machine import torch_private


class AveragedModel:
    """An exponential moving average of a generator's weights and floating-point buffers; integer buffers are copied.

    The decay of step t is min(decay, (1+t)/(10+t)), so that the random start is soon forgotten. With `decay` 0 there is no
    average, and `module` is the generator as of the last call of `refresh`.
    """

    def __init__(self, generator: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(generator).requires_grad_(False).eval()
        pairs = list(zip(self.module.state_dict().values(), generator.state_dict().values(), strict=True))
        self._averaged = [mean for mean, _ in pairs if mean.is_floating_point()]
        self._live = [live for _, live in pairs if live.is_floating_point()]
        self._copied = [(copied, live) for copied, live in pairs if not copied.is_floating_point()]
        self._weight = 1.0
        self._weight_tensor = torch.ones((), device=self._averaged[0].device)

    def update(self, step: int) -> None:
        """Move the average towards the live weights. `step`: number of steps done, 1 after the first."""
        self.prepare(step)
        self.apply()

    def prepare(self, step: int) -> None:
        """Do the host's part of `update`: set the weight of the live values."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        if weight != self._weight:
            self._weight = weight
            self._weight_tensor.fill_(weight)

    def is_constant(self, step: int) -> bool:
        """Return whether `prepare` changes nothing from `step` on."""
        return not self.decay or (1 + step) / (10 + step) >= self.decay

    @torch.no_grad()
    def apply(self) -> None:
        """Do the device's part of `update`, which may be captured."""
        if not self.decay:
            return
        if self._weight_tensor.device.type == "cpu":
            torch_private.foreach_lerp_(self._averaged, self._live, [self._weight_tensor] * len(self._live))
        else:  # the same by kernels that take many tensors at once
            difference = torch_private.foreach_sub(self._live, self._averaged)
            torch_private.foreach_mul_(difference, self._weight_tensor)
            torch_private.foreach_add_(self._averaged, difference)
        self._copy_integers()

    def tensors(self) -> list[Tensor]:
        """Return all tensors that `apply` changes."""
        return list(self.module.state_dict().values())

    def refresh(self) -> nn.Module:
        """Return the module to sample from, up to date also if there is no average."""
        if not self.decay:
            self.reset()
        return self.module

    @torch.no_grad()
    def reset(self) -> None:
        """Set the average to the live weights."""
        torch_private.foreach_copy_(self._averaged, self._live)
        self._copy_integers()

    def _copy_integers(self) -> None:
        for copied, live in self._copied:
            copied.copy_(live)
