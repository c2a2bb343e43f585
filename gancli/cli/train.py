"""`gan train`: from the command line to a run, and its events to a reporter."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import typer

from gancli import catalogue, events
from gancli.cli import completing, console, help_page, options
from gancli.config import RunConfig, fields_of, paths, toml
from gancli.config.resolve import FLAG, Layer, known_fields
from gancli.engine import begin
from gancli.engine import run as running
from gancli.engine.begin import run_directory
from gancli.engine.choice import USUAL, Choice, like
from gancli.engine.choice import choose as choose_variant
from gancli.engine.run import Job
from gancli.engine.stop import Stop
from gancli.errors import StdoutError, UsageError
from gancli.report.choose import choose
from gancli.report.reporter import Silence, abandon

Runner = Callable[[Choice, typer.Context, dict[str, Any]], int]
COMPLETERS: Mapping[str, completing.Completer] = {
    "variant": completing.of(catalogue.names),
    "dataset": completing.dataset,
    "device": completing.devices,
    "init_from": completing.checkpoint,
}


def chosen_variant(args: list[str]) -> Choice:
    """The variant that a `gan train` command line is about: named by flag, by `--config` or by the run to resume, or what
    suits the pictures."""
    if (name := value_of(args, "--variant", "-v")) is not None:
        return Choice(catalogue.check_name(name))
    config = value_of(args, "--config")
    table = {} if config is None else toml.read(paths.expanded(config, "--config"))
    if "variant" in table:
        return Choice(catalogue.check_name(str(table["variant"]), f"--config {config}"))
    resume = value_of(args, "--resume")
    out = value_of(args, "--out", "-o") or table.get("out")
    directory = out if resume == "auto" else resume
    if (
        resume
        and directory
        and (recorded := run_directory(paths.expanded(str(directory), "--resume")).config).is_file()
    ):
        return Choice(catalogue.check_name(str(toml.read(recorded).get("variant", "vanilla")), str(recorded)))
    if {"-h", "--help"} & set(args):
        return Choice(USUAL)
    if (init := value_of(args, "--init-from") or table.get("init_from")) is not None:
        return like(str(init))
    dataset = value_of(args, "--dataset", "-d") or table.get("dataset")
    size = value_of(args, "--image-size") or str(table.get("image_size") or "")
    asked = [arg.removeprefix("--").removeprefix("no-").partition("=")[0].replace("-", "_") for arg in args]
    preset = value_of(args, "--preset") or table.get("preset")
    return choose_variant(
        None if dataset is None else str(dataset),
        int(size) if size.isdecimal() else None,
        [*asked, *map(str, table), *([str(preset)] if preset else [])],
    )


def value_of(args: list[str], long: str, short: str | None = None) -> str | None:
    """The last value given to an option in raw arguments: `--variant x`, `--variant=x`, `-v x` or `-vx`."""
    found = None
    for index, arg in enumerate(args):
        if arg in (long, short) and index + 1 < len(args):
            found = args[index + 1]
        elif arg.startswith(f"{long}="):
            found = arg.partition("=")[2]
        elif short and arg.startswith(short) and not arg.startswith("--") and len(arg) > len(short):
            found = arg[len(short) :]
    return found


def command(chosen: str | Choice, run: Runner | None = None) -> Any:
    """The Typer command `gan train` for one variant: the shared options, and its own in a panel of their own. `run` does
    what it says: by default one training."""
    choice = Choice(chosen) if isinstance(chosen, str) else chosen
    variant = choice.variant
    card = catalogue.card(variant)
    completers = {**COMPLETERS, "preset": completing.of(lambda: card.presets)}
    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *(options.parameter(f, f.option.panel, completers.get(f.name)) for f in fields_of(RunConfig)),
        options.extra("resume", str | None, "--resume", metavar="auto|RUN|FILE", rich_help_panel="Output",
                      autocompletion=completing.run,
                      help="go on exactly where a run stopped; auto: the run in --out if there is one, else start"),
        options.extra("config", str | None, "--config", metavar="FILE.toml", rich_help_panel="Output",
                      help="take values from a file, such as a run's config.toml"),
        options.extra("dry_run", bool, "--dry-run", default=False, rich_help_panel="Output",
                      help="show every value and its origin, or the runs of a sweep; train nothing"),
        options.extra("only", int | None, "--only", metavar="K", rich_help_panel="Output",
                      help="of a sweep (several values of an option: --seed 0-9, --lr 1e-4,1e-3) this run alone; from 0"),
        *(options.parameter(f, f"Options of {variant}") for f in fields_of(card.config_class)),
    ]  # fmt: skip
    doc = (
        f"Train {variant} on a data set, into a run directory.\n\n{card.title}\n\n"
        f"Other variants ({', '.join(n for n in catalogue.names() if n != variant) or 'none yet'}) have options of their "
        "own: gan train --variant NAME --help"
    )

    def called(ctx: typer.Context, **given: Any) -> int:
        return (run or _run)(choice, ctx, given)

    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)
    app.command(
        "train",
        cls=help_page.Command,
        short_help="Train a variant on a data set, into a run directory.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )(options.signed(called, parameters, doc))
    return typer.main.get_command(app)


def _run(choice: Choice, ctx: typer.Context, given: dict[str, Any]) -> int:
    variant = choice.variant
    resume, config, dry_run, only = (given.pop(name) for name in ("resume", "config", "dry_run", "only"))
    if only is not None:
        raise UsageError(f"--only {only}: is for a sweep, which several values of an option make, such as --seed 0-9")
    paths.check_standing()
    layers = [*([choice.layer] if choice.layer else []), *given_layers(variant, ctx, given, config)]
    with Stop(begin.max_seconds(layers)) as stop:  # before torch, whose import takes seconds
        start = functools.partial(begin.begin, variant, layers, resume, dry_run)
        if dry_run:
            from gancli.cli import dry_run as dry

            dry.show(start())
            return 0
        with running.joined() as ranks:
            return trained(running.prepared(variant, start, stop, ranks))


def given_layers(variant: str, ctx: typer.Context, given: Mapping[str, Any], config: str | None) -> list[Layer]:
    """What the user said: `--config` file, environment, flags, in rising precedence."""
    config_class = catalogue.card(variant).config_class
    fields = known_fields(config_class)
    flags: dict[str, object] = {}
    layers: list[Layer] = []
    if config is not None:
        layers.append(begin.config_layer(config, variant))
    for name, value in given.items():
        if value is None:
            continue
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "ENVIRONMENT":
            layers.append(Layer(str(fields[name].option.env), {name: value}, of_machine=True))
        else:
            flags[name] = value
    return [*layers, Layer(FLAG, flags)]


def trained(job: Job | None) -> int:
    """Train, reporting; prints the checkpoint's path on stdout. Gives the exit code."""
    if job is None:
        return 0  # the first process says what is wrong
    finished: events.Event | None = None
    with closing(job.steps) as steps, choose(job.run.progress) if job.leads else Silence() as report:
        for event in steps:
            report(event)
            finished = event
    assert isinstance(finished, events.RunFinished)
    if job.leads and job.run.progress != "json":
        tell_where(finished.checkpoint)
    return 75 if finished.status == "stopped" else 0


def tell_where(checkpoint: str) -> None:
    """The checkpoint's path on stdout. The exit code says how the run ended, whether or not anybody takes the path."""
    try:
        console.print_path(checkpoint)
    except (OSError, ValueError, StdoutError) as error:
        abandon(sys.stdout)
        console.say(f"warning: {error}; the run is over, its model is {checkpoint}")
