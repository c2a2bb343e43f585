"""Parse the options of `gan train`, and train one run."""

import functools
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli import catalogue, events
from gancli.catalogue import outside
from gancli.cli import console, dry_run, options
from gancli.config import Field, RunConfig, fields_of
from gancli.config.option import with_current_names
from gancli.config.resolve import Layer
from gancli.config.run import TrainCommandConfig
from gancli.engine import startup
from gancli.engine.choice import Choice, choose
from gancli.engine.run import join_processes, prepare
from gancli.engine.stop import Stop
from gancli.engine.sweep import Axis, parse_values
from gancli.errors import StdoutError, UsageError
from gancli.machine import launch
from gancli.report.choose import choose_reporter
from gancli.report.reporter import Silence, abandon


@dataclass(frozen=True)
class Request:
    """A `gan train` command line, parsed."""

    arguments: Sequence[str]  # as typed
    command: TrainCommandConfig
    table: Mapping[str, object]  # of the --config file
    values: Mapping[str, Any]  # of the given options; the first of several values
    axes: Sequence[Axis]  # the options with several values, which make a sweep
    choice: Choice

    @property
    def layers(self) -> list[Layer]:
        """The values of options by rising precedence."""
        return self.layers_of(self.choice, self.values)

    def layers_of(self, choice: Choice, values: Mapping[str, Any]) -> list[Layer]:
        """Return the same for other `values` on the command line."""
        return choice.layers(values, self.table, self.command.config)


def parse(texts: Mapping[str, Any], arguments: Sequence[str]) -> Request:
    """Parse the texts of the given options, by name. Raises `UsageError`."""
    if "variant" in texts:
        texts = {**texts, "variant": ",".join(map(catalogue.resolve, variants(texts["variant"])))}
    own_options = catalogue.variant_options(catalogue.known_names())
    texts = with_current_names(texts, (field for by_variant in own_options.values() for field in by_variant.values()))
    command = TrainCommandConfig(**options.given(TrainCommandConfig, texts))
    table = startup.read_config(command.config)
    values, axes = _parsed(fields_of(RunConfig), texts)
    choice = choose({**texts, **values}, table, command.config, command.resume)
    for name in texts:
        if name in own_options and choice.variant not in own_options[name]:
            owners = ", ".join(own_options[name])
            raise UsageError(f"--{name.replace('_', '-')}: {choice.variant} has no such option (an option of {owners})")
    own_values, own_axes = _parsed(fields_of(catalogue.variant_info(choice.variant).config_class), texts)
    return Request(arguments, command, table, {**values, **own_values}, [*axes, *own_axes], choice)


def variants(text: str) -> list[str]:
    """The values of `--variant`, of which a sweep has several. A comma in the path of a file separates none."""
    return [text] if outside.is_file(text) and Path(text).exists() else text.split(",")


def _parsed(fields: Iterable[Field], texts: Mapping[str, Any]) -> tuple[dict[str, Any], list[Axis]]:
    """Return the values of options, the first of several values, and the options with several values."""
    values: dict[str, Any] = {}
    axes = []
    for field in (field for field in fields if field.name in texts):
        if (several := parse_values(field, texts[field.name])) is not None:
            axes.append(Axis(field, several))
            values[field.name] = several[0]
        else:
            values[field.name] = field.parse(texts[field.name])
    return values, axes


def run(request: Request) -> int:
    """Train one run, or show its values (`--dry-run`). Returns the exit code."""
    command = request.command
    if command.only is not None:
        raise UsageError(
            f"--only {command.only}: only applies to a sweep (several values of an option, such as --seed 0-9)"
        )
    variant, layers = request.choice.variant, request.layers
    with Stop(startup.max_seconds(layers)) as stop:  # before torch, whose import takes seconds
        if command.dry_run:
            dry_run.show(startup.resolve_start(variant, layers, command.resume, dry_run=True))
            return 0
        return train(variant, layers, command, request.arguments, stop)


def train(
    variant: str, layers: Sequence[Layer], command: TrainCommandConfig, arguments: Sequence[str], stop: Stop
) -> int:
    """Train one run, report progress, and print the checkpoint's path on stdout. `arguments`: those of `gan train` for this
    run alone, which other processes are started with (`--processes`). Returns the exit code."""
    start = functools.partial(startup.resolve_start, variant, layers, command.resume, dry_run=False)
    count = launch.resolve_count(command.processes, startup.value_of(layers, "device"))
    with launch.launched(count, arguments), join_processes() as ranks:
        job = prepare(variant, start, stop, ranks)
        if job is None:
            return 0  # the first process reports the error
        finished: events.Event | None = None
        with (
            choose_reporter(job.run.progress) if job.leads else Silence() as report,
            closing(job.train(report)) as steps,
        ):
            for event in steps:
                report(event)
                finished = event
        assert isinstance(finished, events.RunFinished)
        if job.leads and job.run.progress != "json":
            print_checkpoint(finished.checkpoint)
        return 75 if finished.status == "stopped" else 0


def print_checkpoint(checkpoint: str) -> None:
    """Print the checkpoint's path on stdout; a warning if stdout is closed, as the exit code is that of the run."""
    try:
        console.print_path(checkpoint)
    except (OSError, ValueError, StdoutError) as error:
        abandon(sys.stdout)
        console.print_message(f"warning: {error}; the run has ended, its model is {checkpoint}")
