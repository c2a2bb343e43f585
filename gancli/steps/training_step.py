"""One training step: the updates that a variant yields, each minimised by its network's optimizer."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext

from torch import Tensor, nn

from gancli.catalogue import contract
from gancli.machine.device import Machine
from gancli.spec import Batch
from gancli.steps.optimizer import NetworkOptimizer
from gancli.variant import Phase, Update


class TrainingStep:
    """Does the training steps of a phase, one at a time, with one optimizer for each network that the phase trains.

    `generators`: the networks whose activations are computed again in the backward pass, if a step comes in parts.
    `for_compiler`: a step consists of operations that a compiler can join, instead of fused kernels and of matrix products
    by oneDNN, which Inductor takes with constant weights only.
    """

    def __init__(
        self, phase: Phase, networks: Mapping[str, nn.Module], machine: Machine, generators: Iterable[nn.Module] = ()
    ) -> None:
        self.phase = phase
        self.machine = machine
        self.for_compiler = False
        self.networks, self.generators = tuple(networks.values()), tuple(generators)
        self._pattern: tuple[tuple[str, ...], tuple[str, ...]] | None = None  # networks and terms of the steps so far
        self.optimizers = {
            name: NetworkOptimizer(networks[name], rule, machine) for name, rule in phase.optimizers.items()
        }

    def run(self, batch: Batch) -> dict[str, Tensor]:
        """Do one step on a batch. Returns the reported terms: detached scalars on the device."""
        self.prepare()
        return self.compute(batch)

    def prepare(self) -> None:
        """Do the host's part of a step: set what changes from step to step."""
        for optimizer in self.optimizers.values():
            optimizer.prepare()

    def compute(self, batch: Batch) -> dict[str, Tensor]:
        """Do the device's part of a step, which may be captured: no value is read back to the host."""
        terms: dict[str, Tensor] = {}
        trained: list[str] = []
        updates = contract.called(self.phase.step, batch)
        with nullcontext() if self.for_compiler else self.machine.matrix_products():
            while (update := self.next_update(updates)) is not None:
                contract.check_update(update, self.optimizers, updates)
                trained.append(update.trains)
                self.minimise(update, updates)
                terms.update((name, term.detach()) for name, term in update.terms.items())
        pattern = tuple(trained), tuple(terms)
        contract.check_pattern(self._pattern, pattern, self.phase)
        self._pattern = pattern
        return terms

    def minimise(self, update: Update, updates: Iterator[Update]) -> None:
        try:
            self.optimizers[update.trains].minimise(update.loss, fused=not self.for_compiler)
        except contract.UntrainedError:
            raise contract.untrained(update.trains, updates) from None
        except RuntimeError as error:  # of the loss's graph, in which no code of the variant is left
            error.add_note(f"{contract.yielding(updates)}: in the update of {update.trains}")
            raise

    def tensors(self) -> Iterator[Tensor]:
        """Yield all tensors that a step changes: weights, buffers, the state of the optimizers."""
        for network in self.networks:
            yield from network.state_dict().values()
        for optimizer in self.optimizers.values():
            yield from optimizer.method.tensors().values()
            yield from optimizer.scaler.tensors().values() if optimizer.scaler else ()

    @property
    def is_constant(self) -> bool:
        """Whether `prepare` changes nothing from step to step."""
        return all(optimizer.method.is_constant for optimizer in self.optimizers.values())

    def next_update(self, updates: Iterator[Update]) -> Update | None:
        with self.machine.autocast(), self.machine.ranks.as_one_batch():
            return next(updates, None)
