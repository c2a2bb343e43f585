"""The order of a dataset's images: seeded, and a pure function of the step, so that a resume needs no state."""

import hashlib

import torch
from torch import Tensor


def seeded_generator(purpose: str) -> torch.Generator:
    """Return a random generator on the CPU whose seed depends on `purpose` alone."""
    digest = hashlib.sha256(purpose.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def split_held_out(num_images: int, num_held_out: int) -> tuple[Tensor, Tensor]:
    """Return sorted int64 indices of the images to train on, and of those held out. They do not depend on the run's seed."""
    order = torch.randperm(num_images, generator=seeded_generator("held out"))
    return order[num_held_out:].sort().values, order[:num_held_out].sort().values


class IndexStream:
    """Chooses the images of each step. Every epoch is a new permutation; images left over after the last full batch are
    skipped.

    If the dataset is smaller than a batch, an epoch is one step that repeats it, each time in a new order.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int) -> None:
        self.num_images = num_images
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = max(1, num_images // batch_size)
        self._permuted: tuple[int, Tensor] | None = None

    def epoch(self, step: int) -> float:
        """Return the number of epochs done after `step` steps."""
        return step / self.steps_per_epoch

    def permutation(self, epoch: int) -> Tensor:
        """Return an epoch's image indices in order: int64 `[steps_per_epoch · batch_size]`, on the CPU."""
        if self._permuted is None or self._permuted[0] != epoch:
            rng = seeded_generator(f"{self.seed} {epoch}")
            length = self.steps_per_epoch * self.batch_size
            rounds = -(-length // self.num_images)
            order = torch.cat([torch.randperm(self.num_images, generator=rng) for _ in range(rounds)])[:length]
            self._permuted = (epoch, order)
        return self._permuted[1]

    def random_half(self, epoch: int) -> Tensor:
        """Return a mask of about half of an epoch's images: bool `[steps_per_epoch · batch_size]`, on the CPU."""
        rng = seeded_generator(f"{self.seed} {epoch} mirrored")
        return torch.rand(self.steps_per_epoch * self.batch_size, generator=rng) < 0.5

    def indices(self, step: int) -> Tensor:
        """Return the image indices of a step (0 is the first): int64 `[batch_size]`."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self.permutation(epoch)[position * self.batch_size : (position + 1) * self.batch_size]
