"""Makes docs/commands.md from the program. `python -m tests.docs.pages` writes it and the files of `option_types` and
`reference`; test_docs.py checks that they are up to date."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from gancli import catalogue
from gancli.cli import app, train_command
from tests.conftest import ROOT
from tests.docs import option_types, reference

PAGE = ROOT / "docs" / "commands.md"
HEAD = """# Commands

This page is made from the program (`python -m tests.docs.pages`). `gan COMMAND --help` shows the same;
with `gan train --variant NAME --help` the options of that variant.
"""


def page() -> str:
    """Every command with its arguments and options, as Markdown."""
    group: Any = typer.main.get_command(app.app)
    shared = train_command.command(()).params
    parts = [HEAD, *_command("train", group.pages["train"], shared)]
    for name in catalogue.built_in():
        options = [p for p in train_command.command((name,)).params if _panel(p).startswith("Options of")]
        parts += [f"### Options of {name}\n", *_table(options)]
    for name, text in group.pages.items():
        if name != "train":
            parts += _command(name, text, group.get_command(None, name).params)
    return "\n".join(parts).rstrip() + "\n"


def _panel(parameter: Any) -> str:
    return str(getattr(parameter, "rich_help_panel", None) or "")


def _command(name: str, text: str, parameters: list[Any]) -> Iterator[str]:
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    words = " ".join(p.metavar or p.name.upper() for p in arguments)
    yield f"## gan {name}\n"
    yield f"    gan {name} {words}".rstrip() + (" [OPTIONS]\n" if len(parameters) > len(arguments) else "\n")
    yield inspect.cleandoc(text) + "\n"
    for argument in arguments:
        yield f"- `{argument.metavar or argument.name.upper()}`: {plain(argument.help)}\n"
    yield from _table([p for p in parameters if p.param_type_name == "option" and "--help" not in p.opts])


def _table(options: list[Any]) -> Iterator[str]:
    if not options:
        return
    yield "| option | value | what |\n| --- | --- | --- |"
    yield from (f"| {_flags(o)} | {_cell(o.metavar or '')} | {plain(o.help).replace('|', '&#124;')} |" for o in options)
    yield ""


def _flags(option: Any) -> str:
    flags = sorted((*option.opts, *option.secondary_opts), key=lambda flag: flag.startswith("--"))
    return " ".join(f"`{flag}`" for flag in flags)


def _cell(metavar: str) -> str:
    """Choices, each as code; a bar would end the cell."""
    return " ".join(f"`{word}`" for word in metavar.split("|") if word)


def plain(text: str | None) -> str:
    """A help text without Rich's markup, with its remarks behind it in round brackets as they stand."""
    return " ".join(re.sub(r"(?<!\\)\[/?[a-z]*\]", "", text or "").replace("\\[", "[").split())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    option_types.FILE.write_text(option_types.source(), "utf-8")
    reference.PAGE.write_text(reference.page(), "utf-8")
