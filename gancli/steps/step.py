"""The engine's side of a step: minimise what the variant yields, network by network."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from gancli.batches.batch import Batch
from gancli.machine.device import Machine
from gancli.steps.optimizer import NetworkOptimizer
from gancli.variant import Phase, Update


class Stepper:
    """Runs a phase's step."""

    def __init__(self, phase: Phase, networks: Mapping[str, nn.Module], machine: Machine) -> None:
        self.phase = phase
        self.machine = machine
        self._networks = tuple(networks.values())
        self.optimizers = {
            name: NetworkOptimizer(networks[name], rule, machine) for name, rule in phase.optimizers.items()
        }

    def run(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the variant on one batch. Gives the terms it reported, detached scalars on the device."""
        self.prepare()
        return self.compute(batch)

    def prepare(self) -> None:
        """The host's part: what changes from step to step."""
        for optimizer in self.optimizers.values():
            optimizer.prepare()

    def compute(self, batch: Batch) -> dict[str, Tensor]:
        """The device's part, which may be captured: it asks the host nothing."""
        terms: dict[str, Tensor] = {}
        updates = self.phase.step(batch)
        with self.machine.products():
            while (update := self._next(updates)) is not None:
                self.optimizers[update.trains].minimise(update.loss)
                terms.update((name, term.detach()) for name, term in update.terms.items())
        return terms

    def tensors(self) -> Iterator[Tensor]:
        """All that a step changes: weights, statistics, the optimizers' state."""
        for network in self._networks:
            yield from network.state_dict().values()
        for optimizer in self.optimizers.values():
            yield from optimizer.method.tensors().values()
            yield from optimizer.scaler.tensors().values() if optimizer.scaler else ()

    def by_arithmetic(self, on: bool) -> None:
        """Whether updates are written out as arithmetic, which a compiler joins, or done by kernels that are one already."""
        for optimizer in self.optimizers.values():
            optimizer.method.by_arithmetic = on

    @property
    def settled(self) -> bool:
        """Whether the host has nothing to change any more from step to step."""
        return all(optimizer.settled for optimizer in self.optimizers.values())

    def _next(self, updates: Iterator[Update]) -> Update | None:
        with self.machine.autocast(), self.machine.ranks.as_one_batch():
            return next(updates, None)
