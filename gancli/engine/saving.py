"""What a session leaves on disk."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import PIL
import torch

from gancli import catalogue, events
from gancli.config import RunConfig, VariantConfig, fields_of, toml
from gancli.config.resolve import NOT_STORED
from gancli.data import cache_entries
from gancli.engine.session import Session
from gancli.engine.stop import resume_command
from gancli.errors import DivergedError, GancliError
from gancli.files import atomic
from gancli.files.open_folder import OpenFolder
from gancli.machine.memory import free_disk_bytes
from gancli.process import __version__
from gancli.steps.runner import StepRunner
from gancli.store import checkpoint, facts, run_directory, state
from gancli.store.facts import Facts
from gancli.store.run_directory import RunDirectory
from gancli.store.state import Snapshot
from gancli.variant import Phase


def save(session: Session, phase: Phase, runner: StepRunner) -> None:
    """Begin to write the state, then the model. The writer must have been waited for. Raises `DivergedError` rather than
    save what is not finite."""
    session.check_losses()
    session.clock.saved()
    if session.source.mapped_file is not None:
        cache_entries.touch(session.source.mapped_file)  # in use: other runs leave it in the cache
    if not session.ranks.first:
        return
    follow(session)
    generator = session.average.refresh().state_dict()
    networks = {f"network.{name}": network.state_dict() for name, network in session.variant.networks.items()}
    check_weights(session, {"generator": generator, **networks})
    groups = {
        **networks,
        "average": generator,
        **{f"optimizer.{name}": m.tensors() for name, m in runner.training_step.optimizers.items()},
        "losses": session.losses.tensors(),
        "random": state.random_states(session.machine.device),
    }
    whole = Snapshot(state.flatten(groups))
    step, keep = session.step, session.run.keep
    about_state, about_model = facts_of(session, "state", phase), facts_of(session, "model", phase)

    def write() -> list[events.Event]:
        tensors = whole.on_host()
        try:
            return put(tensors, session.directory)
        except GancliError:
            if session.home.current_path() == session.directory.path:
                raise
            follow(session)  # the directory was moved or removed meanwhile
            return put(tensors, session.directory)

    def put(tensors: dict[str, torch.Tensor], directory: RunDirectory) -> list[events.Event]:
        path = directory.state(step)
        checkpoint.save(path, tensors, about_state)
        directory.prune(keep)
        model = {checkpoint.GENERATOR + name: tensors[f"average/{name}"] for name in generator}
        checkpoint.save(directory.checkpoint, model, about_model)
        return [
            events.CheckpointSaved(step, str(path), "state"),
            events.CheckpointSaved(step, str(directory.checkpoint), "model"),
        ]

    session.writer.start(write)
    session.clock.restart()


def follow(session: Session) -> None:
    """Before a file is written: make folders that somebody removed again. Where the run's directory itself was moved, the
    run writes to its new place; where it was removed, a new one is made. Then the run ends (`Session.moved_message`)."""
    before = session.directory.path
    place = session.home.current_path()
    if place is None:
        place = run_directory.make_numbered_folder(before.parent, before.name) if before.exists() else before
        what = f"was removed while the run wrote to it; its state is saved in {place}"
    elif place != before:
        what = f"was moved to {place} while the run wrote to it; its state is saved there"
    else:
        what = ""
    session.directory = RunDirectory(place)
    session.directory.make_folders()
    if what:
        session.moved_message = f"{before}: {what}; to resume: {resume_command(place, session.code_flag)}"
        session.home.close()
        session.home = OpenFolder(place)
    if not session.directory.holds_run:
        write_config(session)


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
    free = free_disk_bytes(path)
    if free is None:
        return
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
    follow(session)
    generator = session.average.refresh().state_dict()
    check_weights(session, {"generator": generator})
    tensors = {checkpoint.GENERATOR + name: tensor for name, tensor in generator.items()}
    checkpoint.save(session.directory.best, tensors, facts_of(session, "model", phase))


def check_readable(session: Session) -> None:
    """Before the first step: whatever reading will refuse is refused now. Raises `UsageError`."""
    phase = session.phases.phase_at(0)
    kinds: tuple[events.FileKind, ...] = ("state", "model")
    for kind in kinds:
        facts.check_readable(facts_of(session, kind, phase))


def write_config(session: Session) -> None:
    """`config.toml`: every option as asked, and what the open ones came to; `gan train --config` of it repeats the run."""
    if not session.ranks.first:
        return
    planned = session.plan
    asked, own = _values(planned.asked), _values(planned.asked_own)
    if session.run.data_root != planned.asked.data_root:
        asked["data_root"] = None  # GAN_DATA of this machine says it
    done = _values(session.run) | _values(planned.own) | {"steps": planned.steps, "graph": planned.graph}
    left_open = [name for name, value in (asked | own).items() if value in (None, "auto")]
    came_to = {name: done[name] for name in left_open if done.get(name) not in (None, "auto")}
    heading = f"{__version__}: repeat this run with  gan train --config config.toml --out DIR"
    text = toml.dump(asked, session.run.variant, own, heading, came_to)
    origin = catalogue.origin_of(session.run.variant)
    if recorded := origin.record():
        path = {"path": str(origin.path)} if origin.path and origin.kind != "package" else {}
        text += toml.dump_table(
            toml.ORIGIN, "The code of the variant, which is never imported by this.", recorded | path
        )
    atomic.write(session.directory.config, [text.encode()])


def _values(config: RunConfig | VariantConfig) -> dict[str, object]:
    return {f.name: getattr(config, f.name) for f in fields_of(type(config)) if f.name not in NOT_STORED}


def facts_of(session: Session, kind: events.FileKind, phase: Phase) -> Facts:
    """What a file says of the run that wrote it."""
    run, source = session.run, session.source
    return Facts(
        kind=kind,
        variant=run.variant,
        preset=run.preset,
        config=_without_folders(session.plan.own),
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
        versions={"gancli": __version__, "torch": str(torch.__version__), "pillow": PIL.__version__},
        losses=session.history.points(),
        fingerprint=source.fingerprint,
        fit=run.fit or "crop",
        held_out=run.held_out or 0,
        origin=catalogue.origin_of(run.variant).record(),
    )


def _without_folders(own: VariantConfig) -> VariantConfig:
    """Files are named without their folders: a checkpoint says nothing of the disk that it was made on."""
    paths = {f.name: getattr(own, f.name) for f in fields_of(type(own)) if f.option.path}
    return dataclasses.replace(own, **{name: Path(path).name for name, path in paths.items() if path})


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
    raise DivergedError(
        f"weight {where} is no longer finite at step {session.step}; {session.divergence_hint()}", session.step
    )
