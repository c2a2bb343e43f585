"""What is known of a run, from whatever of it can be read: damaged, running and empty ones too."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gancli import catalogue
from gancli.config import toml
from gancli.errors import CheckpointError, GancliError
from gancli.files.atomic import reason
from gancli.page import curves, samples, x_axis
from gancli.page.command import command
from gancli.page.curves import Curve
from gancli.page.x_axis import XAxis
from gancli.report import log, words
from gancli.store import names, rundir
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.store.rundir import RunDirectory
from gancli.text import counted

Texts = dict[str, str]
MOST_TEXT = 400  # characters of a value that is shown


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
    """The run in a directory. Raises `CheckpointError` where there is none."""
    directory = RunDirectory(path)
    run = RunData(path, path.name or path.absolute().name)
    writer = rundir.writer(directory)
    config, facts = _config(run, directory), _facts(run, directory)
    told = _log(run, directory)
    if not (config or facts or told or writer or directory.holds_run or directory.metrics.is_file()):
        raise CheckpointError(f"{path}: holds no checkpoint, nor the config.toml of a run")
    try:
        if directory.metrics.is_file():
            starts = (x_axis.timestamp(line.get("time")) for line in told if line["event"] == log.STARTED)
            run.rows = curves.read(directory.metrics, sorted(start for start in starts if start is not None))
    except OSError as error:
        run.notes.append(f"metrics.jsonl: cannot be read ({reason(error)})")
    run.samples = samples.list_grids(path)
    _configure(run, config)
    if facts is not None:
        _from_facts(run, facts)
    run.step = max(run.step, _whole(run.rows.last.get("step")))
    _end(run, told, writer)
    _machine(run, told)
    _complain(run)
    return run


def of_file(path: Path) -> RunData:
    """What a checkpoint alone tells of the run that made it. Raises `CheckpointError`."""
    facts = from_header(path, read_header(path))
    run = RunData(path, names.name_of(path) or path.stem, state="a model alone")
    run.why = "its run directory is not beside it: the losses are those that the model keeps"
    _from_facts(run, facts)
    run.command = facts.command
    run.options = {name: _text(value) for name, value in asdict(facts.config).items()}
    return run


def _config(run: RunData, directory: RunDirectory) -> dict[str, object]:
    if not directory.holds_run:
        return {}
    try:
        return toml.read(directory.config)
    except GancliError as error:
        run.notes.append(str(error).removeprefix("--config ").replace(str(directory.config), "config.toml"))
        return {}


def _facts(run: RunData, directory: RunDirectory) -> Facts | None:
    """Of its checkpoint, or its newest state."""
    try:
        for file in [*([directory.checkpoint] if directory.checkpoint.exists() else []), *directory.states()[:1]]:
            return from_header(file, read_header(file))
    except (GancliError, OSError) as error:
        run.notes.append(str(error).replace(f"{directory.path}/", ""))
    return None


def _log(run: RunData, directory: RunDirectory) -> list[dict[str, Any]]:
    try:
        return log.read_log(directory.log) if directory.log.is_file() else []
    except OSError as error:
        run.notes.append(f"log.jsonl: cannot be read ({reason(error)})")
        return []


def _configure(run: RunData, config: Mapping[str, object]) -> None:
    variant = config.get("variant")
    run.variant, run.dataset = _text(variant or ""), _text(config.get("dataset", ""))
    if variant in catalogue.names():
        run.title = catalogue.card(str(variant)).title
    own, came_to = (config.get(str(name), {}) for name in (variant, toml.CAME_TO))
    flat = {name: value for name, value in config.items() if not isinstance(value, dict)}
    run.options = {name: _text(value) for name, value in {**flat, **_table(own)}.items()}
    run.chosen = {name: _text(value) for name, value in _table(came_to).items()}
    run.command = command(config)
    run.steps = _whole(config.get("steps")) or None
    run.batch_size = _whole(_table(came_to).get("batch_size")) or _whole(config.get("batch_size"))


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """A value as it is read, shortened where it is long."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


def _whole(value: object) -> int:
    return value if type(value) is int and 0 <= value <= curves.MAX_STEP else 0


def _from_facts(run: RunData, facts: Facts) -> None:
    spec = facts.images
    run.variant, run.dataset = facts.variant, run.dataset or facts.dataset
    run.title = run.title or catalogue.card(facts.variant).title
    run.step, run.steps = facts.step, facts.steps or None
    run.batch_size = facts.batch_size
    run.training = {
        "data set": f"{_text(facts.dataset)}: {counted(facts.num_images, 'picture', ',')}, "
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


def _end(run: RunData, told: Sequence[Mapping[str, Any]], writer: str | None) -> None:
    """How the run ended, or that it goes on: as its log says, else by how far it came."""
    last: Mapping[str, Any] = next((line for line in reversed(told) if line["event"] != log.WARNED), {})
    match last.get("event"):
        case log.FINISHED if last.get("status") == "stopped":
            run.state, run.why = "stopped", f"by {_text(last.get('reason') or 'its user')}; --resume goes on with it"
        case log.FINISHED:
            run.state = "finished"
        case log.DIVERGED:
            run.state, run.why = "diverged", _text(last.get("message", ""))
        case _ if writer:
            run.state, run.why = "running", f"{writer}; this is how far it had come"
        case _ if run.steps and run.step >= run.steps:
            run.state = "finished"
        case _:
            run.why = "it ended without a word; --resume goes on with it"
    run.warnings = list(dict.fromkeys(_text(line.get("message")) for line in told if line["event"] == log.WARNED))


def _machine(run: RunData, told: Sequence[Mapping[str, Any]]) -> None:
    begun: Mapping[str, Any] = next((line for line in reversed(told) if line["event"] == log.STARTED), {})
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
        run.machine["peak memory"] = words.size(run.rows.peak_bytes)
    if (speed := run.rows.curves.get(curves.SPEED)) and (values := speed.finite()):
        run.machine["mean speed"] = f"{len(values) / sum(1 / max(v, 1e-9) for v in values):,.0f} images/s"
    if (seconds := run.rows.time.total) is not None:
        run.machine["time"] = words.duration(seconds)
    if run.rows.first_time:
        run.machine["first row"] = _moment(run.rows.first_time)
        run.machine["last row"] = _moment(run.rows.last.get("time"))


def _moment(time: object) -> str:
    """`2026-11-27 11:03 UTC` of a row's `2026-11-27T11:03:44.123Z`."""
    text = str(time)[:40]
    return f"{text[:10]} {text[11:16]} UTC" if text[10:11] == "T" and text.endswith("Z") else text


def _complain(run: RunData) -> None:
    """What a reader should know of the rows."""
    rows = run.rows
    if rows.gaps:
        run.notes.append(
            f"metrics.jsonl: {rows.gaps:,} of {counted(rows.count, 'row', ',')} hold NaN or infinity; curves have gaps there"
        )
    if rows.left_out:
        run.notes.append(f"metrics.jsonl: {len(rows.left_out):,} more terms than the {curves.MAX_TERMS} that are shown")


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
