"""The pages that `--help` prints. Typer's own have six columns, and so break option names and choices at 80 columns."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group as Rows
from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from gancli.cli import completing, console
from gancli.report.reporter import piped_columns

WIDEST = 100  # columns: longer lines are hard to read
USUAL = 80  # columns, where nobody says how many there are
NAME_COLUMNS = 28
COMMANDS, ARGUMENTS, OTHERS = "Commands", "Arguments", "Options"  # headings
HEADING, NAME, VALUE = "bold", "cyan", "yellow"
BRACES = re.compile(r"\{(.*?)\}(?:\.\.\.)?")  # Typer puts them around the name of an argument that is needed
NOUNS = {"int": "N", "float": "X", "str": "TEXT"}  # what stands for a value that has no name of its own


class Command(TyperCommand):
    """A command with our page, which keeps its words for completion: Typer leaves off reading them at an option without its
    value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[completing.WORDS] = list(args)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter  # Typer prints what is written into it in an encoding of its own choice
        _show(self, ctx)


class Group(TyperGroup):
    """A command of commands with our page."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter
        found = (self.get_command(ctx, name) for name in self.list_commands(ctx))
        _show(self, ctx, [command for command in found if command is not None])


def _show(command: Any, ctx: Any, commands: Sequence[Any] = ()) -> None:
    """Print a command's page on stdout."""
    out = console.out()
    usage = BRACES.sub(r"\1", ctx.get_usage().removeprefix("Usage: "))
    parts: list[RenderableType] = [Text.assemble(("Usage: ", HEADING), usage)]
    for paragraph in (command.help or "").split("\n\n"):
        parts += [Text(), Text(" ".join(paragraph.split()))]
    if commands:
        parts += _section(COMMANDS, ([Text(one.name, NAME), Text(_summary(one))] for one in commands))
    panels: dict[str, list[Any]] = {}
    for parameter in command.get_params(ctx):
        if getattr(parameter, "hidden", False):
            continue
        usual = OTHERS if parameter.param_type_name == "option" else ARGUMENTS
        panels.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(parameter)
    for heading, parameters in panels.items():
        parts += _section(heading, map(_row, parameters))
    if command.epilog:
        parts += [Text(), Text(command.epilog)]
    columns = min(WIDEST, out.width if out.is_terminal else piped_columns() or USUAL)
    out.print(Rows(*parts), width=columns, soft_wrap=False)


def _section(heading: str, rows: Iterable[list[Text]]) -> list[RenderableType]:
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    names = table.columns[-2]
    names.overflow, names.width = "fold", NAME_COLUMNS if heading not in (COMMANDS, ARGUMENTS) else None
    return [Text(), Text(heading, HEADING), Padding(table, (0, 0, 0, 2))]


def _summary(command: Any) -> str:
    """The first paragraph of a command's page."""
    return " ".join((command.short_help or command.help or "").split("\n\n")[0].split())


def _row(parameter: Any) -> list[Text]:
    """An argument's name and meaning; of an option the short name first: `-v`, `--variant NAME`, its meaning."""
    if parameter.param_type_name != "option":
        return [Text(parameter.metavar or parameter.name.upper(), NAME), _meaning(parameter)]
    short = next((name for name in parameter.opts if not name.startswith("--")), "  ")
    names = ", ".join([name for name in parameter.opts if name.startswith("--")] + parameter.secondary_opts)
    value = "" if parameter.is_flag or _choices(parameter) else f" {parameter.metavar or _noun(parameter)}"
    return [Text(short, NAME), Text.assemble((names, NAME), (value, VALUE)), _meaning(parameter)]


def _choices(parameter: Any) -> list[str]:
    """The words that a value is one of, where a metavar like `fp32|bf16` lists them. Capitals stand for something else."""
    metavar = parameter.metavar or ""
    return metavar.split("|") if "|" in metavar and metavar == metavar.lower() else []


def _noun(parameter: Any) -> str:
    kind = str(parameter.bare_type())
    return NOUNS.get(kind, kind.upper())


def _meaning(parameter: Any) -> Text:
    """What a parameter is for, its choices and its default."""
    facts = [f"one of {', '.join(choices)}"] if (choices := _choices(parameter)) else []
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if parameter.show_default and isinstance(default, str) and default:
        facts.append(f"default: {default}")
    if isinstance(parameter.envvar, str):
        facts.append(f"or ${parameter.envvar}")
    return Text.from_markup((parameter.help or "") + (f" [dim]({escape('; '.join(facts))})[/]" if facts else ""))
