"""A training run, as an iterator of events: read `train` downwards."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial

from gancli import events
from gancli.config import RunConfig, VariantConfig
from gancli.config.paths import data_root
from gancli.data.names import own_size
from gancli.data.opening import open_source
from gancli.data.photographs import Photographs, open_photographs
from gancli.data.selection import Selection
from gancli.data.source import Source
from gancli.engine import evaluate, initial, memory, plan, resume, saving, warnings
from gancli.engine.evaluation import Evaluation
from gancli.engine.session import NO_REQUESTS, Session
from gancli.engine.stop import Stop
from gancli.errors import GancliError
from gancli.machine import contention
from gancli.machine.device import SINGLE_PROCESS, choose_timing
from gancli.machine.ranks import Ranks
from gancli.spec import ImageSpec
from gancli.steps.runner import StepRunner
from gancli.store.run_directory import RunDirectory
from gancli.store.state import State, Weights
from gancli.text import Note
from gancli.variant import Phase, Variant

Opener = Callable[..., Source | Photographs]


def train(
    run: RunConfig,
    own: VariantConfig,
    variant_class: type[Variant],
    directory: RunDirectory,
    stop: Stop,
    emit: events.Emit,
    resumed: State | None = None,
    ranks: Ranks = SINGLE_PROCESS,
    asked: RunConfig | None = None,
    weights: Weights | None = None,
) -> Iterator[events.Event]:
    """Train a variant into `directory`, from the start or on from a saved state; yields what happens as it happens. What
    the functions that make data set, variant and evaluation ready report goes to `emit`, in the same order.

    `asked`: what of `run` is kept in `config.toml` (by default all); the rest belongs to this machine. `weights`: what
    `--init-from` names, where a run starts; the first process's.
    Of several processes (`ranks`) only the first writes anything; the others yield the same losses.

    Raises `DivergedError` for a loss or weight that is not finite (the last finite state stays), `StoppedError` if asked
    to stop before the first step, other `GancliError`s for data, options and disk.
    """
    with ranks.main_process_first(), contention.yield_cpus():
        stop.raise_if_asked()
        source = open_data(run, own, variant_class, stop.checked_by(emit))
        yield events.Progress(doing="waiting for the other processes" if ranks.world > 1 else "building the networks")
    saved = resumed.facts if resumed is not None else None
    planned = plan.resolve_plan(run, own, source, variant_class, ranks, saved, asked)
    planned.machine.configure(run.deterministic, choose_timing(run.compile, planned.steps))
    session = Session(planned, source, variant_class, directory)
    session.clock.stops_at = stop.deadline
    if resumed is not None:
        yield events.Progress(doing="taking up the saved state")
        yield from map(events.Warned, resume.restore_session(session, resumed))
        if session.step >= planned.steps:
            line = f"already finished, at step {session.step}; a larger --steps or --epochs extends the run"
            yield events.Warned(Note(line))
            yield session.finished("done")
            return
    elif run.init_from is not None:
        yield from map(events.Warned, initial.initialise(session, weights))
    evaluation = _prepare(session, stop, emit)
    try:
        with contention.monitor_contention(session.clock.progress) if session.ranks.alone else nullcontext() as others:
            yield from _steps(session, stop, resumed, evaluation, others)
    finally:
        session.writer.close()
        session.home.close()


def _prepare(session: Session, stop: Stop, emit: events.Emit) -> Evaluation | None:
    """Warn of what is scarce, prepare the variant and the evaluation (returned, if `--eval-every` asks for one), write the
    config and emit `RunStarted`."""
    run = session.run
    for line in (
        *saving.check_disk(session),
        *memory.check_memory(session.plan, session.source, type(session.variant)),
    ):
        emit(events.Warned(line))
    emit(events.Progress(doing="preparing the variant"))
    with session.ranks.main_process_first():
        notes = session.variant.prepare(session.machine.device)
    evaluation = None
    if run.eval_every and session.ranks.first:
        stop.raise_if_asked()
        evaluation = evaluate.prepare(run, session, stop.checked_by(emit))
    saving.check_readable(session)
    saving.write_config(session)
    emit(session.started())
    for line in (*session.phases.check_empty(), *warnings.too_little(session), *warnings.held_out(session), *notes):
        emit(events.Warned(line))
    return evaluation


def _steps(
    session: Session,
    stop: Stop,
    resumed: State | None,
    evaluation: Evaluation | None,
    others: contention.ContentionMonitor | None,
) -> Iterator[events.Event]:
    """All steps that are left, with what happens between them."""
    run, planned, first = session.run, session.plan, session.ranks.first
    intervals = tuple(filter(None, (run.log_every, planned.sample_every, planned.save_every.steps, run.eval_every)))
    for index, phase, start, end in session.phases.remaining(session.step):
        yield events.PhaseStarted(phase.name, index, len(session.phases), start, end)
        yield session.activity("doing the first step")
        runner = session.enter(phase, resumed)
        while session.step < end:
            room = session.steps_until(end, intervals)
            if long := runner.pending_preparation(session.step, room):
                yield session.activity(long)
                yield from session.compile(runner)
            session.advance(runner, room)
            last = session.step == planned.steps
            if session.due(run.log_every) or session.step == end:
                yield from session.loss_row(phase)
                yield from session.check_overfitting()
            if first and (last or planned.samples_due(session.step)):
                yield session.activity("drawing samples")
                saving.follow(session)
                yield from session.save_samples()
            if evaluation and (last or session.due(evaluation.every)):
                yield session.activity("measuring")
                measured = session.evaluate(evaluation)
                if measured.best:
                    yield from _keep_best(session, phase, runner)
                yield measured
            asked = NO_REQUESTS if last else session.requests(stop)
            if last or asked.stop or asked.save or session.due(planned.save_every.steps):
                yield session.activity("saving")
                yield from session.writer.wait()
                saving.save(session, phase, runner)
            yield from session.writer.done()
            if last or asked.stop:
                yield session.activity("writing the state and the model")
                yield from session.writer.wait()
                if session.moved_message:
                    raise GancliError(session.moved_message)
                yield session.finished("stopped" if asked.stop else "done", asked.stop or "")
                return
            yield from session.heartbeat()
            if others is not None:
                yield from map(events.Warned, warnings.contention(session, runner, others))


def _keep_best(session: Session, phase: Phase, runner: StepRunner) -> Iterator[events.Event]:
    """Save the best model so far; not before there is a state that its run can go on from (among several processes, of which
    only the first measures, that cannot be seen to here)."""
    if session.ranks.alone and not session.directory.states():
        yield from session.writer.wait()
        saving.save(session, phase, runner)
        yield from session.writer.wait()
    saving.save_best(session, phase)


def open_data(
    run: RunConfig, own: VariantConfig, variant_class: type[Variant], emit: events.Emit
) -> Source | Photographs:
    """Open the run's data set as what the variant reads. Raises `UsageError` for images that the variant does not take,
    before they are decoded if possible."""
    reads, fits = variant_class.condition_type, partial(plan.check_images, own, variant_class)
    size = run.image_size or (own_size(run.dataset) if reads == "labels" else None)
    if size is not None:
        fits(ImageSpec(3, size, ("some", "other")))
    root = data_root(run.data_root)
    if root.note:
        emit(events.Warned(Note(root.note)))
    fit = plan.choose_fit(run, reads)
    opener: Opener = open_photographs if reads == "low_res" else open_source
    return opener(
        run.dataset,
        emit,
        data_root=root.path,
        image_size=run.image_size,
        download=run.download,
        on_bad_image=run.on_bad_image,
        selection=Selection(run.split, run.image_column, run.label_column),
        **({} if fit is None else {"fit": fit, "fits": fits}),
    )
