"""A run from its start to its end, in one process or in one of several: what `gan train` and `gancli.train` do."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli import catalogue, events
from gancli.config import RunConfig, fields_of
from gancli.config.resolve import NOT_STORED
from gancli.engine.startup import Start
from gancli.engine.stop import Stop
from gancli.errors import DivergedError, UsageError, VariantError
from gancli.report.jsonl import LogFile, MetricsFile
from gancli.store import run_directory
from gancli.store.run_directory import RunDirectory
from gancli.text import Note

if TYPE_CHECKING:
    from gancli.machine.ranks import Ranks

Events = Generator[events.Event, None, None]


@dataclass(frozen=True)
class Job:
    """A run that is ready to train: iterate over `train(emit)`.

    Events are yielded or, from within long functions, emitted; they are in order if `emit` handles an event as the loop
    does. `leads`: this process reports and writes files; other processes follow it.
    """

    run: RunConfig
    train: Callable[[events.Emit], Events]
    leads: bool = True


@dataclass(frozen=True)
class Orders:
    """What the first process sends to the others: all options, the run directory, and the state to resume from."""

    run: dict[str, Any]
    own: dict[str, Any]
    directory: RunDirectory
    state: Path | None
    code: str  # the sha256 of a variant from outside, which all must have


def several_processes() -> bool:
    """Whether a launcher (torchrun) started several processes for one run."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextlib.contextmanager
def join_processes() -> Iterator["Ranks | None"]:
    """Join the other processes of this run, if there are any; else yields None, and imports no torch."""
    if not several_processes():
        yield None
        return
    from gancli.machine import process_group

    with process_group.join_processes() as joined:
        yield joined


def prepare(variant: str, start: Callable[[], Start], stop: Stop, ranks: "Ranks | None" = None) -> Job | None:
    """Return the job of this process. Only the first of several processes calls `start`; the others receive its orders, or
    None if it raised an error, which it reports."""
    if ranks is not None and not ranks.first:
        return _follow(variant, stop, ranks)
    orders: Orders | None = None
    try:
        started = start()
        run, own = started.resolved.run, started.resolved.own
        directory = started.make_directory()
        if ranks is not None:
            try:
                ranks.check_batch(run.batch_size, functools.partial(catalogue.load(variant).num_parts, own))
            except (UsageError, VariantError):
                directory.discard_if_empty()
                raise
            path = started.state.path if started.state else None
            code = catalogue.origin_of(variant).sha256
            orders = Orders(dataclasses.asdict(run), dataclasses.asdict(own), directory, path, code)
    finally:
        if ranks is not None:
            ranks.send(orders)
    return Job(run, functools.partial(_train, variant, started, directory, stop, ranks))


def _follow(variant: str, stop: Stop, ranks: "Ranks") -> Job | None:
    """Return the job of a process that follows the first one."""
    orders: Orders | None = ranks.receive()
    if orders is None:
        return None
    run = RunConfig(**orders.run)

    def follow(emit: events.Emit) -> Events:
        from gancli.engine.train import train
        from gancli.store import state

        own = catalogue.variant_info(variant).config_class(**orders.own)
        variant_class = catalogue.load(variant)
        origin = catalogue.origin_of(variant)
        if (code := origin.sha256) != orders.code:
            raise VariantError(f"{origin}: differs (sha256 {code[:12]}) from the first process's ({orders.code[:12]})")
        saved = state.load(orders.state) if orders.state else None
        return train(run, own, variant_class, orders.directory, stop, emit, saved, ranks)

    return Job(run, follow, leads=False)


def _train(
    variant: str, start: Start, directory: RunDirectory, stop: Stop, ranks: "Ranks | None", emit: events.Emit
) -> Events:
    """Train under the directory's lock. Each event is written to `metrics.jsonl`, `log.jsonl`, TensorBoard and W&B
    before it is yielded or emitted. At the end of the run, its page is written."""
    with (
        run_directory.locked(directory) as notes,
        MetricsFile(directory.metrics) as metrics,
        LogFile(directory.log) as log,
        contextlib.ExitStack() as entered,
    ):
        trackers = list(_trackers(start, directory, entered))

        def record(event: events.Event) -> None:
            metrics(event)
            log(event)
            for write in trackers:
                if problem := write(event):
                    emit(events.Warned(problem))

        def record_and_emit(event: events.Event) -> None:
            record(event)
            emit(event)

        yield events.Progress(doing="loading torch")  # from a slow disk it takes minutes
        from gancli.engine.train import train
        from gancli.machine.device import SINGLE_PROCESS

        resolved, ranks = start.resolved, ranks or SINGLE_PROCESS
        variant_class = catalogue.load(variant)
        for line in (*start.warnings, *notes):
            record_and_emit(events.Warned(line))
        steps = train(
            resolved.run, resolved.own, variant_class, directory, stop, record_and_emit, start.state, ranks,
            resolved.stored, start.weights,
        )  # fmt: skip
        try:
            for event in steps:
                record(event)
                if isinstance(event, events.RunFinished):
                    event = dataclasses.replace(event, report=_write_page(resolved.run, directory, log, emit))
                yield event
        except DivergedError as error:
            log.diverged(error)
            if page := _write_page(resolved.run, directory, log, emit):
                yield events.Warned(Note(f"the report of this run is {page}"))
            raise


def _trackers(
    start: Start, directory: RunDirectory, entered: contextlib.ExitStack
) -> Iterator[Callable[[events.Event], str]]:
    """Yield functions that pass events on to TensorBoard and Weights & Biases, if they are asked for. Raises `GancliError`
    if one of them is not installed."""
    if start.resolved.run.tensorboard:
        from gancli.report.tensorboard import TensorBoardFile

        yield entered.enter_context(TensorBoardFile(directory.tensorboard, _options(start)))
    if start.resolved.run.wandb:
        from gancli.report.wandb import WandbRun

        yield entered.enter_context(WandbRun(directory.wandb, _options(start)))


def _options(start: Start) -> dict[str, object]:
    """Return all options of a run."""
    configs = (start.resolved.run, start.resolved.own)
    values = {f.name: getattr(config, f.name) for config in configs for f in fields_of(type(config))}
    return {name: value for name, value in values.items() if name not in NOT_STORED}


def _write_page(run: RunConfig, directory: RunDirectory, log: LogFile, emit: events.Emit) -> str:
    """Write the page of a run that has ended, and return its path, or `""` without one. Emits a warning if the page, or
    the log before it, cannot be written."""
    page = ""
    if run.report:
        emit(events.Progress(doing="writing the report"))
        from gancli.page import files  # imported here, so that the run starts sooner

        if note := files.write_page(directory):
            emit(events.Warned(note))
        else:
            page = str(directory.page)
    if log.problem:
        emit(events.Warned(log.problem))
    return page
