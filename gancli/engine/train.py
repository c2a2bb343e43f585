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
from gancli.data.source import Source
from gancli.data.spec import ImageSpec
from gancli.engine import evaluate, initial, memory, plan, resume, saving, warnings
from gancli.engine.evaluation import Evaluation
from gancli.engine.session import NOTHING, Session
from gancli.engine.stop import Stop
from gancli.errors import GancliError
from gancli.machine import contention
from gancli.machine.device import ALONE, choose_timing
from gancli.machine.ranks import Ranks
from gancli.steps.runner import Runner
from gancli.store.rundir import RunDirectory
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
    ranks: Ranks = ALONE,
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
    with ranks.first_goes_first(), contention.yielding():
        stop.raise_if_asked()
        source = open_data(run, own, variant_class, stop.checked_by(emit))
        yield events.Progress(doing="waiting for the other processes" if ranks.world > 1 else "building the networks")
    saved = resumed.facts if resumed is not None else None
    planned = plan.make(run, own, source, variant_class, ranks, saved, asked)
    planned.machine.settle(run.deterministic, choose_timing(run.compile, planned.steps))
    session = Session(planned, source, variant_class, directory)
    session.clock.stops_at = stop.deadline
    if resumed is not None:
        yield events.Progress(doing="taking up the saved state")
        yield from map(events.Warned, resume.restore(session, resumed))
        if session.step >= planned.steps:
            line = f"already finished, at step {session.step}; a larger --steps or --epochs extends the run"
            yield events.Warned(Note(line))
            yield session.finished("done")
            return
    elif run.init_from is not None:
        yield from map(events.Warned, initial.take_up(session, weights))
    evaluation = _prepare(session, stop, emit)
    try:
        with contention.watched(session.clock.progress) if session.ranks.alone else nullcontext() as others:
            yield from _steps(session, stop, resumed, evaluation, others)
    finally:
        session.writer.close()
        session.home.close()


def _prepare(session: Session, stop: Stop, emit: events.Emit) -> Evaluation | None:
    """Warn of what is scarce, prepare the variant and the evaluation (returned, if `--eval-every` asks for one), write the
    config and emit `RunStarted`."""
    run = session.run
    for line in (*saving.check_disk(session), *memory.shortage(session.plan, session.source, type(session.variant))):
        emit(events.Warned(line))
    emit(events.Progress(doing="preparing the variant"))
    with session.ranks.first_goes_first():
        notes = session.variant.prepare(session.machine.device)
    evaluation = None
    if run.eval_every and session.ranks.first:
        stop.raise_if_asked()
        evaluation = evaluate.prepare(run, session, stop.checked_by(emit))
    saving.check_readable(session)
    saving.write_config(session)
    emit(session.started())
    for line in (*session.phases.empty(), *warnings.too_little(session), *warnings.set_aside(session), *notes):
        emit(events.Warned(line))
    return evaluation


def _steps(
    session: Session,
    stop: Stop,
    resumed: State | None,
    evaluation: Evaluation | None,
    others: contention.Contention | None,
) -> Iterator[events.Event]:
    """All steps that are left, with what happens between them."""
    run, planned, first = session.run, session.plan, session.ranks.first
    intervals = tuple(filter(None, (run.log_every, planned.sample_every, planned.save_every.steps, run.eval_every)))
    for index, phase, start, end in session.phases.after(session.step):
        yield events.PhaseStarted(phase.name, index, len(session.phases), start, end)
        yield session.doing("doing the first step")
        runner = session.enter(phase, resumed)
        while session.step < end:
            room = session.room(end, intervals)
            if long := runner.makes_ready(session.step, room):
                yield session.doing(long)
                yield from session.compile(runner)
            session.advance(runner, room)
            last = session.step == planned.steps
            if session.due(run.log_every) or session.step == end:
                yield from session.loss_row(phase)
                yield from session.look()
            if first and (last or planned.draws(session.step)):
                yield session.doing("drawing samples")
                saving.follow(session)
                yield from session.draw_samples()
            if evaluation and (last or session.due(evaluation.every)):
                yield session.doing("measuring")
                measured = session.evaluate(evaluation)
                if measured.best:
                    yield from _keep_best(session, phase, runner)
                yield measured
            asked = NOTHING if last else session.asked(stop)
            if last or asked.stop or asked.save or session.due(planned.save_every.steps):
                yield session.doing("saving")
                yield from session.writer.wait()
                saving.save(session, phase, runner)
            yield from session.writer.done()
            if last or asked.stop:
                yield session.doing("writing the state and the model")
                yield from session.writer.wait()
                if session.lost:
                    raise GancliError(session.lost)
                yield session.finished("stopped" if asked.stop else "done", asked.stop or "")
                return
            yield from session.word()
            if others is not None:
                yield from map(events.Warned, warnings.contention(session, runner, others))


def _keep_best(session: Session, phase: Phase, runner: Runner) -> Iterator[events.Event]:
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
    reads, fits = variant_class.reads, partial(plan.check_images, own, variant_class)
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
        **({} if fit is None else {"fit": fit, "fits": fits}),
    )
