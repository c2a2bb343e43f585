"""What is told before the first step: of a run that will hardly come to anything, and what was decided unasked."""

from collections.abc import Iterator

from gancli.data.names import source_names
from gancli.engine.session import Session
from gancli.text import Note, counted

FEW_IMAGES, FEW_STEPS = 100, 2_000


def too_little(session: Session) -> Iterator[str]:
    """A line each for too few pictures of somebody's own, and for too few steps on them."""
    run, steps, count = session.run, session.plan.steps, session.source.num_images
    if run.dataset in source_names() or session.variant.reads == "low_res":
        return
    if count < FEW_IMAGES:
        yield f"--dataset {run.dataset}: only {counted(count, 'image')}: the model will memorise them; use hundreds"
    if steps < FEW_STEPS:
        yield (
            f"--steps {steps}: it takes some thousands to learn from pictures of one's own; without --steps and --epochs "
            "the run is as long as it should be"
        )


def set_aside(session: Session) -> Iterator[str]:
    """A line, when a run begins, about pictures that are held out though nobody asked for it."""
    if session.run.held_out and session.plan.asked.held_out is None and session.step == 0:
        yield Note(
            f"--dataset {session.run.dataset}: {session.run.held_out} of its {session.source.num_images} pictures are held "
            "out of training, to notice if D learns the others by heart (--held-out 0: none)"
        )
