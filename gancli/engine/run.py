"""A run from where it starts to its end, by one process or as one of several: what `gan train` and `gancli.train` do."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli import catalogue, events
from gancli.config import RunConfig, fields_of
from gancli.config.resolve import NOT_KEPT
from gancli.engine.begin import Start
from gancli.engine.stop import Stop
from gancli.errors import DivergedError, UsageError
from gancli.report.jsonl import LogFile, MetricsFile
from gancli.store import rundir
from gancli.store.rundir import RunDirectory
from gancli.text import Note

if TYPE_CHECKING:
    from gancli.machine.ranks import Ranks
    from gancli.report.board import Board

Steps = Generator[events.Event, None, None]


@dataclass(frozen=True)
class Job:
    """A run that is ready to train: iterating over `steps` does it. `leads`: this process tells and writes, the others
    follow."""

    run: RunConfig
    steps: Steps
    leads: bool = True


@dataclass(frozen=True)
class Orders:
    """What the first of several processes tells the others: all options, where, and the state to go on from."""

    run: dict[str, Any]
    own: dict[str, Any]
    directory: RunDirectory
    state: Path | None


@contextlib.contextmanager
def joined() -> Iterator["Ranks | None"]:
    """The other processes of this run, where a launcher (torchrun) started several; else None."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield None
        return
    from gancli.machine import ranks

    with ranks.joined() as several:
        yield several


def alone(variant: str, start: Start, stop: Stop) -> Job:
    """A run by this process alone."""
    return Job(start.resolved.run, _trained(variant, start, start.target(), stop, None))


def prepared(variant: str, start: Callable[[], Start], stop: Stop, ranks: "Ranks | None") -> Job | None:
    """What this process does of a run that begins with `start`; None: nothing, as the first process says what is wrong.

    Only the first process looks where it starts, decides what is done and where, and reports; the others follow.
    """
    if ranks is None:
        return alone(variant, start(), stop)
    return _led(variant, start, stop, ranks) if ranks.first else _followed(variant, stop, ranks)


def _trained(variant: str, start: Start, directory: RunDirectory, stop: Stop, ranks: "Ranks | None") -> Steps:
    """The events of a training, kept in `metrics.jsonl` and `log.jsonl` before they are told, under the directory's lock.
    Where the run comes to an end, its page is written."""
    with (
        rundir.locked(directory) as notes,
        MetricsFile(directory.metrics) as keep,
        LogFile(directory.log) as log,
        _board(start, directory) as board,
    ):
        yield events.Progress(doing="loading torch")  # from a slow disk it takes minutes
        from gancli.engine.train import train
        from gancli.machine.device import ALONE

        run, own = start.resolved.run, start.resolved.own
        several, asked, weights = ranks or ALONE, start.resolved.kept, start.weights
        steps = train(run, own, catalogue.load(variant), directory, stop, start.state, several, asked, weights)
        try:
            for event in chain(map(events.Warned, (*start.warnings, *notes)), steps):
                keep(event)
                log(event)
                if isinstance(event, events.RunFinished):
                    page = yield from _page(run, directory, log)
                    event = dataclasses.replace(event, report=page)
                yield event
                if board and (told := board(event)):
                    yield events.Warned(told)
        except DivergedError as error:
            log.diverged(error)
            if page := (yield from _page(run, directory, log)):
                yield events.Warned(Note(f"the report of this run is {page}"))
            raise


def _board(start: Start, directory: RunDirectory) -> "Board | contextlib.nullcontext[None]":
    """Where `--tensorboard` asks for it, who writes its event files. Raises `GancliError` where TensorBoard is missing."""
    run, own = start.resolved.run, start.resolved.own
    if not run.tensorboard:
        return contextlib.nullcontext()
    from gancli.report.board import Board

    named = {f.name: getattr(config, f.name) for config in (run, own) for f in fields_of(type(config))}
    return Board(directory.tensorboard, {name: value for name, value in named.items() if name not in NOT_KEPT})


def _page(run: RunConfig, directory: RunDirectory, log: LogFile) -> Generator[events.Event, None, str]:
    """Write the page of a run that has ended, and give its path, `""` where there is none; a warning where it, or the log
    before it, could not be written."""
    page = ""
    if run.report:
        yield events.Progress(doing="writing the report")
        from gancli.page import files  # only here: no run shall begin later for its page

        if note := files.write_page(directory):
            yield events.Warned(note)
        else:
            page = str(directory.page)
    if log.trouble:
        yield events.Warned(log.trouble)
    return page


def _led(variant: str, start: Callable[[], Start], stop: Stop, ranks: "Ranks") -> Job:
    orders: Orders | None = None
    try:
        started = start()
        run, own = started.resolved.run, started.resolved.own
        directory = started.target()
        try:
            ranks.check_batch(run.batch_size, functools.partial(catalogue.load(variant).parts, own))
        except UsageError:
            directory.discard_if_empty()
            raise
        path = started.state.path if started.state else None
        orders = Orders(dataclasses.asdict(run), dataclasses.asdict(own), directory, path)
    finally:
        ranks.tell(orders)  # None: there is nothing to follow
    return Job(run, _trained(variant, started, directory, stop, ranks))


def _followed(variant: str, stop: Stop, ranks: "Ranks") -> Job | None:
    orders: Orders | None = ranks.hear()
    if orders is None:
        return None
    run = RunConfig(**orders.run)
    return Job(run, _following(variant, run, orders, stop, ranks), leads=False)


def _following(variant: str, run: RunConfig, orders: Orders, stop: Stop, ranks: "Ranks") -> Steps:
    from gancli.engine.train import train
    from gancli.store import state

    own = catalogue.card(variant).config_class(**orders.own)
    saved = state.load(orders.state) if orders.state else None
    yield from train(run, own, catalogue.load(variant), orders.directory, stop, saved, ranks)
