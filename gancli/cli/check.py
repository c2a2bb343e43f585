"""`gan check`: whether a variant keeps to the contract, as a table."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from gancli import catalogue
from gancli.cli import completing, console
from gancli.config import RunConfig, fields_of, paths
from gancli.text import counted, printable


def check(
    variant: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="A variant: a .py file, or a name.", autocompletion=completing.variant),
    ],
    image_size: Annotated[
        str | None,
        typer.Option("--image-size", metavar="N", help="Height and width, in pixels.", show_default="the smallest it takes"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:  # fmt: skip
    """Check whether a variant keeps to the contract."""
    paths.check_working_directory()
    console.check_stdout()
    name = catalogue.check_name(catalogue.resolve(variant))
    size = next(field for field in fields_of(RunConfig) if field.name == "image_size")
    side = None if image_size is None else size.parse(image_size)
    from gancli.api import check as api

    found = []
    for result in api.check(name, side):
        found.append(result)
        if not as_json:
            console.print_message(f"{'holds' if result.holds else 'fails'}: {result.promise}")
    failed = [result for result in found if not result.holds]
    if as_json:
        document = {"variant": name, "holds": not failed, "promises": [result._asdict() for result in found]}
        console.print_json(document, indent=2)
        return int(bool(failed))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "promise", "seen"):
        table.add_column(heading, overflow="fold")
    for result in found:
        mark = "[green]✓[/]" if result.holds else "[red]✗[/]"
        table.add_row(mark, escape(result.promise), escape(printable(result.seen)))
    console.out().print(table)
    word = f"{counted(len(failed), 'promise')} of {len(found)} not kept" if failed else "keeps to the contract"
    console.print_message(f"{name}: {word}")
    return int(bool(failed))
