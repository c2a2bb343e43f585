"""`gan variants`: the catalogue, or one page of it. Imports no torch."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gancli import catalogue
from gancli.cli import console
from gancli.cli.options import completer
from gancli.config import fields_of


def variants(
    name: Annotated[
        str | None, typer.Argument(help="One variant: its architecture, paper, presets and options.", show_default=False,
                                   autocompletion=completer(catalogue.names))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    """List the variants, or show one with its options, architecture and paper."""
    cards = [catalogue.card(n) for n in ([name] if name else catalogue.names())]
    if as_json:
        pages = [_page(card) for card in cards]
        console.print_json(pages[0] if name else pages, indent=2)
    elif name:
        _show(cards[0])
    else:
        _list(cards)


def _page(card: catalogue.Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title,
        "paper": card.paper,
        "description": card.description,
        "presets": card.presets,
        "options": [
            {
                "name": field.name,
                "flag": field.flag,
                "type": field.kind.__name__,
                "default": card.presets["default"].get(field.name, field.default),
                "choices": field.choices,
                "bounds": field.option.bounds(),
                "help": field.option.help,
            }
            for field in fields_of(card.config_class)
        ],
    }


def _list(cards: list[catalogue.Card]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("variant", "what it is", "presets"):
        table.add_column(heading, no_wrap=heading == "variant")
    for card in cards:
        table.add_row(card.name, escape(card.title), ", ".join(card.presets))
    console.out().print(table)


def _show(card: catalogue.Card) -> None:
    out = console.out()
    out.print(
        f"[bold]{card.name}[/]  {escape(card.title)}\n\n{escape(card.description)}\n\nPaper: {escape(card.paper)}\n"
    )
    options = Table(box=None, header_style="bold", pad_edge=False, title="Options", title_justify="left")
    presets = [preset for preset in card.presets if preset != "default"]
    for heading in ("option", "default", *presets, "what it does"):
        options.add_column(heading, no_wrap=heading == "option")
    for field in fields_of(card.config_class):
        default = card.presets["default"].get(field.name, field.default)
        own = (card.presets[preset].get(field.name, default) for preset in presets)
        choices = f" ({', '.join(field.choices)})" if field.choices else ""
        options.add_row(field.flag, _text(default), *map(_text, own), escape(field.option.help + choices))
    out.print(options)
    out.print()
    for preset, values in card.presets.items():
        run = {key: value for key, value in values.items() if not hasattr(card.config_class, key)}
        out.print(f"Preset {preset}: " + "  ".join(f"--{k.replace('_', '-')} {_text(v)}" for k, v in run.items()))


def _text(value: object) -> str:
    return "–" if value is None else ("yes" if value else "no") if isinstance(value, bool) else escape(str(value))
