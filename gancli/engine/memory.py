"""What a run will need in memory, worked out with fake tensors: nothing is allocated or computed."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gancli.batches.batch import Batch
from gancli.data.photographs import Photographs
from gancli.data.source import Source
from gancli.engine.plan import Plan
from gancli.machine.memory import available_bytes
from gancli.machine.private import FakeTensorMode
from gancli.variant import Adam, Phase, Variant

MOST_PER_VALUE = 2000  # activations that a value of a picture gives rise to: far more than the networks here have


def expected_bytes(
    planned: Plan, source: Source | Photographs, variant_class: type[Variant]
) -> tuple[dict[str, int], dict[str, int]]:
    """Parameter count per network, and bytes for: weights, gradients and moments; activations; the data set.

    Activations are what autograd keeps for backward in the hungriest update of a step; the allocator's own overhead and
    workspaces come on top.
    """
    with FakeTensorMode():
        variant = variant_class(planned.own, source.spec)
        counts = {name: sum(p.numel() for p in net.parameters()) for name, net in variant.networks.items()}
        phases = variant.phases(planned.steps)
        moments = 2 if any(isinstance(rule, Adam) for phase in phases for rule in phase.optimizers.values()) else 1
        averaged = sum(t.numel() for t in variant.generator.state_dict().values())
        weights = 4 * (sum(counts.values()) * (2 + moments) + averaged)
        activations = max(_saved_bytes(variant, phase, fake_batch(planned.run.batch_size, variant)) for phase in phases)
    return counts, {
        "model": weights,
        "activations": activations,
        "data": source.num_bytes,
    }


def fitting_batch(planned: Plan, source: Source | Photographs, variant_class: type[Variant], num_bytes: int) -> int:
    """The largest batch, below the run's own, that should get by with `num_bytes`: a power of two, or 0 where the model and
    the data alone are too much. Activations grow with the batch; a quarter is left for what `expected_bytes` leaves out."""
    _, expected = expected_bytes(planned, source, variant_class)
    room = 0.75 * num_bytes - expected["model"] - expected["data"]
    largest = min(planned.run.batch_size - 1, int(room / (expected["activations"] / planned.run.batch_size)))
    return 1 << (largest.bit_length() - 1) if largest > 0 else 0


def advice(planned: Plan, source: Source | Photographs, variant_class: type[Variant]) -> str:
    """What to try on a device that is too small for a run."""
    size = fitting_batch(planned, source, variant_class, available_bytes(planned.machine.device))
    if size:
        return f"--batch-size {size} should fit"
    return "the model does not fit even alone; try a smaller --width or --image-size"


def shortage(planned: Plan, source: Source | Photographs, variant_class: type[Variant]) -> Iterator[str]:
    """Told before the first step: a run that expects more memory than there is. On a CPU it would be killed for that,
    without a word. Small runs are not looked at: `expected_bytes` takes a second."""
    available = available_bytes(planned.machine.device)
    spec, size = source.spec, planned.run.batch_size
    if 4 * size * spec.channels * spec.size**2 * MOST_PER_VALUE < available:
        return
    _, expected = expected_bytes(planned, source, variant_class)
    if (total := sum(expected.values())) > available:
        yield (
            f"--batch-size {size}: needs about {total / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are left on "
            f"{planned.machine.device}; {advice(planned, source, variant_class)}"
        )


def fake_batch(size: int, variant: Variant) -> Batch:
    """A batch of the shape that the variant is built for; labels are all 0."""
    spec = variant.images
    low = spec.size // variant.scale
    if variant.reads == "low_res":
        condition = torch.zeros(size, spec.channels, low, low)
    else:
        condition = torch.zeros(size, dtype=torch.int64)
    return Batch(torch.zeros(size, spec.channels, spec.size, spec.size), condition)


def _saved_bytes(variant: Variant, phase: Phase, batch: Batch) -> int:
    """The most that one update of a phase's step keeps for its backward pass."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[id(tensor.untyped_storage())] = tensor
        return tensor

    parameters = {id(p.untyped_storage()) for net in variant.networks.values() for p in net.parameters()}
    most = 0
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for _ in phase.step(batch):
            sizes = {key: t.untyped_storage().nbytes() for key, t in kept.items() if key not in parameters}
            most = max(most, sum(sizes.values()))
    return most
