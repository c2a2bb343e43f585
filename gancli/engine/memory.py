"""What a run will need in memory, worked out on the meta device: nothing is allocated."""

import torch
from torch import Tensor

from gancli.data.batch import Batch
from gancli.data.source import Source
from gancli.engine.plan import Plan
from gancli.variant import Adam, Variant


def expected_bytes(
    planned: Plan, source: Source, variant_class: type[Variant]
) -> tuple[dict[str, int], dict[str, int]]:
    """Parameter count per network, and bytes for: weights, gradients and moments; activations; the data set.

    Activations are what autograd keeps for backward in the hungriest update of a step; the allocator's own overhead and
    workspaces come on top.
    """
    with torch.device("meta"):
        variant = variant_class(planned.own, source.spec)
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in variant.networks.items()}
    phases = variant.phases(planned.steps)
    moments = 2 if any(isinstance(rule, Adam) for phase in phases for rule in phase.optimizers.values()) else 1
    averaged = sum(t.numel() for t in variant.generator.state_dict().values())
    weights = 4 * (sum(counts.values()) * (2 + moments) + averaged)
    spec = source.spec
    batch = Batch(
        torch.empty(planned.run.batch_size, spec.channels, spec.size, spec.size, device="meta"),
        torch.empty(planned.run.batch_size, device="meta", dtype=torch.int64),
    )
    activations = max(_saved_bytes(variant, batch, planned) for _ in phases[:1])
    return counts, {
        "model": weights,
        "activations": activations,
        "data": source.images.numel() + 8 * len(source.labels),
    }


def _saved_bytes(variant: Variant, batch: Batch, planned: Plan) -> int:
    """The most that one update of a step keeps for its backward pass."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[id(tensor.untyped_storage())] = tensor
        return tensor

    parameters = {id(p.untyped_storage()) for net in variant.networks.values() for p in net.parameters()}
    most = 0
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for _ in variant.phases(planned.steps)[0].step(batch):
            sizes = {key: t.untyped_storage().nbytes() for key, t in kept.items() if key not in parameters}
            most = max(most, sum(sizes.values()))
    return most
