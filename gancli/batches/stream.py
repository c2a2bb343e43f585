"""One seeded stream of indices, a pure function of the step: a resume needs to know the step and nothing else."""

import hashlib

import torch
from torch import Tensor

WHOLE = slice(None)  # of a batch: what a process on its own takes


def seeded(purpose: str) -> torch.Generator:
    """A source of randomness on the CPU that depends on `purpose` alone."""
    digest = hashlib.sha256(purpose.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def parted(num_images: int, num_held_out: int) -> tuple[Tensor, Tensor]:
    """The images to train on and those held out, int64 indices in order: the same of a data set whatever the run's seed."""
    order = torch.randperm(num_images, generator=seeded("held out"))
    return order[num_held_out:].sort().values, order[:num_held_out].sort().values


class IndexStream:
    """Which images each step gets. Every epoch is a fresh permutation; what does not fill a batch is left out of it.

    A data set smaller than a batch is repeated: an epoch is then one step of several permutations.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int) -> None:
        self.num_images = num_images
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = max(1, num_images // batch_size)
        self._permuted: tuple[int, Tensor] | None = None

    def epoch(self, step: int) -> float:
        """Passes over the data after `step` steps."""
        return step / self.steps_per_epoch

    def permutation(self, epoch: int) -> Tensor:
        """The order of an epoch: int64 `[steps_per_epoch · batch_size]`, on the CPU."""
        if self._permuted is None or self._permuted[0] != epoch:
            rng = seeded(f"{self.seed} {epoch}")
            length = self.steps_per_epoch * self.batch_size
            rounds = -(-length // self.num_images)
            order = torch.cat([torch.randperm(self.num_images, generator=rng) for _ in range(rounds)])[:length]
            self._permuted = (epoch, order)
        return self._permuted[1]

    def halves(self, epoch: int) -> Tensor:
        """One half of an epoch's pictures, at random: bool `[steps_per_epoch · batch_size]`, on the CPU."""
        rng = seeded(f"{self.seed} {epoch} mirrored")
        return torch.rand(self.steps_per_epoch * self.batch_size, generator=rng) < 0.5

    def indices(self, step: int) -> Tensor:
        """The images of a step (0 is the first): int64 `[batch_size]`."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self.permutation(epoch)[position * self.batch_size : (position + 1) * self.batch_size]
