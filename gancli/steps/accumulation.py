"""Gradient accumulation (`--accumulate`): the update of one batch, computed in parts, with the activations of one part in
memory.

A part is every K-th image of the batch. Of the random numbers of the whole batch it takes its share, as one of several
processes does (`machine.ranks`). The parts take turns: for every update, the loss of each part is computed and
differentiated, and then the network is updated once, by the mean of the gradients. Between two updates a part keeps images,
and G's call, whose activations are computed again in the backward pass of G's update.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.machine.device import Machine
from gancli.machine.ranks import Ranks
from gancli.nn import penalties
from gancli.spec import Batch
from gancli.steps.training_step import TrainingStep

RTOL, ATOL = 1e-3, 1e-5  # of losses in fp32 that differ by rounding only


class Rewind:
    """The random states and the buffers (such as those of spectral norms) at one moment. Calling it sets them again."""

    def __init__(self, networks: Iterable[nn.Module], device: torch.device) -> None:
        self._buffers = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
        self._device = device if device.type == "cuda" else None
        self._on_cpu = torch.get_rng_state()
        self._on_device = torch.cuda.get_rng_state(self._device) if self._device else None

    def __call__(self) -> None:
        self.set_buffers()
        torch.set_rng_state(self._on_cpu)
        if self._on_device is not None and self._device is not None:
            torch.cuda.set_rng_state(self._on_device, self._device)

    def set_buffers(self) -> None:
        with torch.no_grad():
            for buffer, value in self._buffers:
                buffer.copy_(value)


def random_state(device: torch.device) -> bytes:
    """Return the state of the generator that steps draw from, which differs after another number of draws."""
    state = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
    return state.numpy().tobytes()


def run_in_parts(step: TrainingStep, parts: Sequence[Batch]) -> dict[str, Tensor]:
    """Do one step on a batch that comes in parts, one for each `Ranks.part`. Returns the means of the reported terms:
    detached scalars on the device."""
    if len(parts) == 1:
        return step.run(parts[0])
    step.prepare()
    machine, count = step.machine, len(parts)
    shares = [machine.ranks.part(index, count) for index in range(count)]
    updates = [step.phase.step(part) for part in parts]
    found: dict[str, Tensor] = {}
    calls = _Recomputed(step.generators if len(step.phase.optimizers) > 1 else (), machine)
    with machine.matrix_products():
        while True:
            rewind = Rewind(step.networks, machine.device)
            trained, ends = set[str](), set[bytes]()
            terms: dict[str, Tensor] = {}
            for share, own in zip(shares, updates, strict=True):
                if share is not shares[0]:
                    rewind()
                with machine.autocast(), share.as_one_batch(), calls.of(share):
                    update = next(own, None)
                ends.add(random_state(machine.device))
                if update is None:
                    continue
                optimizer = step.optimizers[update.trains]
                if not trained:
                    optimizer.clear_gradients()
                trained.add(update.trains)
                optimizer.add_gradients(update.loss / count)
                for name, term in update.terms.items():
                    terms[name] = terms.get(name, 0) + term.detach() / count
                del update  # with the graph of its loss
            if len(ends) > 1:
                raise UsageError(
                    f"--accumulate {count}: the parts of a batch of {sum(len(part.images) for part in parts)} images use "
                    "different numbers of random numbers; use a --batch-size that is a multiple of 8"
                )
            if not trained:
                return found
            assert len(trained) == 1, "all parts update the same network"
            optimizer.update()
            found |= terms


class _Recomputed:
    """Calls of networks whose activations are not kept, but computed again in the backward pass: with the same random
    numbers and buffers, as the same share of the batch."""

    def __init__(self, networks: Iterable[nn.Module], machine: Machine) -> None:
        self._networks, self._machine = tuple(networks), machine

    @contextmanager
    def of(self, share: Ranks) -> Iterator[None]:
        """Within it, calls of the networks are of this share of the batch."""
        with ExitStack() as forwards:
            for network in self._networks:
                network.forward = self._checkpointed(network, share)  # of this module only, not of its copies
                forwards.callback(network.__delattr__, "forward")
            yield

    def _checkpointed(self, network: nn.Module, share: Ranks) -> Callable[..., Any]:
        from torch.utils.checkpoint import checkpoint

        forward, device = network.forward, self._machine.device

        def call(*arguments: Tensor, **named: Tensor | None) -> Any:
            again = _Again(network, share, device)
            given = partial(forward, **named)
            return checkpoint(given, *arguments, use_reentrant=False, context_fn=lambda: (nullcontext(), again))

        return call


class _Again(AbstractContextManager[None]):
    """The surroundings of a call that is computed again, maybe several times. Made before the call."""

    def __init__(self, network: nn.Module, share: Ranks, device: torch.device) -> None:
        self._network, self._share, self._device = network, share, device
        self._before = Rewind([network], device)

    def __enter__(self) -> None:
        self._now = Rewind([self._network], self._device)
        self._before.set_buffers()
        self._as_one_batch = self._share.as_one_batch()
        self._as_one_batch.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._as_one_batch.__exit__(*error)
        self._now.set_buffers()


def is_exact(step: TrainingStep, batch: Batch, num_parts: int) -> bool:
    """Return whether the losses of a few images are the means of those of their halves, as they are unless a loss is no mean
    over images, or a layer computes an image from others of the batch. `num_parts`: the variant's `num_parts`. Nothing is
    trained. True if there are too few images to try."""
    count = 2 * penalties.ONE_IN * num_parts  # D is penalised on an eighth of each part of a half
    if len(batch.images) < count:
        return True
    machine = dataclasses.replace(step.machine, precision="fp32")
    few = Batch(batch.images[:count], batch.condition[:count])
    rewind = Rewind(step.networks, machine.device)
    whole = _losses(step, few, machine, machine.ranks)
    halves = []
    for index in range(2):
        rewind()
        half = Batch(few.images[index::2], few.condition[index::2])
        halves.append(_losses(step, half, machine, machine.ranks.part(index, 2)))
    rewind()
    return torch.allclose(whole, torch.stack(halves).mean(0), RTOL, ATOL)


def _losses(step: TrainingStep, batch: Batch, machine: Machine, share: Ranks) -> Tensor:
    """Return the losses of a step whose networks are not updated, float `[updates]`."""
    updates, losses = step.phase.step(batch), list[Tensor]()
    while True:
        with machine.autocast(), share.as_one_batch():
            update = next(updates, None)
        if update is None:
            return torch.stack(losses)
        losses.append(update.loss.detach().float())
