"""`gancli.train`: a training run, to its end or event by event."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gancli import catalogue
from gancli.api import options as given_options
from gancli.api.model import Model, load
from gancli.config import RunConfig
from gancli.config.option import Field
from gancli.config.paths import check_standing
from gancli.config.resolve import FLAG, Layer, known_fields
from gancli.engine import begin
from gancli.engine import run as running
from gancli.engine.choice import Choice, like
from gancli.engine.choice import choose as choose_variant
from gancli.engine.stop import Stop, parse_duration
from gancli.errors import GancliError, UsageError
from gancli.events import Event, LossRow, Progress, RunFinished, Status
from gancli.report.choose import choose

OnEvent = Callable[[Event], object]


def train(variant: str | None = None, *, on_event: OnEvent | None = None, **options: Any) -> "Run":
    """Train a variant to its end: what `gan train` does, by the names of its options (`dataset="mnist", epochs=5,
    out="runs/a"`, …, the variant's own, `resume` and `config`). None: the variant that suits the pictures. Nothing is shown
    unless `progress` says so.

    `on_event` is called with what happens (`gancli.events`). Ctrl-C, and the other signals that stop a run, save its state;
    the run that is given then has `status` "stopped". Raises the errors of the command line.
    """
    run = training(variant, **options)
    for event in run:
        if on_event:
            on_event(event)
    return run


def training(variant: str | None = None, **options: Any) -> "Run":
    """A run that trains while it is iterated over: `for event in gancli.training("cgan", dataset="mnist"): …`."""
    return Run(variant, options)


class Run:
    """A training run. `out`: its directory, `rows`: its rows of losses, `finished`: how it ended, once it has."""

    def __init__(self, variant: str | None, options: dict[str, Any]) -> None:
        choice = _chosen(options) if variant is None else Choice(variant)
        self.variant = catalogue.check_name(choice.variant)
        self.rows: list[LossRow] = []
        self.finished: RunFinished | None = None
        self._resume, config = options.pop("resume", None), options.pop("config", None)
        layers = _layers(self.variant, options, config)
        self._layers = [*([choice.layer] if choice.layer else []), *layers]
        self._begun = False

    @property
    def status(self) -> Status | None:
        """`"done"`, `"stopped"`, or None while it has not ended."""
        return self.finished.status if self.finished else None

    @property
    def out(self) -> Path | None:
        """The run directory; None before the end of a run."""
        return Path(self.finished.out) if self.finished else None

    @property
    def model(self) -> Model:
        """The model as it was saved at the end. Raises `GancliError` before that."""
        if self.finished is None:
            raise GancliError("the run has not ended: its model is not there yet")
        return load(self.finished.checkpoint)

    def __repr__(self) -> str:
        if self.finished is None:
            return f"<run of {self.variant}, {'going on' if self._begun else 'not begun'}>"
        end = self.finished
        return f"<run of {self.variant}, {end.status} at step {end.step:,} of {end.steps:,}; {end.out}>"

    def __iter__(self) -> Iterator[Event]:
        """Train, giving what happens as it happens. Can be done once."""
        if self._begun:
            raise GancliError("the run was iterated over before; begin another, with resume to go on")
        self._begun = True
        return self._events()

    def _events(self) -> Iterator[Event]:
        check_standing()
        max_time = begin.last_value(self._layers, "max_time")
        with Stop(parse_duration(max_time) if max_time else None) as stop:
            start = begin.begin(self.variant, self._layers, self._resume, dry_run=False)
            job = running.alone(self.variant, start, stop)
            shown = "none" if begin.last_value(self._layers, "progress") is None else job.run.progress
            with closing(job.steps) as steps, choose(shown) as report:
                for event in steps:
                    report(event)
                    if isinstance(event, LossRow):
                        self.rows.append(event)
                    if isinstance(event, RunFinished):
                        self.finished = event
                    if not isinstance(event, Progress):  # several times a second: for a display, which has had it
                        yield event


def _chosen(options: dict[str, Any]) -> Choice:
    if options.get("init_from") is not None and options.get("resume") is None:
        return like(os.fspath(options["init_from"]))
    dataset, size, preset = (options.get(name) for name in ("dataset", "image_size", "preset"))
    asked = [*options, *([str(preset)] if preset else [])]
    return choose_variant(
        None if dataset is None else os.fspath(dataset), size if isinstance(size, int) else None, asked
    )


def _layers(variant: str, options: dict[str, Any], config: str | os.PathLike[str] | None) -> list[Layer]:
    """What was asked for: `config` file, environment, options, in rising precedence."""
    config_class = catalogue.card(variant).config_class
    fields = known_fields(config_class)
    given_options.check_known(options, fields, variant)
    layers = []
    if config is not None:
        layers.append(begin.config_layer(os.fspath(config), variant))
    environment = given_options.from_environment(RunConfig)
    environment.pop("progress", None)
    layers += [
        Layer(str(fields[name].option.env), {name: value}, of_machine=True) for name, value in environment.items()
    ]
    return [
        *layers,
        Layer(FLAG, {name: _plain(fields[name], value) for name, value in options.items() if value is not None}),
    ]


def _plain(field: Field, value: Any) -> Any:
    """A path as text, as the command line has it."""
    if field.name == "variant":
        raise UsageError("variant: is the first argument")
    return os.fspath(value) if field.option.path and isinstance(value, os.PathLike) else value
