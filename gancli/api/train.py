"""`gancli.train` and `gancli.training`: a training run, to its end or event by event."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from gancli import catalogue
from gancli.api import common
from gancli.api.common import VariantLike
from gancli.api.model import Model, load
from gancli.api.option_types import TrainOptions
from gancli.config import Field, RunConfig, fields_of, suggestions
from gancli.config.option import checked, with_current_names
from gancli.config.paths import check_working_directory
from gancli.config.resolve import known_fields
from gancli.data.dataset_object import DatasetObject, as_dataset
from gancli.engine import startup
from gancli.engine.choice import choose as choose_variant
from gancli.engine.run import prepare
from gancli.engine.stop import Stop
from gancli.errors import GancliError, StoppedError, UsageError
from gancli.events import Event, LossRow, Progress, RunFinished, Status, ignore
from gancli.page.x_axis import STEPS, check_axis
from gancli.report import jsonl, notebook
from gancli.report.choose import choose_reporter

NOTEBOOK = "notebook"  # a value of `progress` in Python alone
OnEvent = Callable[[Event], object]


def train(
    variant: VariantLike | None = None, *, on_event: OnEvent | None = None, **options: Unpack[TrainOptions]
) -> "Run":
    """Train a variant to its end, as `gan train` does, and return the run.

    `variant`: a name, the path of a `.py` file, or a class derived from `gancli.variant.Variant`, whose `Config` is in its
    module or in the class; by default the one that suits the images. `options`: those of `gan train` with `_` for `-`;
    None selects the default. `dataset` may also be a map-style dataset object, such as a `torch.utils.data.Dataset`.
    Nothing is printed unless `progress` is given; `progress="notebook"` shows one table and one grid of samples, which
    change in place. `on_event` is called with each event; if it raises an error, the run saves its state and ends. Ctrl-C,
    SIGTERM and `max_time` save the state and return a run with the status "stopped". Raises `UsageError`, `VariantError`,
    `DataError`, `CheckpointError`, `DivergedError`, and `StoppedError` before the first step.
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

    @common.errors_in_python()
    def __init__(self, variant: VariantLike | None, options: Mapping[str, Any]) -> None:
        variant = None if variant is None else common.variant(variant)
        given = common.given(**options)
        self._notebook = given.get("progress") == NOTEBOOK
        if self._notebook:
            notebook.check()
            given["progress"] = "none"
        resume, config = given.pop("resume", None), given.pop("config", None)
        resume = None if resume is None else common.path(resume, "resume", '"auto", a run or a path')
        config = None if config is None else common.path(config, "config")
        shared = {field.name for field in fields_of(RunConfig)}
        given["dataset"] = as_dataset(given.get("dataset"))
        given = common.given(**given)
        texts = {name: value for name, value in given.items() if not isinstance(value, DatasetObject)}
        given |= checked(RunConfig, {name: value for name, value in texts.items() if name in shared})
        table = startup.read_config(config)
        choice = choose_variant(given if variant is None else {"variant": variant}, table, config, resume)
        self.variant = choice.variant
        config_class = catalogue.variant_info(self.variant).config_class
        given = with_current_names(given, fields_of(config_class))
        _check_known(given, known_fields(config_class), self.variant)
        given |= checked(config_class, {name: value for name, value in given.items() if name not in shared})
        self.rows: list[LossRow] = []
        self.finished: RunFinished | None = None
        self._resume = resume
        self._layers = choice.layers(given, table, config, but=("progress",))
        self._started = False

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
            raise GancliError("the run has not ended: it has no model yet")
        return load(self.finished.checkpoint)

    def table(self) -> list[dict[str, Any]]:
        """Return `rows` as dicts without nested ones: `step`, `epoch`, `phase`, each loss term by its name, `images_per_s`,
        `elapsed_s` and `memory_bytes`. `pandas.DataFrame(run.table())` takes them."""
        return [jsonl.loss_row(row) for row in self.rows]

    @common.errors_in_python()
    def plot(self, over: str = STEPS) -> Any:
        """Return a `matplotlib.figure.Figure` of the losses, as `gan report -o curves.png` draws them: before the end, those
        in `rows`; at the end, all that the run directory holds. `over`: the x axis, `"steps"`, and at the end also
        `"images"` or `"time"`. Raises `GancliError` without matplotlib (the extra `report`), and if there are no losses."""
        from gancli.page import figure, files, run_data

        check_axis(over)
        run = run_data.of_rows(self.variant, self.table()) if self.out is None else run_data.of_directory(self.out)
        files.require_axis(over, [run])
        return figure.draw([run], over, "plot")

    def __fspath__(self) -> str:
        if self.finished is None:
            raise GancliError("the run has not ended: it has no directory yet")
        return self.finished.out

    def __repr__(self) -> str:
        if self.finished is None:
            return f"<run of {self.variant}, not {'finished' if self._started else 'started'}>"
        end = self.finished
        return f"<run of {self.variant}, {end.status} at step {end.step:,} of {end.steps:,}; {end.out}>"

    def __iter__(self) -> Iterator[Event]:
        """Train, and yield the events. Raises `GancliError` the second time."""
        return self._train(None)

    def _train(self, on_event: OnEvent | None) -> Iterator[Event]:
        """Train, and yield the events. Emitted events go to `on_event` at once or, without it, are yielded before the next
        event."""
        if self._started:
            raise GancliError('a run is iterated over once; start another, with resume="auto" and its out to resume it')
        self._started = True
        return self._events(on_event)

    def _events(self, on_event: OnEvent | None) -> Iterator[Event]:
        with common.errors_in_python(), common.exclusive(), Stop(startup.max_seconds(self._layers)) as stop:
            check_working_directory()
            start = partial(startup.resolve_start, self.variant, self._layers, self._resume, dry_run=False)
            job = prepare(self.variant, start, stop)
            assert job is not None, "only a process that follows another one may have no job"
            progress = "none" if startup.value_of(self._layers, "progress") is None else job.run.progress
            emitted = list[Event]()
            call: OnEvent = on_event or emitted.append
            with notebook.Notebook() if self._notebook else choose_reporter(progress) as report:

                def emit(event: Event) -> None:
                    event = self._handle(event, report)
                    if not isinstance(event, Progress):  # sent several times a second, for a display
                        call(event)

                with closing(job.train(emit)) as steps:
                    in_order = _in_order((self._handle(event, report) for event in steps), emitted)
                    for event in in_order:
                        if isinstance(event, Progress):
                            continue
                        try:
                            yield event
                        except GeneratorExit:
                            if sys.is_finalizing():  # no thread can start any more, so no state can be saved
                                raise
                            stop.request("leaving its loop")
                            with suppress(StoppedError):  # before the first step
                                deque(in_order, maxlen=0)
                            return

    def _handle(self, event: Event, report: Callable[[Event], object]) -> Event:
        event = common.event_in_python(event)
        report(event)
        if isinstance(event, LossRow):
            self.rows.append(event)
        if isinstance(event, RunFinished):
            self.finished = event
        return event


def _in_order(steps: Iterable[Event], emitted: list[Event]) -> Iterator[Event]:
    """Yield the `emitted` events before each event of `steps`, and before an error that ends them."""
    try:
        for event in steps:
            yield from emitted
            emitted.clear()
            yield event
    except GancliError:
        yield from emitted
        raise


def _check_known(options: Mapping[str, object], known: Mapping[str, Field], variant: str) -> None:
    """Raises `UsageError` for a name that is not an option of the variant."""
    for name in options:
        if name not in known:
            raise UsageError(f"{variant} has no option {name}{suggestions.of_name(name, known)}")
