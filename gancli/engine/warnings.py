"""Warnings and notes about a run: too few images or steps, held-out images, and other processes that slow it down."""

import math
from collections.abc import Iterator

from gancli.data.names import source_names
from gancli.engine.session import Session
from gancli.format import count
from gancli.machine.contention import ContentionMonitor
from gancli.process import CPUS
from gancli.steps.runner import StepRunner
from gancli.text import Note, counted

FEW_IMAGES, FEW_STEPS = 100, 2_000
CONTENDED_S = 10.0  # for which other processes must compete for the CPUs
MIN_SPEEDUP = 1.1  # that is worth another number of threads


def too_little(session: Session) -> Iterator[str]:
    """Yield warnings for too few images of the user's own, and for too few steps on them."""
    run, steps, num_images = session.run, session.plan.steps, session.source.num_images
    if run.dataset in source_names() or session.variant.condition_type == "low_res":
        return
    if num_images < FEW_IMAGES:
        yield (
            f"--dataset {run.dataset}: only {counted(num_images, 'image')}: the model will memorise them; "
            "use a few hundred or more"
        )
    if steps < FEW_STEPS:
        yield (
            f"--steps {steps}: training on your own images takes a few thousand steps; omit --steps and --epochs to use "
            "the default length"
        )


def held_out(session: Session) -> Iterator[str]:
    """Yield a note if images are held out by default, when a run starts."""
    if session.run.held_out and session.plan.asked.held_out is None and session.step == 0:
        yield Note(
            f"--dataset {session.run.dataset}: {session.run.held_out} of its {session.source.num_images} images are held "
            "out of training to detect overfitting of D (--held-out 0: none)"
        )


def contention(session: Session, runner: StepRunner, others: ContentionMonitor) -> Iterator[str]:
    """Yield once, where other processes have competed for the CPUs for a while, a note with the speed, and the speed with
    fewer threads in a trial. The trial does not change the run."""
    if session.contention_reported or others.duration_s() < CONTENDED_S or not others.steps_per_s:
        return
    session.contention_reported = True
    threads, batch_size = session.machine.threads, session.plan.batch_size
    fewer = max(1, min(threads - 1, len(CPUS) - math.ceil(others.other_cpus - 0.5)))
    now, with_fewer = (
        batch_size * rate for rate in (others.steps_per_s, runner.steps_per_second_with(session.step, fewer))
    )
    session.clock.restart()
    cause = f"other processes use {others.other_cpus:.1f} of the {len(CPUS)} CPUs"
    if with_fewer > MIN_SPEEDUP * now:
        yield Note(
            f"{cause}: training runs at {count(now)} images/s with {threads} threads, and at {count(with_fewer)} in a "
            f"trial with --threads {fewer}; to change it, stop and resume with that option (results differ by rounding)"
        )
    else:
        yield Note(f"{cause}, which slows down training; fewer threads do not help (tried --threads {fewer})")
