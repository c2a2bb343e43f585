"""A run from where it starts to its end, by one process or as one of several: what `gan train` and `gancli.train` do."""

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
    from gancli.report.tensorboard import TensorBoardFile

Steps = Generator[events.Event, None, None]


@dataclass(frozen=True)
class Job:
    """A run that is ready to train: iterating over `train(emit)` does it. What happens is yielded or, deep in a function,
    emitted; both are in order if `emit` handles an event as the loop does. `leads`: this process reports and writes, the
    others follow."""

    run: RunConfig
    train: Callable[[events.Emit], Steps]
    leads: bool = True


@dataclass(frozen=True)
class Orders:
    """What the first of several processes tells the others: all options, where, and the state to go on from."""

    run: dict[str, Any]
    own: dict[str, Any]
    directory: RunDirectory
    state: Path | None
    code: str  # the sha256 of a variant from outside, which all must have


@contextlib.contextmanager
def joined() -> Iterator["Ranks | None"]:
    """The other processes of this run, where a launcher (torchrun) started several; else None."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield None
        return
    from gancli.machine import ranks

    with ranks.join_processes() as several:
        yield several


def alone(variant: str, start: Start, stop: Stop) -> Job:
    """A run by this process alone."""
    return Job(start.resolved.run, functools.partial(_train, variant, start, start.make_directory(), stop, None))


def prepared(variant: str, start: Callable[[], Start], stop: Stop, ranks: "Ranks | None") -> Job | None:
    """What this process does of a run that begins with `start`; None: nothing, as the first process says what is wrong.

    Only the first process looks where it starts, decides what is done and where, and reports; the others follow.
    """
    if ranks is None:
        return alone(variant, start(), stop)
    return _led(variant, start, stop, ranks) if ranks.first else _followed(variant, stop, ranks)


def _train(
    variant: str, start: Start, directory: RunDirectory, stop: Stop, ranks: "Ranks | None", emit: events.Emit
) -> Steps:
    """Train under the directory's lock. Each event is written to `metrics.jsonl`, `log.jsonl` and TensorBoard's files before
    it is yielded or emitted. Where the run comes to an end, its page is written."""
    with (
        run_directory.locked(directory) as notes,
        MetricsFile(directory.metrics) as metrics,
        LogFile(directory.log) as log,
        _board(start, directory) as board,
    ):

        def record(event: events.Event) -> None:
            metrics(event)
            log(event)
            if board and (problem := board(event)):
                emit(events.Warned(problem))

        def record_and_emit(event: events.Event) -> None:
            record(event)
            emit(event)

        yield events.Progress(doing="loading torch")  # from a slow disk it takes minutes
        from gancli.engine.train import train
        from gancli.machine.device import SINGLE_PROCESS

        run, own = start.resolved.run, start.resolved.own
        several, asked, weights = ranks or SINGLE_PROCESS, start.resolved.stored, start.weights
        variant_class = catalogue.load(variant)
        for line in (*start.warnings, *notes):
            record_and_emit(events.Warned(line))
        try:
            for event in train(
                run, own, variant_class, directory, stop, record_and_emit, start.state, several, asked, weights
            ):
                record(event)
                if isinstance(event, events.RunFinished):
                    event = dataclasses.replace(event, report=_page(run, directory, log, emit))
                yield event
        except DivergedError as error:
            log.diverged(error)
            if page := _page(run, directory, log, emit):
                yield events.Warned(Note(f"the report of this run is {page}"))
            raise


def _board(start: Start, directory: RunDirectory) -> "TensorBoardFile | contextlib.nullcontext[None]":
    """Where `--tensorboard` asks for it, who writes its event files. Raises `GancliError` where TensorBoard is missing."""
    run, own = start.resolved.run, start.resolved.own
    if not run.tensorboard:
        return contextlib.nullcontext()
    from gancli.report.tensorboard import TensorBoardFile

    named = {f.name: getattr(config, f.name) for config in (run, own) for f in fields_of(type(config))}
    return TensorBoardFile(
        directory.tensorboard, {name: value for name, value in named.items() if name not in NOT_STORED}
    )


def _page(run: RunConfig, directory: RunDirectory, log: LogFile, emit: events.Emit) -> str:
    """Write the page of a run that has ended, and return its path, `""` where there is none. Warns where it, or the log
    before it, could not be written."""
    page = ""
    if run.report:
        emit(events.Progress(doing="writing the report"))
        from gancli.page import files  # only here: no run shall begin later for its page

        if note := files.write_page(directory):
            emit(events.Warned(note))
        else:
            page = str(directory.page)
    if log.problem:
        emit(events.Warned(log.problem))
    return page


def _led(variant: str, start: Callable[[], Start], stop: Stop, ranks: "Ranks") -> Job:
    orders: Orders | None = None
    try:
        started = start()
        run, own = started.resolved.run, started.resolved.own
        directory = started.make_directory()
        try:
            ranks.check_batch(run.batch_size, functools.partial(catalogue.load(variant).num_parts, own))
        except (UsageError, VariantError):
            directory.discard_if_empty()
            raise
        path = started.state.path if started.state else None
        code = catalogue.origin_of(variant).sha256
        orders = Orders(dataclasses.asdict(run), dataclasses.asdict(own), directory, path, code)
    finally:
        ranks.send(orders)  # None: there is nothing to follow
    return Job(run, functools.partial(_train, variant, started, directory, stop, ranks))


def _followed(variant: str, stop: Stop, ranks: "Ranks") -> Job | None:
    orders: Orders | None = ranks.receive()
    if orders is None:
        return None
    run = RunConfig(**orders.run)
    return Job(run, functools.partial(_follow, variant, run, orders, stop, ranks), leads=False)


def _follow(variant: str, run: RunConfig, orders: Orders, stop: Stop, ranks: "Ranks", emit: events.Emit) -> Steps:
    from gancli.engine.train import train
    from gancli.store import state

    own = catalogue.variant_info(variant).config_class(**orders.own)
    variant_class = catalogue.load(variant)
    if (code := catalogue.origin_of(variant).sha256) != orders.code:
        where = catalogue.origin_of(variant)
        raise VariantError(f"{where}: differs (sha256 {code[:12]}) from the first process's ({orders.code[:12]})")
    saved = state.load(orders.state) if orders.state else None
    yield from train(run, own, variant_class, orders.directory, stop, emit, saved, ranks)
