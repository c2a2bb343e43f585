"""Which pictures of a data set a run trains on, and which it only looks at."""

from gancli.batches.pairs import PairBatches
from gancli.batches.resident import ResidentBatches
from gancli.batches.stream import parted
from gancli.data.photographs import Photographs
from gancli.data.source import Source
from gancli.engine.overfitting import Watch
from gancli.engine.plan import Plan
from gancli.variant import Variant


def batches(planned: Plan, source: Source | Photographs, variant: Variant) -> ResidentBatches | PairBatches:
    """What the variant reads: pictures with labels, or with their low-resolution form."""
    run, machine = planned.run, planned.machine
    device, size, seed, share, last = (
        machine.device,
        run.batch_size,
        run.seed,
        machine.ranks.share,
        variant.convolutional,
    )
    if isinstance(source, Photographs):
        return PairBatches(source, device, size, seed, variant.scale, last, share)
    kept = parted(source.num_images, run.held_out)[0] if run.held_out else None
    return ResidentBatches(source, device, size, seed, last, share, bool(run.mirror), kept)


def watch(planned: Plan, source: Source | Photographs) -> Watch | None:
    """Return what detects overfitting of D, in the first process, where images are held out."""
    if not planned.run.held_out or isinstance(source, Photographs) or not planned.machine.ranks.first:
        return None
    kept, held_out = parted(source.num_images, planned.run.held_out)
    return Watch(source, kept, held_out, planned.machine.device)
