"""Build the options of commands from the fields of configurations."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape

from gancli.cli import completing
from gancli.config import Field, fields_of
from gancli.config.option import Given

METAVARS = {int: "N", float: "X", str: "TEXT"}


def parameter(field: Field, complete: Callable[..., list[str]] | None = None, panel: str = "") -> inspect.Parameter:
    """Return a Typer option for a field. Its value is a text for `Field.parse` (a bool for a flag), or None if the option is
    not given, as `config.resolve` decides the precedence of environment and defaults."""
    declared = field.option
    names = [field.long, *([declared.short] if declared.short else [])]
    if field.kind is bool and not declared.switch:
        names = [f"{field.long}/--no-{field.long[2:]}"]
    return plain_option(
        field.name,
        _hint(field),
        *names,
        help=_help(field),
        show_default=False,
        envvar=declared.env,
        metavar="" if field.kind is bool else declared.metavar or "|".join(field.choices) or METAVARS[field.kind],
        rich_help_panel=panel or declared.panel,
        autocompletion=complete or (completing.one_of(lambda: field.choices) if field.choices else None),
    )


def former_parameter(field: Field) -> inspect.Parameter:
    """Return a hidden Typer option with the former name of a field."""
    former = str(field.option.former)
    return plain_option(former, _hint(field), f"--{former.replace('_', '-')}", hidden=True)


def _hint(field: Field) -> Any:
    return (bool if field.kind is bool else list[str] if field.many else str) | None


def with_yes(args: Sequence[str], fields: Iterable[Field]) -> list[str]:
    """Return the arguments of a command line with a value for each option with the choices `yes` and `no`: `--name` alone
    becomes `--name=yes`, and `--no-name` becomes `--name=no`."""
    choices = {f.long: f.choices for f in fields if {"yes", "no"} <= set(f.choices)}
    found = list(args)
    for index, arg in enumerate(args):
        if arg == "--":
            break
        positive = "--" + arg.removeprefix("--no-")
        if arg in choices and (index + 1 == len(args) or not set(args[index + 1].split(",")) <= set(choices[arg])):
            found[index] = f"{arg}=yes"
        elif arg.startswith("--no-") and positive in choices:
            found[index] = f"{positive}=no"
    return found


def argument(name: str, hint: Any, **settings: Any) -> inspect.Parameter:
    """Return a Typer argument."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, annotation=Annotated[hint, typer.Argument(**settings)])


def plain_option(name: str, hint: Any, *names: str, default: object = None, **settings: Any) -> inspect.Parameter:
    """Return a Typer option that is not a field of a configuration."""
    annotation = Annotated[hint, typer.Option(*names, **settings)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def annotated(name: str, hint: Any) -> inspect.Parameter:
    """A Typer option whose annotation has all that Typer needs."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


DEVICE = plain_option("device", str, envvar="GAN_DEVICE", default="auto", metavar="DEVICE",
               autocompletion=completing.devices,
               help="auto, cpu, cuda, cuda:N or mps.")  # fmt: skip
JSON = plain_option("as_json", bool, "--json", default=False, help="Print one JSON document.")


def _help(field: Field) -> str:
    declared = field.option
    value = ("yes" if field.default else "no") if field.kind is bool else str(field.default)
    default = declared.default_text or ("" if field.default is None or declared.switch else value)
    needed = f"with {declared.condition()}" if declared.only_with else ""
    facts = [declared.bounds(), needed, declared.source or "", f"default: {default}" if default else ""]
    return escape(declared.help) + "".join(f" [dim]({escape(fact)})[/]" for fact in facts if fact)


def given(config_class: type, values: dict[str, Any]) -> dict[str, Any]:
    """Parse the options of a configuration that were given on a command line. Raises `UsageError`."""
    fields = {field.name: field for field in fields_of(config_class)}
    return {
        name: fields[name].parse(text) for name, text in values.items() if name in fields and text not in (None, [])
    }


def flags(config_class: type, values: Mapping[str, Any]) -> list[Given]:
    """Return the names in messages and the values of the options that were given."""
    return [
        (f.flag, ",".join(values[f.name]) if f.many else values[f.name])
        for f in fields_of(config_class)
        if f.name in values
    ]


def with_signature(function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> Callable[..., Any]:
    """Return `function` with a signature of `parameters`, which Typer reads; it receives them as keywords."""

    def command(**given: Any) -> Any:
        return function(**given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command
