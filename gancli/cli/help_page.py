"""Typer commands with a `--help` page of three columns (Typer's own has six, which break option names in a terminal of 80),
and with error messages for unknown commands and surplus arguments."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import typer
from rich.console import Group as Rows
from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from gancli.cli import completing, console, explain
from gancli.config import suggestions
from gancli.errors import UsageError
from gancli.report.reporter import piped_columns

MAX_COLUMNS, DEFAULT_COLUMNS, NAME_COLUMNS = 100, 80, 28
HEADING, NAME, VALUE = "bold", "cyan", "yellow"


class Command(TyperCommand):
    """A command with this help page. It keeps its arguments for completion: Typer stops at an option without a value."""

    allow_extra_args = True  # they are refused here

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[completing.ARGUMENTS] = list(args)
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            argument, command = " ".join(rest), str(ctx.info_name)
            hint = explain.argument_hint(argument, command)
            raise UsageError(f"unexpected argument {argument!r}{hint}; see gan {command} --help")
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter  # Typer prints its content in an encoding of its own choice
        _show(self, ctx)


class Group(TyperGroup):
    """A command with subcommands, which are built when they are needed."""

    pages: ClassVar[Mapping[str, str]] = {}  # the paragraphs of the subcommands' help, by name

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(self.pages)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self.pages and not name.startswith("-") and not ctx.resilient_parsing:
            hint = suggestions.of_command(name, self.pages)
            raise UsageError(f"{name or 'an empty argument'}: no such command{hint}; gan --help lists them")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter
        _show(self, ctx, [[Text(name, NAME), Text(page.split("\n\n")[0])] for name, page in self.pages.items()])


def built(name: str, function: Callable[..., Any], page: str, command_class: type[Command] = Command) -> Any:
    """Return the Typer command of a function. `page`: the paragraphs of its help."""
    app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)
    settings = {"help_option_names": ["-h", "--help"]}
    app.command(name, cls=command_class, help=page, context_settings=settings)(function)
    return typer.main.get_command(app)


def _show(command: Any, ctx: Any, commands: Sequence[list[Text]] = ()) -> None:
    """Print a command's page on stdout."""
    out = console.out()
    usage = re.sub(
        r"\{(.*?)\}(?:\.\.\.)?", r"\1", ctx.get_usage().removeprefix("Usage: ")
    )  # {} around required arguments
    parts: list[RenderableType] = [Text.assemble(("Usage: ", HEADING), usage)]
    for paragraph in (command.help or "").split("\n\n"):
        parts += [Text(), Text(" ".join(paragraph.split()))]
    if commands:
        parts += _section("Commands", commands)
    panels: dict[str, list[list[Text]]] = {}
    for parameter in command.get_params(ctx):
        if not getattr(parameter, "hidden", False):
            heading = "Options" if parameter.param_type_name == "option" else "Arguments"
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or heading, []).append(_row(parameter))
    for heading, rows in panels.items():
        parts += _section(heading, rows)
    if command.epilog:
        parts += [Text(), Text(command.epilog)]
    columns = min(MAX_COLUMNS, out.width if out.is_terminal else piped_columns() or DEFAULT_COLUMNS)
    out.print(Rows(*parts), width=columns, soft_wrap=False)


def _section(heading: str, rows: Iterable[list[Text]]) -> list[RenderableType]:
    """Return a heading and a table of names and helps."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    names = table.columns[-2]
    names.overflow, names.width = "fold", NAME_COLUMNS if len(table.columns) == 3 else None
    return [Text(), Text(heading, HEADING), Padding(table, (0, 0, 0, 2))]


def _row(parameter: Any) -> list[Text]:
    """Return an argument's name and help; for an option the short name first: `-v`, `--variant NAME`, its help."""
    if parameter.param_type_name != "option":
        return [Text(parameter.metavar, NAME), _help(parameter, [])]
    short = next((name for name in parameter.opts if not name.startswith("--")), "  ")
    names = ", ".join([name for name in parameter.opts if name.startswith("--")] + parameter.secondary_opts)
    metavar = "" if parameter.is_flag else parameter.metavar
    choices = metavar.split("|") if "|" in metavar and metavar == metavar.lower() else []
    value = f" {metavar}" if metavar and not choices else ""
    return [Text(short, NAME), Text.assemble((names, NAME), (value, VALUE)), _help(parameter, choices)]


def _help(parameter: Any, choices: Sequence[str]) -> Text:
    """Return a parameter's help, with its choices and its default."""
    facts = [f"one of {', '.join(choices)}"] if choices else []
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if parameter.show_default and isinstance(default, str) and default:
        facts.append(f"default: {default}")
    if isinstance(parameter.envvar, str):
        facts.append(f"or ${parameter.envvar}")
    return Text.from_markup((parameter.help or "") + (f" [dim]({escape('; '.join(facts))})[/]" if facts else ""))
