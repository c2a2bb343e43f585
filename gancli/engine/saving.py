"""Write the files of a run: states, models, samples and its config; and check before the first step that they fit."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import PIL
import torch

from gancli import catalogue, events, images
from gancli.batches.pairs import PairBatches
from gancli.config import RunConfig, VariantConfig, fields_of, toml
from gancli.config.resolve import NOT_STORED
from gancli.config.run import RANDOM_WEIGHTS
from gancli.data import cache_entries
from gancli.data.dataset_object import is_python
from gancli.engine.session import Session
from gancli.engine.stop import resume_command
from gancli.errors import DivergedError, GancliError
from gancli.files import atomic
from gancli.files.hub import is_reference
from gancli.files.open_folder import OpenFolder
from gancli.format import size
from gancli.machine.memory import free_disk_bytes
from gancli.process import __version__
from gancli.sampling import generate
from gancli.steps.runner import StepRunner
from gancli.store import checkpoint, facts, run_directory, state
from gancli.store.facts import Facts
from gancli.store.run_directory import RunDirectory
from gancli.store.state import Snapshot
from gancli.variant import Phase

PREVIEW_PHOTOGRAPHS = 6


def save(session: Session, phase: Phase, runner: StepRunner) -> None:
    """Start to write the state, then the model, once the writer has finished. Raises `DivergedError` for a loss or weight
    that is not finite."""
    session.check_losses()
    session.clock.saved()
    if session.source.mapped_file is not None:
        cache_entries.touch(session.source.mapped_file)  # in use: other runs leave it in the cache
    if not session.ranks.first:
        return
    follow_directory(session)
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
    snapshot = Snapshot(state.flatten(groups))
    step, keep = session.step, session.run.keep
    state_facts, model_facts = facts_of(session, "state", phase), facts_of(session, "model", phase)

    def write() -> list[events.Event]:
        tensors = snapshot.on_host()
        try:
            return write_into(session.directory, tensors)
        except GancliError:
            if session.home.current_path() == session.directory.path:
                raise
            follow_directory(session)  # it was moved or removed meanwhile
            return write_into(session.directory, tensors)

    def write_into(directory: RunDirectory, tensors: dict[str, torch.Tensor]) -> list[events.Event]:
        path = directory.state(step)
        checkpoint.save(path, tensors, state_facts)
        directory.prune(keep)
        model = {checkpoint.GENERATOR + name: tensors[f"average/{name}"] for name in generator}
        checkpoint.save(directory.checkpoint, model, model_facts)
        return [
            events.CheckpointSaved(step, str(path), "state"),
            events.CheckpointSaved(step, str(directory.checkpoint), "model"),
        ]

    session.writer.start(write)
    session.clock.restart()


def save_best(session: Session, phase: Phase) -> None:
    """Write the averaged generator as `best.safetensors`. Raises `DivergedError` for a weight that is not finite."""
    follow_directory(session)
    generator = session.average.refresh().state_dict()
    check_weights(session, {"generator": generator})
    tensors = {checkpoint.GENERATOR + name: tensor for name, tensor in generator.items()}
    checkpoint.save(session.directory.best, tensors, facts_of(session, "model", phase))


def save_samples(session: Session) -> Iterator[events.SamplesDrawn | events.Warned]:
    """Write a grid of samples, of the same seeds (and labels) or photographs each time, into `samples/`. Yields the grid,
    and a warning if the samples are all alike."""
    follow_directory(session)
    step, variant, generator = session.step, session.variant, session.average.refresh()
    columns: int | None
    texts = {"Software": "gancli", "step": str(step)}
    warnings: Iterator[str] = iter(())
    if isinstance(session.batches, PairBatches):
        pixels, columns = generate.preview_pairs(generator, session.batches.preview(PREVIEW_PHOTOGRAPHS), variant.scale)
    else:
        pixels, columns = generate.preview_samples(variant, generator, session.machine.device)
        texts["seeds"] = f"0-{len(pixels) - 1}"
        if step >= min(session.plan.sample_every, session.plan.steps):  # earlier samples hardly differ yet
            num_classes = variant.images.num_classes if variant.conditional else 1
            warnings = session.checks.check_samples(step, pixels, num_classes)
    grid = images.to_pil(images.grid(pixels, columns))
    path = session.directory.samples(step)
    atomic.write(path, [images.encode(grid, ".png", texts)])
    session.clock.restart()
    yield events.SamplesDrawn(step, str(path), *grid.size, grid.convert("RGB").tobytes())
    yield from map(events.Warned, warnings)


def follow_directory(session: Session) -> None:
    """Make the folders of the run directory that were removed. If the directory itself was moved, use its new path; if it
    was removed, a new one. In both cases the run ends after the next state (`Session.moved_message`)."""
    before = session.directory.path
    path, what = session.home.current_path(), ""
    if path is None:
        path = run_directory.make_numbered_folder(before.parent, before.name) if before.exists() else before
        what = f"was removed while the run wrote to it; its state is saved in {path}"
    elif path != before:
        what = f"was moved to {path} while the run wrote to it; its state is saved there"
    session.directory = RunDirectory(path)
    session.directory.make_folders()
    if what:
        resume = resume_command(path, session.run.dataset, session.code_flag)
        session.moved_message = f"{before}: {what}; to resume: {resume}"
        session.home.close()
        session.home = OpenFolder(path)
    if not session.directory.holds_run:
        write_config(session)


def check_disk(session: Session) -> Iterator[str]:
    """Yield a warning if the disk is too full for the states that are kept. Raises `GancliError` if not even one fits."""
    path = session.directory.path
    if not session.ranks.first or (free := free_disk_bytes(path)) is None:
        return
    one = _state_bytes(session)
    most = one * (session.run.keep + 1)  # a new state is written before the oldest one is removed
    if free < one:
        raise GancliError(f"--out {path}: a saved state takes about {size(one)}, but only {size(free)} are free")
    if free < most:
        yield (
            f"{path}: only {size(free)} are free, but {session.run.keep} kept states and a new one take about {size(most)}"
        )


def _state_bytes(session: Session) -> int:
    """Return about how many bytes a saved state takes: weights and two moments of each network, and the average."""
    weights = sum(p.numel() for network in session.variant.networks.values() for p in network.parameters())
    averaged: int = sum(tensor.numel() for tensor in session.average.module.state_dict().values())
    return 4 * (3 * weights + 2 * averaged)


def check_readable(session: Session) -> None:
    """Raises `UsageError` before the first step if a file of this run could not be read again."""
    phase = session.phases.phase_at(0)
    facts.check_readable(facts_of(session, "state", phase))
    facts.check_readable(facts_of(session, "model", phase))


def write_config(session: Session) -> None:
    """Write `config.toml`: every option as given, and the values chosen for the others. `gan train --config` with it
    repeats the run."""
    if not session.ranks.first:
        return
    planned = session.plan
    given, own = _values(planned.requested), _values(planned.requested_own)
    if session.run.data_root != planned.requested.data_root:
        given["data_root"] = None  # from GAN_DATA, which belongs to this machine
    resolved = _values(session.run) | _values(planned.own) | {"steps": planned.steps, "graph": planned.graph}
    left_open = [name for name, value in (given | own).items() if value in (None, "auto")]
    chosen = {name: resolved[name] for name in left_open if resolved.get(name) not in (None, "auto")}
    repeat = "gan train --config config.toml --out DIR"
    if is_python(planned.requested.dataset):
        repeat = 'gancli.train(config="config.toml", out=DIR, dataset=OBJECT), not by a command line'
    heading = f"{__version__}: repeat this run with  {repeat}"
    text = toml.dump(given, session.run.variant, own, heading, chosen)
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
    """Return the metadata of a file that the session writes."""
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
        batch_size=session.plan.batch_size,
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
        init_from=_name_of(str(run.init_from)),
    )


def _name_of(init_from: str) -> str:
    """Return the name of the model of `--init-from`, without its folders; `""` for random weights."""
    if init_from == RANDOM_WEIGHTS:
        return ""
    return init_from if is_reference(init_from) else Path(init_from).name


def _without_folders(own: VariantConfig) -> VariantConfig:
    """Return the options with file names instead of paths, which belong to this machine."""
    paths = {f.name: getattr(own, f.name) for f in fields_of(type(own)) if f.option.path}
    return dataclasses.replace(own, **{name: Path(path).name for name, path in paths.items() if path})


def check_weights(session: Session, groups: state.Tree) -> None:
    """Raises `DivergedError` with the first tensor that contains NaN or infinity."""
    floats = {
        f"{name} of {group.removeprefix('network.')}": tensor
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
        if tensor.is_floating_point()
    }
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in floats.values()]).tolist()
    if not all(finite):
        name = list(floats)[finite.index(False)]
        message = f"weight {name} is no longer finite at step {session.step}; {session.divergence_hint()}"
        raise DivergedError(message, session.step)
