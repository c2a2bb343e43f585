"""The rows of a `metrics.jsonl` as curves."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.page.curve import Curve
from gancli.page.pace import Clock
from gancli.report.jsonl import each_row, is_evaluation, is_number
from gancli.store.evaluations import Evaluation
from gancli.store.evaluations import found as measurements

MOST_TERMS = 64  # of one run; a row of anybody's may hold any number
MOST_STEP = 2**53  # beyond, JavaScript's numbers have gaps
NO_TERMS = ("step", "epoch", "phase", "elapsed_s", "memory_bytes", "time")
SPEED = "images_per_s"


@dataclass
class Rows:
    """What a metrics file holds: a curve per term, how long it took, where phases begin, the measurements (newest first),
    the last row.

    `gaps`: rows with a value that is not finite. `left_out`: terms over the limit.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    phases: dict[str, int] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    last: Mapping[str, Any] = field(default_factory=dict)
    first_time: str = ""
    count: int = 0
    gaps: int = 0
    left_out: set[str] = field(default_factory=set)
    peak_bytes: int = 0


def read(path: Path, starts: Sequence[float] = ()) -> Rows:
    """The rows of a metrics file, of which lines that are none are passed over. `starts`: when processes of the run began.
    Raises `OSError`."""
    return gathered(each_row(path), starts)


def gathered(rows: Iterable[Mapping[str, Any]], starts: Sequence[float] = ()) -> Rows:
    found, measured = Rows(clock=Clock(starts)), []
    for row in rows:
        if not 0 <= row["step"] <= MOST_STEP:
            continue
        if is_evaluation(row):
            measured.append(row)
        else:
            _take(found, row)
    for curve in (*found.curves.values(), found.clock.curve):
        curve.sort()
    found.evaluations = measurements(measured)
    return found


def _take(found: Rows, row: Mapping[str, Any]) -> None:
    """One row of losses. A null stands for NaN and infinity, which JSON has no word for."""
    finite, curves, step = True, found.curves, row["step"]
    for name, value in row.items():
        if name in NO_TERMS or isinstance(value, str | bool | list | dict):
            continue
        if (curve := curves.get(name)) is None:
            if len(curves) >= MOST_TERMS:
                found.left_out.add(name)
                continue
            curve = curves[name] = Curve()
        sound = math.isfinite(value) if type(value) is float else is_number(value)
        finite = finite and sound
        curve.steps.append(step)
        curve.values.append(value if sound else math.nan)
    found.clock.read(row)
    found.count += 1
    found.gaps += not finite
    found.last = row
    found.first_time = found.first_time or _text(row.get("time"))
    if isinstance(phase := row.get("phase"), str) and len(found.phases) < MOST_TERMS:
        found.phases.setdefault(phase, row["step"])
    if type(held := row.get("memory_bytes")) is int:
        found.peak_bytes = max(found.peak_bytes, held)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def measured(found: Iterable[Evaluation]) -> dict[str, Curve]:
    """The figures that were measured while training, as curves: of those with `--eval-every`."""
    curves: dict[str, Curve] = {}
    for each in [each for each in found if "best" in each][::-1]:
        for name, value in each["figures"].items():
            if name in curves or len(curves) < MOST_TERMS:
                curves.setdefault(name, Curve()).add(each["step"], value)
    for curve in curves.values():
        curve.sort()
    return curves
