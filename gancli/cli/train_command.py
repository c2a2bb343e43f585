"""The `gan train` command: the options of the run and of all variants, registered once."""

import contextlib
import functools
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from gancli import catalogue
from gancli.cli import completing, help_page, options, sweep, train
from gancli.config import RunConfig, fields_of, paths
from gancli.config.run import TrainCommandConfig
from gancli.engine import startup
from gancli.engine.choice import DEFAULT_VARIANT, named
from gancli.errors import GancliError, UsageError
from gancli.files.hub import is_reference


class Command(help_page.Command):
    """`gan train`, whose help and completion show the options of one variant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = options.with_yes(args, fields_of(RunConfig))
        if (more := _from_outside(self, ctx, args)) and self is not (other := command(more)):
            ctx.command = other
            return list(other.parse_args(ctx, args))
        rest = super().parse_args(ctx, args)
        if ctx.resilient_parsing and (given := ctx.params["variant"]):
            with contextlib.suppress(UsageError):
                name = catalogue.check_name(catalogue.resolve(given))
                ctx.command = command((name,))  # whose options are completed
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        given, _, _ = self.make_parser(ctx).parse_args(list(ctx.meta[completing.ARGUMENTS]))
        variant = catalogue.check_name(catalogue.resolve(given.get("variant", DEFAULT_VARIANT)))
        help_page.Command.format_help(command((variant,)), ctx, formatter)


def _from_outside(parsed: Any, ctx: Any, args: list[str]) -> tuple[str, ...]:
    """The variants of a command line, if one of them is from outside: only then its code is imported, for its options.
    Errors of the command line itself are left to its parser."""
    parser = parsed.make_parser(ctx)
    parser.ignore_unknown_options = True
    try:
        given, _, _ = parser.parse_args(list(args))
    except Exception:  # an option without its value
        return ()
    words = train.variants(given["variant"]) if "variant" in given else []
    found = [catalogue.check_name(catalogue.resolve(word)) for word in words if word]
    if not words:
        config, resume = given.get("config"), given.get("resume")
        try:
            table = startup.read_config(config)
            if ctx.resilient_parsing and is_reference(str({**table, **given}.get("init_from"))):
                return ()  # the Tab key downloads nothing
            name = named(given, table, config, resume)
        except GancliError:
            return ()  # told when the variant is chosen
        found = [] if name is None else [name]
    return tuple(found) if any(not catalogue.is_own(name) for name in found) else ()


def command(variants: tuple[str, ...]) -> Any:
    """Return the Typer command with the options of these variants: all to parse a command line, one to show its help."""
    return _command(variants, tuple(catalogue.variant_info(variant).config_class for variant in variants))


@functools.cache
def _command(variants: tuple[str, ...], config_classes: tuple[type, ...]) -> Any:
    del config_classes  # a file may be imported anew, with other options
    return help_page.built(
        "train", options.with_signature(_train, list(_parameters(variants))), _page(variants), Command
    )


def _parameters(variants: Sequence[str]) -> Iterable[inspect.Parameter]:
    completers = {
        "variant": completing.variant,
        "preset": completing.one_of(
            lambda: catalogue.variant_info(variants[0] if len(variants) == 1 else DEFAULT_VARIANT).presets
        ),
        "dataset": completing.dataset,
        "device": completing.devices,
        "init_from": completing.checkpoint,
        "resume": completing.run,
    }
    yield inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    for field in (*fields_of(RunConfig), *fields_of(TrainCommandConfig)):
        yield options.parameter(field, completers.get(field.name))
    panel = f"Options of {', '.join(variants)}"
    for by_variant in catalogue.variant_options(variants).values():
        first, *others = by_variant.values()
        assert all((first.kind is bool) == (other.kind is bool) for other in others), (
            f"{first.long} takes a value in one variant and none in another"
        )
        choices = dict.fromkeys(choice for field in by_variant.values() for choice in field.choices)
        yield options.parameter(first, completing.one_of(choices.keys) if choices else None, panel)
        if first.option.former:
            yield options.former_parameter(first)


def _page(variants: Sequence[str]) -> str:
    """Return the paragraphs of the help."""
    others = ", ".join(name for name in catalogue.built_in() if name not in variants)
    titles = "\n\n".join(catalogue.variant_info(variant).title for variant in variants)
    return (
        f"Train {', '.join(variants)} on a dataset, into a run directory.\n\n{titles}\n\n"
        f"Other variants ({others or 'none'}) have their own options: gan train --variant NAME --help"
    )


def _train(ctx: typer.Context, **values: Any) -> int:
    paths.check_working_directory()
    given = {name: value for name, value in values.items() if _from_command_line(ctx, name)}
    request = train.parse(given, ctx.meta[completing.ARGUMENTS])
    return sweep.run(request) if request.axes else train.run(request)


def _from_command_line(ctx: typer.Context, name: str) -> bool:
    """Whether an option was given as a flag, rather than in the environment, which `config.resolve` reads."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
