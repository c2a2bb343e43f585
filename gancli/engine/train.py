"""A training run, as an iterator of events: read `train` downwards."""

from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from gancli import events
from gancli.config import RunConfig, VariantConfig
from gancli.config.paths import data_root
from gancli.config.run import RANDOM_WEIGHTS
from gancli.data.dataset import Dataset
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions, Selection
from gancli.data.overview import own_size
from gancli.data.photographs import PhotoDataset, open_photographs
from gancli.engine import initial, memory, monitors, pace, plan, resume, saving
from gancli.engine.evaluate import Evaluation
from gancli.engine.session import NO_REQUESTS, Session
from gancli.engine.stop import Stop
from gancli.errors import GancliError
from gancli.machine import contention
from gancli.machine.contention import ContentionMonitor
from gancli.machine.device import SINGLE_PROCESS, choose_timing
from gancli.machine.ranks import Ranks
from gancli.spec import ImageSpec
from gancli.steps.runner import StepRunner
from gancli.store.pretrained import pretrained_file
from gancli.store.run_directory import RunDirectory
from gancli.store.state import State, Weights, load_weights
from gancli.text import Note
from gancli.variant import Phase, Variant


def train(
    run: RunConfig,
    own: VariantConfig,
    variant_class: type[Variant],
    directory: RunDirectory,
    stop: Stop,
    emit: events.Emit,
    resumed: State | None = None,
    ranks: Ranks = SINGLE_PROCESS,
    requested: RunConfig | None = None,
    weights: Weights | None = None,
) -> Generator[events.Event, None, None]:
    """Train a variant into `directory`, from the start or from a saved state, and yield events. What functions that open
    the data and prepare the variant and the evaluation report goes to `emit`, in the same order.

    `requested`: the options of `run` for `config.toml` (by default all); the others belong to this machine. `weights`:
    those of a given `--init-from`, in the first process. Of several processes (`ranks`), only the first writes files; the
    others yield the same losses.

    Raises `DivergedError` for a loss or weight that diverged (the last finite state is kept), `StoppedError` if a stop is
    requested before the first step, and other `GancliError`s for data, options and disk.
    """
    with ranks.main_process_first(), contention.yield_cpus():
        stop.raise_if_requested()
        source = open_data(run, own, variant_class, stop.checked_by(emit))
        yield events.Progress(doing="waiting for the other processes" if ranks.world > 1 else "building the networks")
    saved = resumed.facts if resumed is not None else None
    planned = plan.resolve_plan(run, own, source, variant_class, ranks, saved, requested)
    if saved is None or saved.step < planned.steps:
        yield from map(events.Warned, memory.check_memory(planned, source, variant_class))
    planned.machine.configure(run.deterministic, choose_timing(run.compile, planned.steps))
    if run.within is not None and saved is None:
        steps = pace.steps_within(run.within, planned, source, variant_class, directory, stop, emit)
        length = {"steps": steps, "epochs": None} if steps < planned.steps else {"within": None}
        run, requested = (replace(each, **length) for each in (run, requested or run))
        planned = plan.resolve_plan(run, own, source, variant_class, ranks, saved, requested)
        planned.machine.configure(run.deterministic, choose_timing(run.compile, planned.steps))
    session = Session(planned, source, variant_class, directory)
    session.clock.stops_at = stop.deadline
    if resumed is not None:
        yield events.Progress(doing="restoring the saved state")
        yield from map(events.Warned, resume.restore_session(session, resumed))
        if session.step >= planned.steps:
            line = f"already finished, at step {session.step}; a larger --steps or --epochs extends the run"
            yield events.Warned(Note(line))
            yield session.finished("done")
            return
    else:
        if session.run.init_from != RANDOM_WEIGHTS:
            if run.init_from is None and ranks.first:
                weights, _ = load_weights(pretrained_file(str(session.run.init_from)))
            yield from map(events.Warned, initial.initialise(session, weights))
        session.fit_to_images()
    evaluation = _prepare(session, stop, emit)
    try:
        with contention.monitor_contention(session.clock.progress) if session.ranks.alone else nullcontext() as others:
            yield from _steps(session, stop, resumed, evaluation, others)
    finally:
        session.close()


def _prepare(session: Session, stop: Stop, emit: events.Emit) -> Evaluation | None:
    """Warn about a lack of disk, images or steps, prepare the variant, write the config, and emit `RunStarted`.
    Returns the evaluation of `--eval-every`, if it is given."""
    variant_class = type(session.variant)
    for line in saving.check_disk(session):
        emit(events.Warned(line))
    emit(events.Progress(doing="preparing the variant"))
    with session.ranks.main_process_first():
        notes = session.variant.prepare(session.machine.device)
    evaluation = None
    if session.run.eval_every and session.ranks.first:
        stop.raise_if_requested()
        evaluation = Evaluation(session, stop.checked_by(emit))
    saving.check_readable(session)
    saving.write_config(session)
    emit(session.started())
    about_data = monitors.data_messages(session.plan, variant_class, session.source.num_images, session.step)
    for line in (*session.phases.check_empty(), *about_data, *notes):
        emit(events.Warned(line))
    return evaluation


def _steps(
    session: Session,
    stop: Stop,
    resumed: State | None,
    evaluation: Evaluation | None,
    others: ContentionMonitor | None,
) -> Iterator[events.Event]:
    """Train for all steps that are left, with losses, samples, evaluations and states between them."""
    run, planned, first = session.run, session.plan, session.ranks.first
    intervals = tuple(filter(None, (run.log_every, planned.sample_every, planned.save_every.steps, run.eval_every)))
    for index, phase, start, end in session.phases.remaining(session.step):
        yield events.PhaseStarted(phase.name, index, len(session.phases), start, end)
        yield session.activity("doing the first step")
        runner = session.enter(phase, resumed)
        while session.step < end:
            max_steps = session.steps_until(end, intervals)
            if activity := runner.pending_preparation(session.step, max_steps):
                yield session.activity(activity)
                yield from session.compile(runner)
            session.advance(runner, max_steps)
            last = session.step == planned.steps
            if session.due(run.log_every) or session.step == end:
                yield from session.loss_row(phase)
                yield from session.check_overfitting()
            if first and (last or planned.samples_due(session.step)):
                yield session.activity("generating samples")
                yield from saving.save_samples(session)
            if evaluation and (last or session.due(evaluation.every)):
                yield session.activity("evaluating")
                evaluated = evaluation(session)
                if evaluated.best:
                    yield from _save_best(session, phase, runner)
                yield evaluated
            requests = NO_REQUESTS if last else session.requests(stop)
            if last or requests.stop or requests.save or session.due(planned.save_every.steps):
                yield session.activity("saving")
                yield from session.writer.wait()
                saving.save(session, phase, runner)
            yield from session.writer.done()
            if last or requests.stop:
                yield session.activity("writing the state and the model")
                yield from session.writer.wait()
                if session.moved_message:
                    raise GancliError(session.moved_message)
                yield session.finished("stopped" if requests.stop else "done", requests.stop or "")
                return
            yield from session.heartbeat()
            if others is not None:
                yield from map(events.Warned, session.check_contention(runner, others))


def _save_best(session: Session, phase: Phase, runner: StepRunner) -> Iterator[events.Event]:
    """Save the best model so far, after the first state, so that its run can be resumed. (One of several processes cannot
    save a state here, as only the first one evaluates.)"""
    if session.ranks.alone and not session.directory.states():
        yield from session.writer.wait()
        saving.save(session, phase, runner)
        yield from session.writer.wait()
    saving.save_best(session, phase)


def open_data(
    run: RunConfig, own: VariantConfig, variant_class: type[Variant], emit: events.Emit
) -> Dataset | PhotoDataset:
    """Open the run's dataset as what the variant is trained on. Raises `UsageError` for images of a size that the variant
    does not support, before they are decoded if possible."""
    condition, check_images = variant_class.condition_type, partial(plan.check_images, own, variant_class)
    size = run.image_size or (own_size(run.dataset) if condition == "labels" else None)
    if size is not None:
        check_images(ImageSpec(3, size, ("some", "other")))
    root = data_root(run.data_root)
    if root.note:
        emit(events.Warned(Note(root.note)))
    fit = plan.choose_fit(run, condition)
    selection = Selection(run.split, run.image_column, run.label_column)
    options = DatasetOptions(root.path, run.image_size, run.download, run.on_bad_image, selection=selection)
    if condition == "low_res":
        return open_photographs(run.dataset, options, emit)
    return open_dataset(run.dataset, replace(options, fit=fit or "crop", check_spec=check_images), emit)
