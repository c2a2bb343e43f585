"""`gan variants`: the list of variants and pretrained models, or one variant. Imports no torch."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gancli import catalogue
from gancli.catalogue.description import VariantInfo
from gancli.cli import completing, console
from gancli.config import Field, fields_of
from gancli.errors import GancliError, UsageError
from gancli.store import pretrained
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.text import counted, printable


def variants(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME|FILE", show_default=False, autocompletion=completing.variant,
                       help="One variant: its architecture, paper, presets and options."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    if name in pretrained.pretrained_names() and name not in catalogue.names():
        raise UsageError(f"{name}: a pretrained model, not a variant; gan inspect {name} describes it")
    cards = list(_each()) if name is None else [catalogue.variant_info(catalogue.resolve(name))]
    if as_json:
        models = _models()
        pages = [_document(card, models) for card in cards]
        console.print_json(pages[0] if name else pages, indent=2)
    elif name:
        _show(cards[0])
    else:
        _list(cards, _models())


def _each() -> Iterator[VariantInfo]:
    """All variants. Those from outside that cannot be used are warned of."""
    for problem in catalogue.conflicts():
        console.print_message(f"warning: {problem}")
    for name in catalogue.names():
        try:
            yield catalogue.variant_info(name)
        except GancliError as error:
            if catalogue.is_own(name):
                raise
            console.print_message(f"warning: {name}: {error}")


@dataclass(frozen=True)
class PretrainedModel:
    """A pretrained model and the facts in its file."""

    name: str
    file: Path
    num_bytes: int
    facts: Facts


def _models() -> list[PretrainedModel]:
    """The pretrained models. Raises `CheckpointError` for a damaged file."""
    found = []
    for name in pretrained.pretrained_names():
        file = pretrained.pretrained_file(name)
        header = read_header(file)
        found.append(PretrainedModel(name, file, header.file_bytes, from_header(file, header)))
    return found


def _document(card: VariantInfo, models: list[PretrainedModel]) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title,
        "paper": card.paper,
        "description": card.description,
        "origin": card.origin.record(),
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


def _list(cards: list[VariantInfo], models: list[PretrainedModel]) -> None:
    out = console.out()
    rows = [[card.name, escape(card.title), ", ".join(card.presets)] for card in cards]
    headings = ["variant", "description", "presets"]
    if any(not catalogue.is_own(card.name) for card in cards):
        headings.append("from")
        for row, card in zip(rows, cards, strict=True):
            row.append(escape(printable(str(card.origin))))
    out.print(_table(headings, rows))
    if models:
        out.print("\nPretrained models: gan sample NAME, gan inspect NAME", style="italic")
        trained = ((m.name, m.facts.variant, _training(m.facts), f"{m.num_bytes / 1e6:.2f} MB") for m in models)
        out.print(_table(("name", "variant", "trained on", "size"), trained))


def _training(facts: Facts) -> str:
    return escape(printable(f"{facts.dataset}, {counted(facts.step, 'step', ',')}"))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """A table whose first column is not wrapped."""
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, no_wrap=heading == headings[0], overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _show(card: VariantInfo) -> None:
    out = console.out()
    paragraphs = [f"[bold]{card.name}[/]  {escape(card.title)}", escape(card.description)]
    paragraphs += [f"Paper: {escape(card.paper)}"] if card.paper else []
    paragraphs += [] if catalogue.is_own(card.name) else [f"From: {escape(printable(str(card.origin)))}"]
    out.print("\n\n".join(filter(None, paragraphs)) + "\n")
    rows = map(functools.partial(_option_row, card), fields_of(card.config_class))
    out.print(_table(("option", "default", "description"), rows, title="Options"))
    out.print()
    for preset, values in card.presets.items():
        run = {key: value for key, value in values.items() if not hasattr(card.config_class, key)}
        words = "  ".join(f"--{key.replace('_', '-')} {_text(value)}" for key, value in run.items())
        out.print(f"Preset {preset}: {words}")


def _option_row(card: VariantInfo, field: Field) -> Sequence[str]:
    """An option, its default, and its help with the values of other presets."""
    default = card.presets["default"].get(field.name, field.default)
    choices = f" ({', '.join(field.choices)})" if field.choices else ""
    chosen = f" (default: {field.option.default_text})" if default is None and field.option.default_text else ""
    own = {name: values[field.name] for name, values in card.presets.items() if field.name in values}
    changed = [f"{name}: {_text(value)}" for name, value in own.items() if value != default]
    presets = f" [dim]({'; '.join(changed)})[/]" if changed else ""
    return field.flag, _text(default), escape(field.option.help + choices + chosen) + presets


def _text(value: object) -> str:
    return "–" if value is None else ("yes" if value else "no") if isinstance(value, bool) else escape(str(value))
