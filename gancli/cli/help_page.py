"""The pages that `--help` prints: laid out by us, as Typer's own break choices inside of words where columns are few."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.markup import escape
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from gancli.cli import completing, console, definitions
from gancli.report.terminal import piped_columns

WIDEST = 100  # columns: longer lines are hard to read
USUAL = 80  # columns, where nobody says how many there are
OTHERS, ARGUMENTS = "Options", "Arguments"  # headings
HEADING, WORD, VALUE = "bold", "cyan", "yellow"
BRACES = re.compile(r"\{(.*?)\}(?:\.\.\.)?")  # Typer puts them around the name of an argument that is needed
NOUNS = {"int": "N", "float": "X", "str": "TEXT"}  # what stands for a value that has no name of its own


class Command(TyperCommand):
    """A command with our page, which keeps its words for completion: Typer leaves off reading them at an option without its
    value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[completing.WORDS] = list(args)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter  # what is written into it, Typer prints in an encoding of its own choice
        console.print_result(page(self, ctx))


class Group(TyperGroup):
    """A command of commands with our page."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter
        found = (self.get_command(ctx, name) for name in self.list_commands(ctx))
        console.print_result(page(self, ctx, [command for command in found if command is not None]))


def page(command: Any, ctx: Any, commands: Sequence[Any] = ()) -> str:
    """A command's page as text; with escape codes where stdout takes them."""
    out = console.out()
    columns = min(WIDEST, out.width if out.is_terminal else piped_columns() or USUAL)
    usage = BRACES.sub(r"\1", ctx.get_usage().removeprefix("Usage: "))
    found = definitions.wrapped(Text.assemble(("Usage: ", HEADING), usage), columns)
    for paragraph in (command.help or "").split("\n\n"):
        found += [Text(), *definitions.wrapped(Text(" ".join(paragraph.split())), columns)]
    for heading, pairs in _sections(command, ctx, commands):
        found += [Text(), Text(heading, style=HEADING), *definitions.lines(pairs, columns)]
    if command.epilog:
        found += [Text(), *definitions.wrapped(Text(command.epilog), columns)]
    with out.capture() as captured:
        for line in found:
            out.print(line, soft_wrap=True)
    return captured.get().rstrip("\n")


def _sections(command: Any, ctx: Any, commands: Sequence[Any]) -> Iterable[tuple[str, list[tuple[Text, Text]]]]:
    """Headings, each with its words and what they mean."""
    sections: dict[str, list[tuple[Text, Text]]] = {}
    for one in commands:
        sections.setdefault("Commands", []).append((Text(one.name, style=WORD), Text(_summary(one))))
    for parameter in command.get_params(ctx):
        if getattr(parameter, "hidden", False):
            continue
        usual = OTHERS if parameter.param_type_name == "option" else ARGUMENTS
        heading = getattr(parameter, "rich_help_panel", None) or usual
        sections.setdefault(heading, []).append((_word(parameter), _meaning(parameter)))
    return sections.items()


def _summary(command: Any) -> str:
    """The first sentence or two of a command's page: its first paragraph."""
    return " ".join((command.short_help or command.help or "").split("\n\n")[0].split())


def _word(parameter: Any) -> Text:
    """`-v, --variant NAME`; `--download/--no-download`; `CKPT...`."""
    if parameter.param_type_name != "option":
        return Text(parameter.metavar or parameter.name.upper(), style=WORD)
    short = [name for name in parameter.opts if not name.startswith("--")]
    long = [name for name in parameter.opts if name.startswith("--")]
    names = f"{short[0]}, " if short else "    "
    names += "/".join([*long, *parameter.secondary_opts])
    value = "" if parameter.is_flag else parameter.metavar or _noun(parameter)
    return Text.assemble((names, WORD), (f" {value}" if value else "", VALUE))


def _noun(parameter: Any) -> str:
    kind = str(parameter.bare_type())
    return NOUNS.get(kind, kind.upper())


def _meaning(parameter: Any) -> Text:
    facts = []
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if parameter.show_default and isinstance(default, str) and default:
        facts.append(f"default: {default}")
    if isinstance(parameter.envvar, str):
        facts.append(f"or ${parameter.envvar}")
    told = "".join(f" [dim]({escape(fact)})[/]" for fact in facts)
    return Text.from_markup((parameter.help or "") + told)
