"""The `gan train` command: the options of the run and of all variants, registered once."""

import functools
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from gancli import catalogue
from gancli.cli import completing, help_page, options, sweep, train
from gancli.config import RunConfig, fields_of, paths
from gancli.config.run import TrainCommandConfig
from gancli.engine.choice import USUAL

SUMMARY = "Train a variant on a data set, into a run directory."


class Command(help_page.Command):
    """`gan train`, whose help and completion show the options of one variant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, options.with_yes(args, fields_of(RunConfig)))
        if ctx.resilient_parsing and ctx.params["variant"] in catalogue.names():
            ctx.command = command((ctx.params["variant"],))  # whose options are completed
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        given, _, _ = self.make_parser(ctx).parse_args(list(ctx.meta[completing.WORDS]))
        variant = catalogue.check_name(given.get("variant", USUAL))
        help_page.Command.format_help(command((variant,)), ctx, formatter)


@functools.cache
def command(variants: tuple[str, ...]) -> Any:
    """The Typer command with the options of these variants: of all to parse a command line, of one to show its help."""
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)
    settings = {"help_option_names": ["-h", "--help"]}
    register = app.command("train", cls=Command, short_help=SUMMARY, context_settings=settings)
    register(options.signed(_train, list(_parameters(variants)), _page(variants)))
    return typer.main.get_command(app)


def _parameters(variants: Sequence[str]) -> Iterable[inspect.Parameter]:
    completers = {
        "variant": completing.of(catalogue.names),
        "preset": completing.of(lambda: catalogue.card(variants[0] if len(variants) == 1 else USUAL).presets),
        "dataset": completing.dataset,
        "device": completing.devices,
        "init_from": completing.checkpoint,
        "resume": completing.run,
    }
    yield inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    for field in (*fields_of(RunConfig), *fields_of(TrainCommandConfig)):
        yield options.parameter(field, field.option.panel, completers.get(field.name))
    panel = f"Options of {', '.join(variants)}"
    for by_variant in catalogue.own_options(variants).values():
        first, *others = by_variant.values()
        assert all((first.kind is bool) == (other.kind is bool) for other in others), (
            f"{first.long} takes a value, or none"
        )
        choices = dict.fromkeys(choice for field in by_variant.values() for choice in field.choices)
        yield options.parameter(first, panel, completing.of(choices.keys) if choices else None)
        if first.option.former:
            yield options.former_parameter(first)


def _page(variants: Sequence[str]) -> str:
    others = ", ".join(name for name in catalogue.names() if name not in variants)
    titles = "\n\n".join(catalogue.card(variant).title for variant in variants)
    return (
        f"Train {', '.join(variants)} on a data set, into a run directory.\n\n{titles}\n\n"
        f"Other variants ({others or 'none yet'}) have options of their own: gan train --variant NAME --help"
    )


def _train(ctx: typer.Context, **given: Any) -> int:
    paths.check_standing()
    texts = {name: text for name, text in given.items() if _from_command_line(ctx, name)}
    request = train.parse(texts, ctx.meta[completing.WORDS])
    return sweep.run(request) if request.axes else train.run(request)


def _from_command_line(ctx: typer.Context, name: str) -> bool:
    """Whether an option was given there, rather than in the environment, which `config.resolve` reads."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
