"""`gan inspect` of a run that has saved nothing yet, from `config.toml`, `metrics.jsonl` and the lock. Imports no torch."""

import math
from collections.abc import Mapping
from typing import Any

from gancli import catalogue
from gancli.cli import console
from gancli.errors import CheckpointError
from gancli.format import number
from gancli.store.run_info import RunInfo, last_losses, terms
from gancli.text import counted


def document(info: RunInfo) -> dict[str, Any]:
    """What is known of a run without a saved state. Raises `CheckpointError` if there is no run."""
    if not info.directory.holds_run and info.owner is None:
        raise CheckpointError(f"{info.directory.path}: holds no checkpoint, nor the config.toml of a run")
    config = {name: _sound(value) for name, value in info.config.items()}
    if info.problems:
        raise CheckpointError(info.problems[0])
    variant = config.get("variant")
    own = config.pop(variant, {}) if isinstance(variant, str) else {}
    last, found = last_losses(info.rows), info.evaluations
    warn(info)
    return {
        "file": None,
        "run": str(info.directory.path),
        "kind": "run",
        "running": info.writer,
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
        "evaluations": found,
    }


def warn(info: RunInfo) -> None:
    """Say what could not be read; the rest is shown all the same."""
    for problem in info.problems:
        console.say(f"warning: {problem}")


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
