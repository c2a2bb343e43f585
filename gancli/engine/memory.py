"""Estimate the memory that a run needs, with fake tensors: nothing is allocated or computed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gancli.data.dataset import Dataset
from gancli.data.photographs import PhotoDataset
from gancli.engine.plan import Plan
from gancli.errors import GancliError
from gancli.format import size as size_text
from gancli.machine.memory import available_bytes
from gancli.machine.torch_private import FakeTensorMode
from gancli.spec import Batch
from gancli.variant import Adam, Phase, Variant

MAX_ACTIVATIONS = 2000  # per value of an image: far more than the networks here have


def estimate_bytes(
    planned: Plan, source: Dataset | PhotoDataset, variant_class: type[Variant]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the parameter count per network, and the bytes of: weights, gradients and moments; activations; the dataset.

    Activations are the tensors that autograd saves for the backward pass, in the update that needs most. The allocator's
    overhead and workspaces come on top.
    """
    with FakeTensorMode():
        variant = variant_class(planned.own, source.spec)
        counts = {name: sum(p.numel() for p in net.parameters()) for name, net in variant.networks.items()}
        phases = variant.phases(planned.steps)
        moments = 2 if any(isinstance(rule, Adam) for phase in phases for rule in phase.optimizers.values()) else 1
        averaged = sum(t.numel() for t in variant.generator.state_dict().values())
        weights = 4 * (sum(counts.values()) * (2 + moments) + averaged)
        activations = max(_saved_bytes(variant, phase, fake_batch(planned.run.batch_size, variant)) for phase in phases)
    return counts, {"model": weights, "activations": activations, "data": source.num_bytes}


def fitting_batch(planned: Plan, source: Dataset | PhotoDataset, variant_class: type[Variant], num_bytes: int) -> int:
    """Return the largest batch size below the run's own that should fit into `num_bytes`: a power of two, or 0 if model
    and data alone do not fit. Activations grow with the batch; a quarter is left for what `estimate_bytes` does not
    count."""
    _, expected = estimate_bytes(planned, source, variant_class)
    for_activations = 0.75 * num_bytes - expected["model"] - expected["data"]
    largest = min(planned.run.batch_size - 1, int(for_activations / (expected["activations"] / planned.run.batch_size)))
    return 1 << (largest.bit_length() - 1) if largest > 0 else 0


def suggestion(planned: Plan, source: Dataset | PhotoDataset, variant_class: type[Variant]) -> str:
    """Return what to try on a device that is too small for a run."""
    size = fitting_batch(planned, source, variant_class, available_bytes(planned.machine.device))
    if size:
        return f"--batch-size {size} should fit"
    return "the model alone does not fit; try a smaller --width or --image-size"


def check_memory(planned: Plan, source: Dataset | PhotoDataset, variant_class: type[Variant]) -> Iterator[str]:
    """Yield a warning, before the first step, if a run needs more memory than there is: on a CPU the system would kill it
    without a message. Small runs are not checked, as `estimate_bytes` takes a second."""
    available = available_bytes(planned.machine.device)
    spec, size = source.spec, planned.run.batch_size
    if 4 * size * spec.channels * spec.size**2 * MAX_ACTIVATIONS < available:
        return
    _, expected = estimate_bytes(planned, source, variant_class)
    if (total := sum(expected.values())) > available:
        yield (
            f"--batch-size {size}: needs about {size_text(total)} of memory, and {size_text(available)} are free on "
            f"{planned.machine.device}, so the run may be killed; {suggestion(planned, source, variant_class)}"
        )


@contextmanager
def errors_with_suggestion(
    planned: Plan, source: Dataset | PhotoDataset, variant_class: type[Variant]
) -> Iterator[None]:
    """A context in which running out of memory raises a `GancliError` that suggests what to try."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # torch's allocator of CPU memory raises a plain RuntimeError.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
        hint = suggestion(planned, source, variant_class)
        where = f"--batch-size {planned.run.batch_size}: out of memory on {planned.machine.device}"
        raise GancliError(f"{where}; {hint}") from error


def fake_batch(size: int, variant: Variant) -> Batch:
    """Return a batch of zeros of the shapes that the variant is built for."""
    spec = variant.images
    low = spec.size // variant.scale
    if variant.condition_type == "low_res":
        condition = torch.zeros(size, spec.channels, low, low)
    else:
        condition = torch.zeros(size, dtype=torch.int64)
    return Batch(torch.zeros(size, spec.channels, spec.size, spec.size), condition)


def _saved_bytes(variant: Variant, phase: Phase, batch: Batch) -> int:
    """Return the most bytes that one update of a phase's step saves for its backward pass."""
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        saved[id(tensor.untyped_storage())] = tensor
        return tensor

    parameters = {id(p.untyped_storage()) for net in variant.networks.values() for p in net.parameters()}
    most = 0
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        for _ in phase.step(batch):
            sizes = {key: t.untyped_storage().nbytes() for key, t in saved.items() if key not in parameters}
            most = max(most, sum(sizes.values()))
    return most
