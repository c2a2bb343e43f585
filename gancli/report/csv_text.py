"""Tables as CSV (RFC 4180, with line feeds), for spreadsheets and data frames. Imports no torch."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a JSON object without nested objects: the key `losses.d_loss` for `d_loss` in `losses`."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV, with a line for its columns. None, NaN and infinity are empty; numbers have all their
    digits."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and not math.isfinite(value) else value
