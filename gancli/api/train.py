"""`gancli.train` and `gancli.training`: a training run, to its end or event by event."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Unpack

from gancli import catalogue
from gancli.api import options as given_options
from gancli.api.alone import alone
from gancli.api.model import Model, load
from gancli.api.option_types import TrainOptions
from gancli.api.options import VariantLike
from gancli.config import RunConfig, fields_of
from gancli.config.option import checked, with_current_names
from gancli.config.paths import check_working_directory
from gancli.config.resolve import FLAG, Layer, environment_layers, known_fields
from gancli.engine import run as running
from gancli.engine import startup
from gancli.engine.choice import choose as choose_variant
from gancli.engine.stop import Stop
from gancli.errors import GancliError, StoppedError
from gancli.events import Event, LossRow, Progress, RunFinished, Status, ignore
from gancli.report.choose import choose_reporter

OnEvent = Callable[[Event], object]


def train(
    variant: VariantLike | None = None, *, on_event: OnEvent | None = None, **options: Unpack[TrainOptions]
) -> "Run":
    """Train a variant to its end, as `gan train` does, and return the run.

    `variant`: a name, the path of a `.py` file, or a class derived from `gancli.variant.Variant`, whose `Config` is in its
    module or in the class; by default the one that suits the images. `options`: those of `gan train` with `_` for `-`;
    None selects the default. Nothing is printed unless `progress` is given. `on_event` is called with each event; if it
    raises an error, the run saves its state and ends. Ctrl-C, SIGTERM and `max_time` save the state and return a run with
    the status "stopped". Raises `UsageError`, `VariantError`, `DataError`, `CheckpointError`, `DivergedError`, and
    `StoppedError` before the first step.
    """
    run = training(variant, **options)
    call = on_event or ignore
    for event in run._train(call):
        call(event)
    return run


def training(variant: VariantLike | None = None, **options: Unpack[TrainOptions]) -> "Run":
    """Return a run that trains while you iterate over it, and yields its events. If you leave the loop (`break`, `return` or
    an error), the run stops and saves its state, as with Ctrl-C. Variant, options and errors: as `train`. Events of
    opening the data come once the data are open."""
    return Run(variant, options)


class Run:
    """A training run. `variant`: its name; `rows`: its losses so far; `finished`: its last event, None before the end. A
    finished run can be passed wherever the path of a run is expected."""

    @given_options.spoken()
    def __init__(self, variant: VariantLike | None, options: Mapping[str, Any]) -> None:
        variant = None if variant is None else given_options.variant(variant)
        asked = given_options.given(**options)
        resume, config = asked.pop("resume", None), asked.pop("config", None)
        resume = None if resume is None else given_options.path(resume, "resume", '"auto", a run or a path')
        config = None if config is None else given_options.path(config, "config")
        shared = {field.name for field in fields_of(RunConfig)}
        asked |= checked(RunConfig, {name: value for name, value in asked.items() if name in shared})
        table = startup.read_config(config)
        choice = choose_variant(asked if variant is None else {"variant": variant}, table, config, resume)
        self.variant = choice.variant
        config_class = catalogue.variant_info(self.variant).config_class
        asked = with_current_names(asked, fields_of(config_class))
        given_options.check_known(asked, known_fields(config_class), self.variant)
        asked |= checked(config_class, {name: value for name, value in asked.items() if name not in shared})
        self.rows: list[LossRow] = []
        self.finished: RunFinished | None = None
        self._resume = resume
        self._layers = [
            *([choice.layer] if choice.layer else []),
            *([startup.config_layer(config, table, self.variant)] if config is not None else []),
            *environment_layers(but=("progress",)),
            Layer(FLAG, asked),
        ]
        self._begun = False

    @property
    def status(self) -> Status | None:
        """`"done"` or `"stopped"`; None before the end."""
        return self.finished.status if self.finished else None

    @property
    def out(self) -> Path | None:
        """The run directory; None before the end."""
        return Path(self.finished.out) if self.finished else None

    @property
    def model(self) -> Model:
        """The model that was saved at the end. Raises `GancliError` before the end."""
        if self.finished is None:
            raise GancliError("the run has not ended: its model is not there yet")
        return load(self.finished.checkpoint)

    def __fspath__(self) -> str:
        if self.finished is None:
            raise GancliError("the run has not ended: it has no directory yet")
        return self.finished.out

    def __repr__(self) -> str:
        if self.finished is None:
            return f"<run of {self.variant}, not {'finished' if self._begun else 'started'}>"
        end = self.finished
        return f"<run of {self.variant}, {end.status} at step {end.step:,} of {end.steps:,}; {end.out}>"

    def __iter__(self) -> Iterator[Event]:
        """Train, and yield the events. Raises `GancliError` the second time."""
        return self._train(None)

    def _train(self, on_event: OnEvent | None) -> Iterator[Event]:
        """As `iter(run)`. What functions emit goes to `on_event` at once or, without it, comes before the iterator's next
        event."""
        if self._begun:
            raise GancliError('a run is iterated over once; start another, with resume="auto" and its out to resume it')
        self._begun = True
        return self._events(on_event)

    def _events(self, on_event: OnEvent | None) -> Iterator[Event]:
        with given_options.spoken(), alone(), Stop(startup.max_seconds(self._layers)) as stop:
            check_working_directory()
            start = startup.resolve_start(self.variant, self._layers, self._resume, dry_run=False)
            job = running.alone(self.variant, start, stop)
            shown = "none" if startup.value_of(self._layers, "progress") is None else job.run.progress
            emitted = list[Event]()
            call: OnEvent = on_event or emitted.append
            with choose_reporter(shown) as report:

                def emit(event: Event) -> None:
                    event = self._noted(event, report)
                    if not isinstance(event, Progress):  # several times a second: for a display, which has had it
                        call(event)

                with closing(job.train(emit)) as steps:
                    happened = _in_order((self._noted(event, report) for event in steps), emitted)
                    for event in happened:
                        if isinstance(event, Progress):
                            continue
                        try:
                            yield event
                        except GeneratorExit:
                            if sys.is_finalizing():  # nothing can be started any more: the last saved state stays
                                raise
                            stop.ask("leaving its loop")
                            with suppress(StoppedError):  # nothing was trained yet
                                deque(happened, maxlen=0)
                            return

    def _noted(self, event: Event, report: Callable[[Event], object]) -> Event:
        event = given_options.event_in_python(event)
        report(event)
        if isinstance(event, LossRow):
            self.rows.append(event)
        if isinstance(event, RunFinished):
            self.finished = event
        return event


def _in_order(steps: Iterable[Event], emitted: list[Event]) -> Iterator[Event]:
    """Yield what was `emitted` before each event of `steps`, and before an error that ends them."""
    try:
        for event in steps:
            yield from emitted
            emitted.clear()
            yield event
    except GancliError:
        yield from emitted
        raise
