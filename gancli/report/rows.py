"""Reads the `metrics.jsonl` and `log.jsonl` of a run directory, which `jsonl` writes. docs/metrics.md has their schema."""

import contextlib
import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from gancli.config.paths import open_file
from gancli.errors import GancliError, os_problem

MAX_READ_BYTES = 32 * 2**20
MAX_READ_ROWS = 200_000
MAX_LINE_BYTES = 2**16
TAIL_BYTES = 16 << 10  # of a metrics file: some fifty rows
LONG_TAIL_BYTES = 1 << 20  # if those contain no whole row of losses
MAX_LOG_BYTES = 4 * 2**20
STARTED, WARNED, FINISHED, DIVERGED = "run_started", "warned", "run_finished", "run_diverged"
NO_TERMS = ("step", "epoch", "images_per_s", "elapsed_s", "memory_bytes")
Rows = Sequence[Mapping[str, Any]]


def is_number(value: object) -> bool:
    """Return whether a value of a row is a finite number. JSON has integers of any length."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Return whether a row of `metrics.jsonl` holds a measurement."""
    return isinstance(row.get("figures"), dict)


def divergence(row: Mapping[str, Any]) -> str:
    """Return what diverged, for the row of a run that ended by it; else `""`."""
    message = row.get("diverged")
    return message if isinstance(message, str) else ""


def is_losses(row: Mapping[str, Any]) -> bool:
    """Return whether a row holds the losses of an interval."""
    return not is_evaluation(row) and not divergence(row)


def _json_object(line: bytes) -> dict[str, Any]:
    """Return the JSON object in a line, an empty one if there is none."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(line)
        return found if isinstance(found, dict) else {}
    return {}


def parse_rows(file: BinaryIO) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the lines of `metrics.jsonl` that are rows, and the rows. Other lines (torn, or too long) are skipped."""
    while line := file.readline(MAX_LINE_BYTES):
        if type((row := _json_object(line)).get("step")) is int:
            yield line, row
        while not line.endswith(b"\n") and (rest := file.readline(MAX_LINE_BYTES)):
            line = rest


def each_row(path: Path, last_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a `metrics.jsonl`, or those in its last bytes, oldest first. Raises `OSError`."""
    with open_file(path) as file:
        surplus = 0 if last_bytes is None else file.seek(0, os.SEEK_END) - last_bytes
        file.seek(max(0, surplus))
        if surplus > 0:
            file.readline()  # the rest of a line that began before
        for _, row in parse_rows(file):
            yield row


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a `metrics.jsonl`, oldest first, of a very large file the newest. Raises `GancliError` if the file
    cannot be read."""
    try:
        return list(deque(each_row(path, MAX_READ_BYTES), maxlen=MAX_READ_ROWS))
    except OSError as error:
        raise GancliError(os_problem(path, "read", error)) from error


def read_newest(path: Path) -> list[dict[str, Any]]:
    """Return the newest row of losses in a `metrics.jsonl`, and other rows near its end, oldest first. Raises `OSError`."""
    rows = list(each_row(path, TAIL_BYTES))
    return rows if last_losses(rows) else list(each_row(path, LONG_TAIL_BYTES))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a `log.jsonl` that are events, of a very large file the first. Raises `OSError`."""
    with open_file(path) as file:
        objects = map(_json_object, file.read(MAX_LOG_BYTES).splitlines())
        return [each for each in objects if isinstance(each.get("event"), str)]


def last_losses(rows: Rows) -> Mapping[str, Any]:
    """Return the newest row of losses, or an empty one."""
    return next((row for row in reversed(rows) if is_losses(row)), {})


def terms(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the losses in a row."""
    return {name: value for name, value in row.items() if name not in NO_TERMS and is_number(value)}


def curves(rows: Rows) -> dict[str, list[tuple[int, float]]]:
    """Return the losses of all rows as points, by name."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in filter(is_losses, rows):
        for name, value in terms(row).items():
            series.setdefault(name, []).append((row["step"], value))
    return series
