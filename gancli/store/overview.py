"""The runs in a folder, each in a few facts from its lock, headers and the end of its metrics file. Imports no torch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gancli.data.classes import ordered
from gancli.errors import GancliError, os_problem
from gancli.report.jsonl import divergence, is_number
from gancli.store import evaluations, rundir
from gancli.store.evaluations import Best
from gancli.store.run_info import RunInfo, last_losses, step_of, terms
from gancli.store.rundir import RunDirectory

Condition = Literal["running", "finished", "stopped", "diverged", "damaged"]
DEEPEST = 4  # folders below the one that is asked about: runs/experiment/sweep/000-seed=0, and one more
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
        raise GancliError(os_problem(folder, "listed", error)) from None
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
            missed.append(os_problem(below, "listed", error))


def overview(directory: RunDirectory) -> Overview:
    """The few facts about a run. Raises nothing: what cannot be read is its `problem`."""
    info = RunInfo(directory)
    facts, rows, best_facts = info.glance, info.newest_rows, info.best_facts
    config = info.config if not facts or info.owner or _restarted(info) else {}  # parsing it takes longer than the rest
    last, newest = last_losses(rows), rows[-1] if rows else {}
    saved = facts.get("step", 0)
    steps = (info.steps if config else None) or facts.get("steps")
    diverged = bool(divergence(newest)) and step_of(newest) >= saved
    dataset = _known(facts, config, "dataset", str)
    return Overview(
        path=directory.path,
        state=_state(info, diverged, steps is not None and saved >= steps),
        pid=info.owner.pid if info.owner else None,
        host=info.owner.host if info.owner else None,
        **{name: _known(facts, config, name, kind) for name, kind in WHAT.items()},
        step=step_of(newest) if diverged else max(saved, step_of(last)) if info.owner else saved,
        steps=steps,
        left_s=_left(last, steps, (facts or config).get("batch_size")) if info.owner else None,
        losses=terms(last),
        best=evaluations.best(evaluations.found(rows), dataset, best_facts),
        changed=newest["time"] if isinstance(newest.get("time"), str) else None,
        problem=info.problems[0] if info.problems else "",
    )


def _state(info: RunInfo, diverged: bool, finished: bool) -> Condition:
    if info.owner is not None:
        return "running"
    if info.problems and not info.glance:
        return "damaged"
    return "diverged" if diverged else "finished" if finished else "stopped"


def _known(facts: Mapping[str, Any], config: Mapping[str, Any], name: str, kind: type) -> Any:
    """What the checkpoint says, or else `config.toml`."""
    value = facts.get(name, config.get(name))
    return value if type(value) is kind else None


def _restarted(info: RunInfo) -> bool:
    """Whether the run was started again after its newest file was written: its length may have changed."""
    try:
        return info.file is None or info.directory.config.stat().st_mtime > info.file.stat().st_mtime
    except OSError:
        return False


def _left(last: Mapping[str, Any], steps: int | None, batch_size: object) -> float | None:
    speed = last.get("images_per_s")
    if steps is None or not is_number(speed) or not is_number(batch_size):
        return None
    assert isinstance(speed, int | float)
    assert isinstance(batch_size, int | float)
    return max(0, steps - step_of(last)) * batch_size / speed if speed > 0 else None
