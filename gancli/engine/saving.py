"""What a session leaves on disk, and how one is taken up from there."""

import shutil
from collections.abc import Iterator

import torch

import gancli
from gancli import atomic, events
from gancli.config import RunConfig, fields_of, toml
from gancli.engine import checkpoint, state
from gancli.engine.facts import Facts
from gancli.engine.ledger import LossHistory
from gancli.engine.runner import Runner
from gancli.engine.session import Session
from gancli.engine.state import State
from gancli.engine.writer import Snapshot
from gancli.errors import DivergedError, GancliError, UsageError
from gancli.variant import Phase


def save(session: Session, phase: Phase, runner: Runner) -> Iterator[events.Event]:
    """Have the state written, then the model; gives the events of files that were written meanwhile. Raises
    `DivergedError` rather than save what is not finite."""
    session.check_losses()
    session.clock.saved()
    if not session.ranks.first:
        return
    generator = session.average.refresh().state_dict()
    networks = {f"network.{name}": network.state_dict() for name, network in session.variant.networks.items()}
    check_weights(session, {"generator": generator, **networks})
    groups = {
        **networks,
        "average": generator,
        **{f"optimizer.{name}": m.tensors() for name, m in runner.stepper.minimisers.items()},
        "losses": session.ledger.tensors(),
        "random": state.random_states(session.machine.device),
    }
    whole = Snapshot(state.flat(groups))
    step, directory, keep = session.step, session.directory, session.run.keep
    about_state, about_model = facts_of(session, "state", phase), facts_of(session, "model", phase)

    def write() -> list[events.Event]:
        tensors, path = whole.on_host(), directory.state(step)
        checkpoint.save(path, tensors, about_state)
        directory.prune(keep)
        model = {checkpoint.GENERATOR + name: tensors[f"average/{name}"] for name in generator}
        checkpoint.save(directory.checkpoint, model, about_model)
        return [
            events.CheckpointSaved(step, str(path), "state"),
            events.CheckpointSaved(step, str(directory.checkpoint), "model"),
        ]

    yield from session.writer.start(write)
    session.clock.restart()


def state_bytes(session: Session) -> int:
    """About what a saved state takes on disk: weights and two moments of each network, the average."""
    weights = sum(p.numel() for network in session.variant.networks.values() for p in network.parameters())
    averaged: int = sum(tensor.numel() for tensor in session.average.module.state_dict().values())
    return 4 * (3 * weights + 2 * averaged)


def check_disk(session: Session) -> Iterator[str]:
    """Told before the first step: a disk too full for the states that will be kept. Raises `GancliError` where not even one
    would fit."""
    if not session.ranks.first:
        return
    path, one = session.directory.path, state_bytes(session)
    free = shutil.disk_usage(path).free
    most = one * (session.run.keep + 1)  # a new state is written before the oldest one goes
    if free < one:
        raise GancliError(
            f"--out {path}: a saved state takes about {_megabytes(one)}, and {_megabytes(free)} are free there"
        )
    if free < most:
        yield (
            f"{path}: {_megabytes(free)} are free there, and {session.run.keep} kept states with a new one take about "
            f"{_megabytes(most)}"
        )


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"


def save_best(session: Session, phase: Phase) -> None:
    """Keep the averaged generator, which has just measured best, as `best.safetensors`."""
    generator = session.average.refresh().state_dict()
    check_weights(session, {"generator": generator})
    tensors = {checkpoint.GENERATOR + name: tensor for name, tensor in generator.items()}
    checkpoint.save(session.directory.best, tensors, facts_of(session, "model", phase))


def restore(session: Session, saved: State) -> list[str]:
    """Take up a saved state. Gives warnings. Raises `CheckpointError` or `UsageError` if it does not fit."""
    facts = saved.facts
    if (facts.images, facts.num_images) != (session.source.spec, session.source.num_images):
        raise UsageError(
            f"--dataset {session.run.dataset}: not the data that {saved.path} was trained on "
            f"({facts.dataset}: {facts.num_images} images of {facts.images.size} px)"
        )
    for name, network in session.variant.networks.items():
        state.copy_into(saved.path, network.state_dict(), saved.group(f"network.{name}"))
    state.copy_into(saved.path, session.average.module.state_dict(), saved.group("average"))
    session.ledger.restore(saved.group("losses"), session.machine.device)
    session.history = LossHistory(facts.losses)
    session.step = session.start_step = facts.step
    return list(state.restore_random_states(saved.path, saved.group("random"), session.machine.device))


def write_config(session: Session) -> None:
    """`config.toml`: every option, resolved; `gan train --config` of it repeats the run."""
    if not session.ranks.first:
        return
    run, own = session.run, session.plan.own
    values = {f.name: getattr(run, f.name) for f in fields_of(RunConfig) if f.name not in ("out", "progress")}
    own_values = {f.name: getattr(own, f.name) for f in fields_of(type(own))}
    heading = f"gan {gancli.__version__}: repeat this run with  gan train --config config.toml --out DIR"
    atomic.write(session.directory.config, [toml.dump(values, run.variant, own_values, heading).encode()])


def facts_of(session: Session, kind: events.FileKind, phase: Phase) -> Facts:
    """What a file says of the run that wrote it."""
    run, source = session.run, session.source
    return Facts(
        kind=kind,
        variant=run.variant,
        preset=run.preset,
        config=session.plan.own,
        images=source.spec,
        dataset=source.name,
        num_images=source.num_images,
        seed=run.seed,
        batch_size=run.batch_size,
        ema=run.ema,
        precision=session.machine.precision,
        step=session.step,
        steps=session.plan.steps,
        epoch=session.stream.epoch(session.step),
        phase=phase.name,
        versions={"gancli": gancli.__version__, "torch": str(torch.__version__)},
        losses=session.history.points(),
    )


def check_weights(session: Session, groups: state.Tree) -> None:
    """Raises `DivergedError` naming the first tensor that holds NaN or infinity. Only then is the device asked twice."""
    floats = {
        f"{name} of {group.removeprefix('network.')}": tensor
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
        if tensor.is_floating_point()
    }
    if torch.stack([torch.isfinite(tensor).all() for tensor in floats.values()]).all():
        return
    where = next(name for name, tensor in floats.items() if not torch.isfinite(tensor).all())
    raise DivergedError(f"weight {where} is no longer finite at step {session.step}; {session.way_back()}")
