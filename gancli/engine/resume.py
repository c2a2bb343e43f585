"""Restore a session from a saved state, with warnings where the resumed run will not be the same bit for bit."""

import math
from collections.abc import Iterator

import PIL
import torch

from gancli.engine.session import Session
from gancli.errors import UsageError
from gancli.report.history import LossHistory
from gancli.spec import ImageSpec
from gancli.store import state
from gancli.store.state import State
from gancli.text import counted


def restore_session(session: Session, saved: State) -> list[str]:
    """Load a saved state into a session, and return warnings. Raises `CheckpointError` or `UsageError` if it does not
    match."""
    facts = saved.facts
    notes = [*_check_data(session, saved), *_changed(session, saved)]
    for name, network in session.variant.networks.items():
        state.copy_into(saved, f"network.{name}", network.state_dict())
    state.copy_into(saved, "average", session.average.module.state_dict())
    session.losses.restore(saved.group("losses"), session.machine.device)
    session.history = LossHistory(facts.losses)
    session.step = session.start_step = facts.step
    return [*notes, *state.restore_random_states(saved.path, saved.group("random"), session.machine.device)]


def _check_data(session: Session, saved: State) -> Iterator[str]:
    """Raises `UsageError` for other images, classes or labels than the state was trained on; their path may differ."""
    facts, source = saved.facts, session.source
    where = f"--dataset {session.run.dataset}: not the data that {saved.path} was trained on"
    if (facts.images, facts.num_images) != (source.spec, source.num_images):
        before, now = _describe(facts.images, facts.num_images), _describe(source.spec, source.num_images)
        other_names = f"{where}: its classes have other names"
        raise UsageError(other_names if before == now else f"{where} ({facts.dataset}: {before}), but {now}")
    if not facts.fingerprint:
        yield f"{saved.path}: written by an older gan, without a fingerprint of its data: make sure that it is the same"
    elif facts.fingerprint != source.fingerprint:
        version = facts.versions.get("pillow")
        if version == PIL.__version__:
            raise UsageError(f"{where}: the same number and size of images, but other images or labels")
        yield (
            f"--dataset {session.run.dataset}: Pillow {PIL.__version__} decodes its images to other pixels than {version} "
            f"did: the run resumes, but not bit for bit; install Pillow {version} for that"
        )


def _describe(images: ImageSpec, count: int) -> str:
    classes = f", {counted(images.num_classes, 'class')}" if images.num_classes else ""
    return f"{counted(count, 'image')} of {images.channels}×{images.size}×{images.size}{classes}"


def _changed(session: Session, saved: State) -> Iterator[str]:
    """Yield warnings for options that change the result of a resumed run."""
    facts, now, steps = saved.facts, session.machine.precision, session.plan.steps
    if now != facts.precision:
        yield f"--precision {now}: the run was saved in {facts.precision}, so it does not resume bit for bit"
    if steps != facts.steps and facts.step < steps and (jumps := _jumps(session, saved)):
        changes = ", ".join(f"that of {network} changes from {old:.2g} to {new:.2g}" for network, old, new in jumps)
        yield (
            f"the run has {counted(steps, 'step')} now, not {facts.steps}, on which the learning rates depend: at step "
            f"{facts.step} {changes}"
        )


def _jumps(session: Session, saved: State) -> list[tuple[str, float, float]]:
    """Return the networks whose learning rate at the state's step differs between the old and the new length, with both
    rates."""
    now = session.phases.phase_at(saved.facts.step)
    before = {phase.name: phase for phase in session.variant.phases(saved.facts.steps)}
    if now.name != saved.facts.phase or now.name not in before:
        return []  # a new phase begins, with its own learning rates
    found = []
    for network, rule in now.optimizers.items():
        updates = int(saved.group(f"optimizer.{network}").get("updates", torch.tensor(0)))
        old, new = (r.lr * r.schedule(updates) for r in (before[now.name].optimizers[network], rule))
        if not math.isclose(old, new, rel_tol=1e-3, abs_tol=1e-12):
            found.append((network, old, new))
    return found
