"""What is told before the first step of a run that will hardly come to anything, and what to do instead."""

from collections.abc import Iterator

from gancli.data.names import source_names
from gancli.engine.session import Session

FEW_IMAGES, FEW_STEPS = 100, 2_000


def too_little(session: Session) -> Iterator[str]:
    """A line each for too few pictures of somebody's own, and for too few steps on them."""
    run, steps, count = session.run, session.plan.steps, session.source.num_images
    if run.dataset in source_names() or session.variant.reads == "low_res":
        return
    if count < FEW_IMAGES:
        yield f"--dataset {run.dataset}: {count} pictures are few, and will be learnt by heart; some hundreds are better"
    if steps < FEW_STEPS:
        yield (
            f"--steps {steps}: it takes some thousands to learn from pictures of one's own; without --steps and --epochs "
            "the run is as long as it should be"
        )
