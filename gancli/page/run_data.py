"""A run as a page shows it, from whatever of it can be read: damaged, running and empty ones too."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gancli import catalogue
from gancli.config import toml
from gancli.errors import CheckpointError
from gancli.format import duration, size
from gancli.page import curves, samples, x_axis
from gancli.page.curves import Curve
from gancli.page.x_axis import XAxis
from gancli.report import log
from gancli.store import names
from gancli.store.facts import Facts, from_config, from_header
from gancli.store.header import read_header
from gancli.store.run_info import RunInfo
from gancli.store.rundir import RunDirectory
from gancli.text import counted

Texts = dict[str, str]
MAX_TEXT = 400  # characters of a value that is shown


@dataclass
class RunData:
    """A run as a page shows it. `state`: finished, stopped, diverged, running, broken off, or a model alone; `why`: what it
    says of that. `notes`: what could not be read, or is not shown."""

    path: Path
    name: str
    state: str = "broken off"
    why: str = ""
    variant: str = ""
    title: str = ""
    dataset: str = ""
    step: int = 0
    steps: int | None = None
    batch_size: int = 0
    rows: curves.Rows = field(default_factory=curves.Rows)
    samples: Sequence[tuple[int, Path]] = ()
    options: Texts = field(default_factory=dict)
    chosen: Texts = field(default_factory=dict)
    training: Texts = field(default_factory=dict)
    machine: Texts = field(default_factory=dict)
    command: str = ""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def x_axis(self) -> XAxis:
        return XAxis(self.batch_size, self.rows.time)


def of_directory(path: Path) -> RunData:
    """The run in a directory. Raises `CheckpointError` if there is none."""
    info = RunInfo(RunDirectory(path))
    if not info.exists:
        raise CheckpointError(f"{path}: holds no checkpoint, nor the config.toml of a run")
    run = RunData(path, path.name or path.absolute().name)
    starts = (x_axis.timestamp(line.get("time")) for line in info.log if line["event"] == log.STARTED)
    run.rows = curves.gather(info.each_row(), sorted(start for start in starts if start is not None))
    run.samples = samples.list_grids(path)
    _add_config(run, info.config)
    if info.facts is not None:
        _add_facts(run, info.facts)
    run.step = max(run.step, _whole(run.rows.last.get("step")))
    _add_end(run, info)
    _add_machine(run, info.log)
    run.notes = [problem.replace(f"{path}/", "") for problem in info.problems] + _remarks(run.rows)
    return run


def of_file(path: Path) -> RunData:
    """What a checkpoint alone tells of the run that made it. Raises `CheckpointError`."""
    facts = from_header(path, read_header(path))
    run = RunData(path, names.name_of(path) or path.stem, state="a model alone")
    run.why = "without its run directory: the losses are those stored in the model"
    _add_facts(run, facts)
    run.command = facts.command
    run.options = {name: _text(value) for name, value in asdict(facts.config).items()}
    return run


def _add_config(run: RunData, config: Mapping[str, object]) -> None:
    variant = config.get("variant")
    run.variant, run.dataset = _text(variant or ""), _text(config.get("dataset", ""))
    if variant in catalogue.names():
        run.title = catalogue.card(str(variant)).title
    own, came_to = (config.get(str(name), {}) for name in (variant, toml.CAME_TO))
    flat = {name: value for name, value in config.items() if not isinstance(value, dict)}
    run.options = {name: _text(value) for name, value in {**flat, **_table(own)}.items()}
    run.chosen = {name: _text(value) for name, value in _table(came_to).items()}
    run.command = from_config(config)
    run.steps = _whole(config.get("steps")) or None
    run.batch_size = _whole(_table(came_to).get("batch_size")) or _whole(config.get("batch_size"))


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """A value as it is read, shortened where it is long."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _whole(value: object) -> int:
    return value if type(value) is int and 0 <= value <= curves.MAX_STEP else 0


def _add_facts(run: RunData, facts: Facts) -> None:
    spec = facts.images
    run.variant, run.dataset = facts.variant, run.dataset or facts.dataset
    run.title = run.title or catalogue.card(facts.variant).title
    run.step, run.steps = facts.step, facts.steps or None
    run.batch_size = facts.batch_size
    run.training = {
        "dataset": f"{_text(facts.dataset)}: {counted(facts.num_images, 'image', ',')}, "
        f"{spec.channels}×{spec.size}×{spec.size}",
        "classes": f"{spec.num_classes:,}" if spec.class_names else "none",
        "epochs": f"{facts.epoch:.2f}",
        "precision": facts.precision,
    }
    run.machine |= {name: _text(version) for name, version in facts.versions.items()}
    if not run.rows.curves:
        for name, points in list(facts.losses.items())[: curves.MAX_TERMS]:
            curve = run.rows.curves[name] = Curve()
            for step, value in points:
                if 0 <= step <= curves.MAX_STEP:
                    curve.add(step, value)
            curve.sort()


def _add_end(run: RunData, info: RunInfo) -> None:
    """How the run ended, or that it is running: as its log says, else by how far it came."""
    last: Mapping[str, Any] = next((line for line in reversed(info.log) if line["event"] != log.WARNED), {})
    match last.get("event"):
        case log.FINISHED if last.get("status") == "stopped":
            run.state, run.why = "stopped", f"by {_text(last.get('reason') or 'its user')}; --resume continues it"
        case log.FINISHED:
            run.state = "finished"
        case log.DIVERGED:
            run.state, run.why = "diverged", _text(last.get("message", ""))
        case _ if info.writer:
            run.state, run.why = "running", f"{info.writer}; this is how far it had come"
        case _ if run.steps and run.step >= run.steps:
            run.state = "finished"
        case _:
            run.why = "it ended without a message; --resume continues it"
    warnings = (_text(line.get("message")) for line in info.log if line["event"] == log.WARNED)
    run.warnings = list(dict.fromkeys(warnings))


def _add_machine(run: RunData, log_lines: Sequence[Mapping[str, Any]]) -> None:
    begun: Mapping[str, Any] = next((line for line in reversed(log_lines) if line["event"] == log.STARTED), {})
    known = {
        name: _text(begun[name]) for name in ("device", "precision", "threads", "system", "python") if name in begun
    }
    known = {name: run.chosen.get(name, "") for name in ("device", "precision", "threads")} | known
    run.machine = {name: value for name, value in known.items() if value} | run.machine
    parameters = begun.get("parameters")
    if isinstance(parameters, dict):
        counts = [f"{_text(name)} {value:,}" for name, value in parameters.items() if type(value) is int]
        run.training["parameters"] = ", ".join(counts[:20])
    if run.rows.peak_bytes:
        run.machine["peak memory"] = size(run.rows.peak_bytes)
    if (speed := run.rows.curves.get(curves.SPEED)) and (values := speed.finite()):
        run.machine["mean speed"] = f"{len(values) / sum(1 / max(v, 1e-9) for v in values):,.0f} images/s"
    if (seconds := run.rows.time.total) is not None:
        run.machine["time"] = duration(seconds)
    if run.rows.first_time:
        run.machine["first row"] = _moment(run.rows.first_time)
        run.machine["last row"] = _moment(run.rows.last.get("time"))


def _moment(time: object) -> str:
    """`2026-11-27 11:03 UTC` of a row's `2026-11-27T11:03:44.123Z`."""
    text = str(time)[:40]
    return f"{text[:10]} {text[11:16]} UTC" if text[10:11] == "T" and text.endswith("Z") else text


def _remarks(rows: curves.Rows) -> list[str]:
    """What a reader should know of the rows."""
    found = []
    if rows.gaps:
        count = counted(rows.count, "row", ",")
        found.append(f"metrics.jsonl: {rows.gaps:,} of {count} hold NaN or infinity; curves have gaps there")
    if rows.left_out:
        found.append(f"metrics.jsonl: {len(rows.left_out):,} more terms than the {curves.MAX_TERMS} that are shown")
    return found


def make_names_distinct(runs: Sequence[RunData]) -> None:
    """Give runs of the same name longer ones: of the folders that they lie in, else numbers."""
    names = [run.name for run in runs]
    for index, run in enumerate(runs):
        if names.count(run.name) > 1:
            run.name = f"{run.path.absolute().parent.name}/{names[index]}"
    longer = [run.name for run in runs]
    for index, run in enumerate(runs):
        if longer.count(run.name) > 1:
            run.name = f"{run.name} ({index + 1})"


def document(run: RunData) -> dict[str, Any]:
    """What is told of a run that a page shows, for programs."""
    terms = {name: curve.values[-1] for name, curve in run.rows.curves.items()}
    return {
        "run": str(run.path), "name": run.name, "state": run.state, "variant": run.variant, "dataset": run.dataset,
        "step": run.step, "steps": run.steps, "rows": run.rows.count, "samples": len(run.samples), "last_metrics": terms,
        "command": run.command, "warnings": run.warnings, "notes": run.notes,
    }  # fmt: skip
