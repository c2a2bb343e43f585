"""How a session is taken up from a saved state, and what is said where it will not be the same run to the last bit."""

import math
from collections.abc import Iterator

import PIL
import torch

from gancli.data.spec import ImageSpec
from gancli.engine.session import Session
from gancli.errors import UsageError
from gancli.report.history import LossHistory
from gancli.store import state
from gancli.store.state import State
from gancli.text import counted


def restore(session: Session, saved: State) -> list[str]:
    """Take up a saved state. Gives warnings. Raises `CheckpointError` or `UsageError` if it does not fit."""
    facts = saved.facts
    notes = [*_check_data(session, saved), *_changed(session, saved)]
    for name, network in session.variant.networks.items():
        state.copy_into(saved, f"network.{name}", network.state_dict())
    state.copy_into(saved, "average", session.average.module.state_dict())
    session.ledger.restore(saved.group("losses"), session.machine.device)
    session.history = LossHistory(facts.losses)
    session.step = session.start_step = facts.step
    return [*notes, *state.restore_random_states(saved.path, saved.group("random"), session.machine.device)]


def _check_data(session: Session, saved: State) -> Iterator[str]:
    """Raises `UsageError` for other pictures, classes or labels than the state was trained on, wherever they lie."""
    facts, source = saved.facts, session.source
    where = f"--dataset {session.run.dataset}: not the data that {saved.path} was trained on"
    if (facts.images, facts.num_images) != (source.spec, source.num_images):
        had, has = (_words(images, count) for images, count in (
            (facts.images, facts.num_images), (source.spec, source.num_images)))  # fmt: skip
        if had == has:
            raise UsageError(f"{where}: its classes have other names")
        raise UsageError(f"{where} ({facts.dataset}: {had}), but {has}")
    if not facts.fingerprint:
        yield f"{saved.path}: written by an older gan, without a fingerprint of its data, which are not checked"
    elif facts.fingerprint != source.fingerprint:
        before = facts.versions.get("pillow")
        if before == PIL.__version__:
            raise UsageError(f"{where}: as many pictures of the same size, but other pictures or labels")
        yield (
            f"--dataset {session.run.dataset}: decoded by Pillow {PIL.__version__}, not by {before} as before, and not to "
            "the same pixels: the run goes on, but not bit for bit"
        )


def _words(images: ImageSpec, count: int) -> str:
    classes = f", {counted(images.num_classes, 'class')}" if images.num_classes else ""
    return f"{counted(count, 'image')} of {images.channels}×{images.size}×{images.size}{classes}"


def _changed(session: Session, saved: State) -> Iterator[str]:
    """What makes a resumed run another one than it would have been, asked for as it may be."""
    facts, now, steps = saved.facts, session.machine.precision, session.plan.steps
    if now != facts.precision:
        yield f"--precision {now}: the run resumes in it, after {facts.precision}; it is not bit for bit the same"
    if steps != facts.steps and facts.step < steps and (jumps := _jumps(session, saved)):
        yield (
            f"the run is now {counted(steps, 'step')} long, not {facts.steps}, and the learning rates follow its "
            f"length: at step {facts.step} "
            + ", ".join(f"{network}'s goes from {before:.2g} to {after:.2g}" for network, before, after in jumps)
        )


def _jumps(session: Session, saved: State) -> list[tuple[str, float, float]]:
    """Networks whose step size at the state's step is another in a run of the new length than in one of the old: with the
    step sizes before and after."""
    now = session.phases.at(saved.facts.step)
    before = {phase.name: phase for phase in session.variant.phases(saved.facts.steps)}
    if now.name != saved.facts.phase or now.name not in before:
        return []  # a new phase begins, and its step sizes with it
    found = []
    for network, rule in now.optimizers.items():
        updates = int(saved.group(f"optimizer.{network}").get("updates", torch.tensor(0)))
        old, new = (r.lr * r.schedule(updates) for r in (before[now.name].optimizers[network], rule))
        if not math.isclose(old, new, rel_tol=1e-3, abs_tol=1e-12):
            found.append((network, old, new))
    return found
