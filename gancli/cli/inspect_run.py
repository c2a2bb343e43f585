"""What can be told of a run that has no file to read yet, and of one that goes on: from `config.toml`, `metrics.jsonl` and
the lock. Imports no torch."""

import math
from collections.abc import Mapping
from typing import Any

from gancli import catalogue
from gancli.cli import console
from gancli.config import toml
from gancli.errors import CheckpointError, GancliError, UsageError
from gancli.format import number
from gancli.report.jsonl import read_metrics
from gancli.report.rows import last_row, terms
from gancli.store import evaluations, rundir
from gancli.store.rundir import RunDirectory
from gancli.text import counted


def read_rows(directory: RunDirectory) -> list[dict[str, Any]]:
    """The rows of the run's `metrics.jsonl`; none where there is no such file, or, with a word, where it cannot be read."""
    try:
        return read_metrics(directory.metrics) if directory.metrics.is_file() else []
    except (GancliError, OSError) as error:  # somebody else's: the rest is told all the same
        console.say(f"warning: {error}")
        return []


def document(directory: RunDirectory) -> dict[str, Any]:
    """What is known of a run without a saved state. Raises `CheckpointError` where there is no run."""
    writer = rundir.writer(directory)
    if not directory.holds_run and writer is None:
        raise CheckpointError(f"{directory.path}: holds no checkpoint, nor the config.toml of a run")
    config = _config(directory)
    variant = config.get("variant")
    own = config.pop(variant, {}) if isinstance(variant, str) else {}
    rows = read_rows(directory)
    last = last_row(rows)
    return {
        "file": None,
        "run": str(directory.path),
        "kind": "run",
        "running": writer,
        "variant": variant,
        "preset": config.get("preset"),
        "config": own if isinstance(own, dict) else {},
        "options": {name: value for name, value in config.items() if not isinstance(value, dict)},
        "dataset": config.get("dataset"),
        "seed": config.get("seed"),
        "batch_size": config.get("batch_size"),
        "step": last.get("step", 0),
        "steps": config.get("steps"),
        "epoch": last.get("epoch", 0.0),
        "phase": last.get("phase"),
        "last_metrics": terms(last),
        "last_row": last.get("time"),
        "evaluated": {},
        "evaluations": evaluations.found(rows),
    }


def _config(directory: RunDirectory) -> dict[str, Any]:
    """The options in `config.toml`; none where a run is still being prepared."""
    if not directory.holds_run:
        return {}
    try:
        return {name: _sound(value) for name, value in toml.read(directory.config).items()}
    except UsageError as error:
        raise CheckpointError(str(error).removeprefix("--config ")) from None


def _sound(value: object) -> object:
    """A value of a TOML file as JSON can hold it: times and what is no number become text."""
    if isinstance(value, dict):
        return {name: _sound(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_sound(each) for each in value]
    return value if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)) else str(value)


def table(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same for people."""
    begun = about["variant"] is not None
    rows = [("run", str(about["run"])), ("what", _what(about, begun))]
    if not begun:
        return rows
    known = about["variant"] in catalogue.names()
    rows += [
        ("variant", f"{about['variant']}, preset {about['preset']}" if known else str(about["variant"])),
        ("options", "  ".join(f"{name}={value}" for name, value in about["config"].items())),
        ("data set", str(about["dataset"])),
        ("trained", _trained(about)),
        ("how", f"batch {about['batch_size']}, seed {about['seed']}"),
        (
            "last metrics",
            "  ".join(f"{name} {number(value)}" for name, value in about["last_metrics"].items()) or "none yet",
        ),
    ]
    return rows


def _what(about: Mapping[str, Any], begun: bool) -> str:
    if about["running"] is not None:
        doing = "training, with no state saved yet" if begun else "being prepared"
        return f"a run that is {doing} ({about['running']})"
    return "a run that ended before its first state was saved; the same command with --resume auto starts it anew"


def _trained(about: Mapping[str, Any]) -> str:
    """`step 300 of 2,000, epoch 3.00, phase train`."""
    steps, step = about["steps"], about["step"]
    length = f"{steps:,}" if type(steps) is int else counted(about["options"].get("epochs", "?"), "epoch")
    if not about["last_metrics"]:
        return f"no row of losses yet, of {counted(steps, 'step', ',') if type(steps) is int else length}"
    epoch = about["epoch"] if type(about["epoch"]) in (int, float) else math.nan
    when = f", at {about['last_row']}" if isinstance(about["last_row"], str) else ""
    return f"step {step:,} of {length}, epoch {epoch:.2f}, phase {about['phase']}{when}"
