"""`gan datasets`: the named datasets, and what the data root has of them. Imports no torch."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gancli.cli import console
from gancli.config import paths
from gancli.config.run import DATA_ROOT
from gancli.data.overview import NAMED_SETS, NamedSet
from gancli.text import printable


def datasets(
    data_root: Annotated[str, typer.Option(envvar="GAN_DATA", metavar="DIR", help="The folder of datasets.")] = DATA_ROOT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:  # fmt: skip
    root = paths.data_root(data_root).path
    if as_json:
        rows = [_row(name, each, root) for name, each in NAMED_SETS.items()]
        console.print_json({"data_root": str(root), "datasets": rows}, indent=2)
        return
    out, table = console.out(), Table(box=None, header_style="bold", pad_edge=False)
    for head in ("name", "images", "train", "test", "classes", ""):
        table.add_column(head, no_wrap=head != "", justify="right" if head in ("train", "test", "classes") else "left")
    for name, each in NAMED_SETS.items():
        shape = f"{each.size}×{each.size} {'grey' if each.channels == 1 else 'colour'}"
        counts = [f"{count:,}" if count else "–" for count in (each.num_train, each.num_test, each.num_classes)]
        table.add_row(name, shape, *counts, f"{each.status(root)}; {each.what}")
    out.print(table)
    more = "Other images: -d with a folder, archive or Parquet file, or hf:OWNER/NAME of the Hugging Face Hub"
    out.print(f"Data root: {printable(str(root))}. {more}.", markup=False, soft_wrap=True)


def _row(name: str, each: NamedSet, root: Path) -> dict[str, Any]:
    return {
        "name": name,
        "what": each.what,
        "channels": each.channels,
        "size": each.size,
        "train_images": each.num_train or None,
        "test_images": each.num_test or None,
        "classes": each.num_classes,
        "downloads": each.downloads,
        "status": each.status(root),
    }
