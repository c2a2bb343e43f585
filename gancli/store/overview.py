"""A run at a glance, and the runs under a folder: from locks, headers and the ends of metrics files. Imports no torch."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gancli.config import toml
from gancli.data.classes import ordered
from gancli.errors import CheckpointError, GancliError, UsageError
from gancli.report.jsonl import divergence, is_number, read_newest
from gancli.report.rows import last_row, terms
from gancli.store import evaluations, rundir
from gancli.store.evaluations import Best
from gancli.store.facts import from_header, glance
from gancli.store.header import read_header
from gancli.store.rundir import RunDirectory

Condition = Literal["running", "finished", "stopped", "diverged", "damaged"]
DEEPEST = 4  # folders below the one that is asked about: runs/experiment/sweep/000-seed=0, and one more
MOST_STEPS = 2**63
TAIL_BYTES = 16 << 10  # of a metrics file: some fifty rows
LONG_TAIL_BYTES = 1 << 20  # where those hold no whole row
WHAT = {"variant": str, "preset": str, "dataset": str, "seed": int}


@dataclass(frozen=True, repr=False)
class Overview:
    """`step`: the last one known of while it runs, else the one that it goes on from. `pid` and `host`: whose process writes
    in it. `left_s`: at the speed of the last row, while it runs. `changed`: when its last row was written (ISO 8601, UTC).
    `problem`: what is wrong with its files, or `""`. None: not known."""

    path: Path
    state: Condition
    pid: int | None = None
    host: str | None = None
    variant: str | None = None
    preset: str | None = None
    dataset: str | None = None
    seed: int | None = None
    step: int = 0
    steps: int | None = None
    left_s: float | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    best: Best | None = None
    changed: str | None = None
    problem: str = ""

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        length = "" if self.steps is None else f" of {self.steps:,}"
        return (
            f"<run of {self.variant or 'an unknown variant'}, {self.state} at step {self.step:,}{length}; {self.path}>"
        )


def runs_under(folder: Path, unreadable: list[str] | None = None) -> list[Overview]:
    """All runs in a folder and those below it, by name as people count; itself, where it is one. What cannot be listed is
    added to `unreadable`. Raises `GancliError` where that is `folder` itself."""
    missed: list[str] = [] if unreadable is None else unreadable
    try:
        found = {str(run.path): run for run in _found(folder, os.listdir(folder), set(), 0, missed)}  # noqa: PTH208
    except OSError as error:
        raise GancliError(f"{folder}: cannot be listed ({error.strerror})") from None
    return [overview(found[name]) for name in ordered(found)]


def _found(
    folder: Path, names: Sequence[str], seen: set[tuple[int, int]], depth: int, missed: list[str]
) -> Iterator[RunDirectory]:
    """The run directories at `folder` and below it, each once however many links lead there."""
    place = folder.stat()
    if place.st_ino:
        if (place.st_dev, place.st_ino) in seen:
            return
        seen.add((place.st_dev, place.st_ino))
    if rundir.is_run(names):
        yield RunDirectory(folder)
        return
    if depth == DEEPEST:
        return
    for name in sorted(names):
        below = folder / name
        if name.startswith("."):
            continue
        try:
            with os.scandir(below) as entries:
                inside = [entry.name for entry in entries]
            yield from _found(below, inside, seen, depth + 1, missed)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            missed.append(f"{below}: cannot be listed ({error.strerror})")


def overview(run: RunDirectory) -> Overview:
    """What is known of a run. Raises nothing: what cannot be read is its `problem`."""
    problems: list[str] = []
    owner = rundir.holder(run)
    facts, written = _glance(run, problems)
    rows = _rows(run, problems)
    last, newest = last_row(rows), rows[-1] if rows else {}
    config = _config(run, problems) if not facts or owner or _begun_since(run, written) else {}
    saved = facts.get("step", 0)
    seen = max(saved, _step(last))
    steps = _length(config) or facts.get("steps")
    diverged = divergence(newest) and _step(newest) >= saved
    state: Condition = "stopped"
    if owner is not None:
        state = "running"
    elif problems and not facts:
        state = "damaged"
    elif diverged:
        state = "diverged"
    elif steps is not None and saved >= steps:
        state = "finished"
    return Overview(
        path=run.path,
        state=state,
        pid=owner.pid if owner else None,
        host=owner.host if owner else None,
        **{name: _told(facts, config, name, kind) for name, kind in WHAT.items()},
        step=_step(newest) if diverged else seen if owner else saved,
        steps=steps,
        left_s=_left(last, steps, (facts or config).get("batch_size")) if owner else None,
        losses=terms(last),
        best=_best(run, rows, _told(facts, config, "dataset", str)),
        changed=newest["time"] if isinstance(newest.get("time"), str) else None,
        problem=problems[0] if problems else "",
    )


def _told(facts: Mapping[str, Any], config: Mapping[str, Any], name: str, kind: type) -> Any:
    """What the checkpoint says, or else `config.toml`."""
    value = facts.get(name, config.get(name))
    return value if type(value) is kind else None


def _glance(run: RunDirectory, problems: list[str]) -> tuple[Mapping[str, Any], Path | None]:
    """What the model says of itself, or where there is none yet the newest state, and that file; or nothing."""
    try:
        files = [run.checkpoint] if run.checkpoint.exists() else run.states()[:1]
        return (glance(files[0], read_header(files[0])), files[0]) if files else ({}, None)
    except OSError as error:
        problems.append(f"{run.checkpoint}: cannot be read ({error.strerror})")
    except GancliError as error:
        problems.append(str(error))
    return {}, None


def _rows(run: RunDirectory, problems: list[str]) -> list[dict[str, Any]]:
    """The newest rows of the metrics file."""
    try:
        rows = read_newest(run.metrics, TAIL_BYTES)
        return rows if last_row(rows) else read_newest(run.metrics, LONG_TAIL_BYTES)
    except FileNotFoundError:
        pass
    except OSError as error:
        problems.append(f"{run.metrics}: cannot be read ({error.strerror})")
    return []


def _begun_since(run: RunDirectory, written: Path | None) -> bool:
    """Whether the run was begun again after a file of it was written: its length may be another by now."""
    try:
        return written is None or run.config.stat().st_mtime > written.stat().st_mtime
    except OSError:
        return False


def _config(run: RunDirectory, problems: list[str]) -> dict[str, Any]:
    try:
        return toml.read(run.config) if run.holds_run else {}
    except (UsageError, OSError) as error:
        problems.append(str(error).removeprefix("--config "))
    return {}


def _length(config: Mapping[str, Any]) -> int | None:
    """The steps of a run by its `config.toml`: as asked, or what its epochs came to."""
    came_to = config.get(toml.CAME_TO)
    for table in (config, came_to if isinstance(came_to, dict) else {}):
        if type(steps := table.get("steps")) is int and 0 < steps < MOST_STEPS:
            return steps
    return None


def _step(row: Mapping[str, Any]) -> int:
    """That of a row, which anybody may have written; 0 of none."""
    step: int = row.get("step", 0)
    return step if 0 <= step < MOST_STEPS else 0


def _left(last: Mapping[str, Any], steps: int | None, batch_size: object) -> float | None:
    speed = last.get("images_per_s")
    if steps is None or not is_number(speed) or not is_number(batch_size):
        return None
    assert isinstance(speed, int | float)
    assert isinstance(batch_size, int | float)
    return max(0, steps - _step(last)) * batch_size / speed if speed > 0 else None


def _best(run: RunDirectory, rows: Sequence[Mapping[str, Any]], dataset: str | None) -> Best | None:
    """By the rows that are read, and by `best.safetensors`, as what a run measured may lie further back."""
    facts = None
    with contextlib.suppress(OSError, CheckpointError):
        facts = from_header(run.best, read_header(run.best)) if run.best.exists() else None
    return evaluations.best(evaluations.found(rows), dataset, facts)
