"""`gan variants`: the catalogue, or one page of it, and the pretrained models. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gancli import catalogue
from gancli.cli import completing, console
from gancli.config import fields_of
from gancli.errors import UsageError, printable
from gancli.store import names
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.text import counted

MODELS = "Pretrained models: gan sample NAME, gan inspect NAME"


def variants(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, autocompletion=completing.of(catalogue.names), help=(
            "One variant: its architecture, paper, presets and options."))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    """List the variants, and the pretrained models; or show one variant with its options, architecture and paper."""
    if name in names.names() and name not in catalogue.names():
        raise UsageError(f"{name}: a pretrained model, not a variant; gan inspect {name} tells what it is")
    cards = [catalogue.card(n) for n in ([name] if name else catalogue.names())]
    if as_json:
        models = _models()
        pages = [_page(card, models) for card in cards]
        console.print_json(pages[0] if name else pages, indent=2)
    elif name:
        _show(cards[0])
    else:
        _list(cards, _models())


@dataclass(frozen=True)
class Shipped:
    """A model that comes along, and what its file says of itself."""

    name: str
    file: Path
    num_bytes: int
    facts: Facts


def _models() -> list[Shipped]:
    """The pretrained models. Raises `CheckpointError` for one that was damaged."""
    found = []
    for name in names.names():
        file = names.shipped(name)
        header = read_header(file)
        found.append(Shipped(name, file, header.file_bytes, from_header(file, header)))
    return found


def _page(card: catalogue.Card, models: list[Shipped]) -> dict[str, Any]:
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
        "models": [
            {
                "name": model.name,
                "file": str(model.file),
                "bytes": model.num_bytes,
                "dataset": model.facts.dataset,
                "step": model.facts.step,
                "command": model.facts.command,
            }
            for model in models
            if model.facts.variant == card.name
        ],
    }


def _list(cards: list[catalogue.Card], models: list[Shipped]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("variant", "what it is", "presets"):
        table.add_column(heading, no_wrap=heading == "variant", overflow="fold")
    for card in cards:
        table.add_row(card.name, escape(card.title), ", ".join(card.presets))
    out = console.out()
    out.print(table)
    if models:
        out.print(f"\n{MODELS}", style="italic")
        out.print(_models_table(models))


def _models_table(models: list[Shipped]) -> Table:
    """What `gan sample NAME` takes without any training."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "variant", "trained on", "size"):
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for model in models:
        trained = f"{model.facts.dataset}, {counted(model.facts.step, 'step', ',')}"
        table.add_row(model.name, model.facts.variant, escape(printable(trained)), f"{model.num_bytes / 1e6:.2f} MB")
    return table


def _show(card: catalogue.Card) -> None:
    out = console.out()
    out.print(
        f"[bold]{card.name}[/]  {escape(card.title)}\n\n{escape(card.description)}\n\nPaper: {escape(card.paper)}\n"
    )
    out.print(_options_table(card))
    out.print()
    for preset, values in card.presets.items():
        run = {key: value for key, value in values.items() if not hasattr(card.config_class, key)}
        words = "  ".join(f"--{key.replace('_', '-')} {_text(value)}" for key, value in run.items())
        out.print(f"Preset {preset}: {words}")


def _options_table(card: catalogue.Card) -> Table:
    """An option a row. Presets that change it are named with what it does."""
    options = Table(box=None, header_style="bold", pad_edge=False, title="Options", title_justify="left")
    for heading in ("option", "default", "what it does"):
        options.add_column(heading, no_wrap=heading == "option", overflow="fold")
    for field in fields_of(card.config_class):
        default = card.presets["default"].get(field.name, field.default)
        choices = f" ({', '.join(field.choices)})" if field.choices else ""
        own = {name: values[field.name] for name, values in card.presets.items() if field.name in values}
        changed = [f"{name}: {_text(value)}" for name, value in own.items() if value != default]
        presets = f" [dim]({'; '.join(changed)})[/]" if changed else ""
        options.add_row(field.flag, _text(default), escape(field.option.help + choices) + presets)
    return options


def _text(value: object) -> str:
    return "–" if value is None else ("yes" if value else "no") if isinstance(value, bool) else escape(str(value))
