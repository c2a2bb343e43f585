"""`gan train`: from the command line to `engine.train`, and its events to a reporter."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli import catalogue, events
from gancli.cli import console, options
from gancli.config import RunConfig, fields_of, toml
from gancli.config.resolve import Layer, Resolved, check_resumed, file_layer, known_fields, preset_layers, resolve
from gancli.data.names import source_names
from gancli.engine import rundir
from gancli.engine.rundir import RunDirectory
from gancli.engine.stop import Stop, parse_duration
from gancli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from gancli.engine.state import State

COMPLETERS: Mapping[str, options.Completer] = {
    "variant": options.completer(catalogue.names),
    "dataset": options.completer(source_names),
    "device": options.completer(lambda: ("auto", "cpu", "cuda", "cuda:0", "mps")),
}


def named_variant(args: list[str]) -> str:
    """The variant that a `gan train` command line is about: named by flag, by `--config` or by the run to resume."""
    if name := _value_of(args, "--variant", "-v"):
        return catalogue.check_name(name)
    config = _value_of(args, "--config")
    if config:
        table = toml.read(Path(config))
        if "variant" in table:
            return catalogue.check_name(str(table["variant"]))
    resume = _value_of(args, "--resume")
    out = _value_of(args, "--out", "-o")
    directory = out if resume == "auto" else resume
    if resume and directory and (recorded := _run_directory(Path(directory)).config).exists():
        return catalogue.check_name(str(toml.read(recorded).get("variant", "vanilla")))
    return "vanilla"


def _value_of(args: list[str], long: str, short: str | None = None) -> str | None:
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


def command(variant: str) -> Any:
    """The Typer command `gan train` for one variant: the shared options, and its own in a panel of their own."""
    card = catalogue.card(variant)
    text = typer.Option
    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *(options.parameter(f, f.option.panel, COMPLETERS.get(f.name)) for f in fields_of(RunConfig)),
        _extra("resume", text("--resume", metavar="auto|RUN|FILE", rich_help_panel="Output",
               help="go on exactly where a run stopped; auto: the run in --out if there is one, else start")),
        _extra("config", text("--config", metavar="FILE.toml", rich_help_panel="Output",
               help="take values from a file, such as a run's config.toml")),
        inspect.Parameter("dry_run", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[
            bool, text("--dry-run", rich_help_panel="Output", help="show every value and its origin; train nothing")]),
        *(options.parameter(f, f"Options of {variant}") for f in fields_of(card.config_class)),
    ]  # fmt: skip
    doc = (
        f"Train {variant} on a data set, into a run directory.\n\n{card.title}\n\n"
        f"Other variants ({', '.join(n for n in catalogue.names() if n != variant) or 'none yet'}) have options of their "
        "own: gan train --variant NAME --help"
    )

    def run(ctx: typer.Context, **given: Any) -> int:
        return _run(variant, ctx, given)

    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)
    app.command(
        "train",
        short_help="Train a variant on a data set, into a run directory.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )(options.signed(run, parameters, doc))
    return typer.main.get_command(app)


def _extra(name: str, option: Any) -> inspect.Parameter:
    hint = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


@dataclass(frozen=True)
class Start:
    """What a command line comes down to: a configuration, where it goes, and the state to go on from."""

    resolved: Resolved
    directory: RunDirectory | None  # None: to be numbered
    state: "State | None" = None
    warnings: tuple[str, ...] = ()


def _run(variant: str, ctx: typer.Context, given: dict[str, Any]) -> int:
    resume, config, dry_run = given.pop("resume"), given.pop("config"), given.pop("dry_run")
    layers = _given_layers(variant, ctx, given, config)
    if resume == "auto" and given["out"] is None:
        raise UsageError("--resume auto: needs --out, the run directory to go on in or to start")
    max_time = given["max_time"]
    with Stop(parse_duration(max_time) if max_time else None) as stop:  # before torch, whose import takes seconds
        return _go(variant, layers, resume, given["out"], dry_run, stop)


def _go(variant: str, layers: list[Layer], resume: str | None, out: str | None, dry_run: bool, stop: Stop) -> int:
    if resume and (resume != "auto" or RunDirectory(Path(str(out))).states()):
        start = _resumed(variant, Path(str(out) if resume == "auto" else resume), layers, out)
    else:
        start = _fresh(variant, layers, dry_run, out, overwrite_empty=resume == "auto")
    if dry_run:
        from gancli.cli import dry_run as dry

        dry.show(start.resolved)
        return 0
    return _train(variant, start, stop)


def _given_layers(variant: str, ctx: typer.Context, given: Mapping[str, Any], config: str | None) -> list[Layer]:
    """What the user said: `--config` file, environment, flags, in rising precedence."""
    config_class = catalogue.card(variant).config_class
    fields = known_fields(config_class)
    flags: dict[str, object] = {}
    layers: list[Layer] = []
    if config:
        others = [name for name in catalogue.names() if name != variant]
        layers.append(file_layer(config, toml.read(Path(config)), variant, config_class, others))
    for name, value in given.items():
        if value is None:
            continue
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "ENVIRONMENT":
            layers.append(Layer(str(fields[name].option.env), {name: value}))
        else:
            flags[name] = value
    return [*layers, Layer("flag", flags)]


def _preset_of(layers: list[Layer]) -> str:
    return str(next((layer.values["preset"] for layer in reversed(layers) if "preset" in layer.values), "default"))


def _fresh(variant: str, layers: list[Layer], dry_run: bool, out: str | None, overwrite_empty: bool) -> Start:
    config_class = catalogue.card(variant).config_class
    presets = preset_layers(variant, config_class, _preset_of(layers))
    resolved = resolve(variant, config_class, [*presets, *layers])
    if dry_run or out is None:
        return Start(resolved, None)
    path = Path(out)
    abandoned = overwrite_empty and path.is_dir() and not RunDirectory(path).states()
    return Start(resolved, rundir.prepared(path) if abandoned else rundir.fresh(path))


def _run_directory(path: Path) -> RunDirectory:
    """The run directory that a directory, or a file inside of one, belongs to."""
    if path.suffix == ".safetensors":
        return RunDirectory(path.parent.parent if path.parent.name == "state" else path.parent)
    return RunDirectory(path)


def _resumed(variant: str, path: Path, layers: list[Layer], out: str | None) -> Start:
    from gancli.engine import state

    directory = _run_directory(path)
    if not directory.holds_run:
        raise UsageError(f"--resume {path}: is no run directory, nor a state in one")
    config_class = catalogue.card(variant).config_class
    recorded_layer = file_layer("resumed run", toml.read(directory.config), variant, config_class, ())
    check_resumed(resolve(variant, config_class, [recorded_layer]), layers)
    resolved = resolve(variant, config_class, [recorded_layer, *layers])
    if path.suffix == ".safetensors" and path.name != "ckpt.safetensors":
        saved, warnings = state.load(path), list[str]()
    else:
        saved, warnings = state.load_newest(directory)
    if saved.facts.variant != variant:
        raise CheckpointError(f"{saved.path}: a state of {saved.facts.variant}, not of {variant}")
    target = directory
    if out is not None and Path(out).resolve() != directory.path.resolve():
        target = rundir.fresh(Path(out))
    elif path.suffix == ".safetensors" and directory.states()[:1] != [saved.path] and not path.name.startswith("ckpt"):
        raise UsageError(f"--resume {path}: not the newest state there; give --out for a directory of its own")
    return Start(resolved, target, saved, tuple(warnings))


def _train(variant: str, start: Start, stop: Stop) -> int:
    """Train, reporting; prints the checkpoint's path on stdout. Gives the exit code."""
    from gancli.engine.train import train
    from gancli.report.choose import choose
    from gancli.report.jsonl import MetricsFile

    run = start.resolved.run
    directory = start.directory or rundir.numbered(Path("runs"), f"{variant}-{_stem(run.dataset)}")
    finished: events.Event | None = None
    try:
        with rundir.locked(directory), choose(run.progress) as report, MetricsFile(directory.metrics) as keep:
            steps = train(run, start.resolved.own, catalogue.load(variant), directory, stop, start.state)
            for event in _with_warnings(start.warnings, steps):
                keep(event)
                report(event)
                finished = event
    finally:
        directory.discard_if_unused()
    assert isinstance(finished, events.RunFinished)
    if run.progress != "json":
        console.print_result(finished.checkpoint)
    return 75 if finished.status == "stopped" else 0


def _with_warnings(warnings: tuple[str, ...], steps: Iterator[events.Event]) -> Iterator[events.Event]:
    yield from map(events.Warned, warnings)
    yield from steps


def _stem(dataset: str) -> str:
    """A data set's name fit for a directory's: letters, digits, dots and dashes of its last part."""
    last = Path(dataset).name.removesuffix(".zip") or "data"
    return "".join(c if c.isalnum() or c in ".-" else "-" for c in last)[:60]
