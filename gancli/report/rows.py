"""What the rows of a metrics file say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gancli.report.jsonl import is_losses, is_number

NO_TERMS = ("step", "epoch", "images_per_s", "elapsed_s", "memory_bytes")
Rows = Sequence[Mapping[str, Any]]


def last_row(rows: Rows) -> Mapping[str, Any]:
    """The newest row of losses, or an empty one."""
    return next((row for row in reversed(rows) if is_losses(row)), {})


def terms(row: Mapping[str, Any]) -> dict[str, float]:
    """The losses of a row."""
    return {name: value for name, value in row.items() if name not in NO_TERMS and is_number(value)}


def curves(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """The losses of all rows, by name."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in terms(row).items() if is_losses(row) else ():
            series.setdefault(name, []).append((row["step"], value))
    return series
