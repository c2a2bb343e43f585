"""What the user should know about a run: that it is too short, what was chosen automatically, that other processes slow it
down."""

import math
from collections.abc import Iterator

from gancli.data.names import source_names
from gancli.engine.session import Session
from gancli.format import count
from gancli.machine.contention import Contention
from gancli.process import CPUS
from gancli.steps.runner import Runner
from gancli.text import Note, counted

FEW_IMAGES, FEW_STEPS = 100, 2_000
CONTENDED_S = 10.0  # that other processes must use the CPUs for
WORTH_CHANGING = 1.1  # times as fast


def too_little(session: Session) -> Iterator[str]:
    """A line each for too few pictures of somebody's own, and for too few steps on them."""
    run, steps, count = session.run, session.plan.steps, session.source.num_images
    if run.dataset in source_names() or session.variant.reads == "low_res":
        return
    if count < FEW_IMAGES:
        yield f"--dataset {run.dataset}: only {counted(count, 'image')}: the model will memorise them; use hundreds"
    if steps < FEW_STEPS:
        yield (
            f"--steps {steps}: training on your own images takes a few thousand steps; without --steps and --epochs "
            "the run has a suitable length"
        )


def set_aside(session: Session) -> Iterator[str]:
    """A line, when a run begins, about pictures that are held out though nobody asked for it."""
    if session.run.held_out and session.plan.asked.held_out is None and session.step == 0:
        yield Note(
            f"--dataset {session.run.dataset}: {session.run.held_out} of its {session.source.num_images} images are held "
            "out of training to detect overfitting of D (--held-out 0: none)"
        )


def contention(session: Session, runner: Runner, others: Contention) -> Iterator[str]:
    """Once, where other processes have used the CPUs for a while: how fast training is, and what fewer threads would give,
    by a trial. Nothing is trained by it."""
    if session.contention_reported or others.lasted_s() < CONTENDED_S or not others.pace:
        return
    session.contention_reported = True
    threads = session.machine.threads
    fewer = max(1, min(threads - 1, len(CPUS) - math.ceil(others.others - 0.5)))
    now, pace = others.pace, runner.trial(session.step, fewer)
    session.clock.restart()
    batch_size = session.run.batch_size
    used = f"other processes use {others.others:.1f} of the {len(CPUS)} CPUs"
    if pace > WORTH_CHANGING * now:
        yield Note(
            f"{used}: {count(batch_size * now)} images/s with {threads} threads, {count(batch_size * pace)} in a trial with "
            f"--threads {fewer}; stop and resume with it if that is to last (the results differ in rounding)"
        )
    else:
        yield Note(f"{used}, so training is slower; fewer threads would not help (tried: --threads {fewer})")
