"""A run as a page shows it, from what can be read of it; it may be running, damaged or empty."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gancli import catalogue
from gancli.errors import CheckpointError
from gancli.format import duration, size
from gancli.page import samples
from gancli.page.x_axis import IMAGES, STEPS, TIME, TrainingTime, timestamp
from gancli.report import rows
from gancli.report.history import Curve, LossHistory
from gancli.report.rows import is_evaluation, is_number
from gancli.store import evaluations, pretrained
from gancli.store.evaluations import Evaluation
from gancli.store.facts import Facts, from_header
from gancli.store.header import read_header
from gancli.store.run_directory import RunDirectory
from gancli.store.run_info import RunInfo, images_per_step
from gancli.text import counted

Texts = dict[str, str]
MAX_TEXT = 400  # characters of a value that is shown
MAX_TERMS = 64  # of one run; the rows of a file may hold any number
MAX_STEP = 2**53  # larger integers are not exact in JavaScript
SPEED = "images_per_s"
NO_TERMS = ("step", "epoch", "phase", "elapsed_s", "memory_bytes", "time")


@dataclass
class RunData:
    """A run as a page shows it. `state`: finished, stopped, diverged, running, broken off, or a model alone; `why`: the
    reason. `curves`: one per term, NaN where a value is not finite; `phases`: the steps at which they begin; `evaluations`:
    newest first. `chosen`: the values of options that `gan` chose. `notes`: what could not be read, or is not shown."""

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
    num_rows: int = 0
    peak_bytes: int = 0
    curves: dict[str, Curve] = field(default_factory=dict)
    time: TrainingTime = field(default_factory=TrainingTime)
    phases: dict[str, int] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    samples: Sequence[tuple[int, Path]] = ()
    options: Texts = field(default_factory=dict)
    chosen: Texts = field(default_factory=dict)
    training: Texts = field(default_factory=dict)
    machine: Texts = field(default_factory=dict)
    command: str = ""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def offers(self, over: str) -> bool:
        """Return whether the run has the data for this x axis."""
        return {STEPS: True, IMAGES: self.batch_size > 0, TIME: self.time.total is not None}[over]

    def position(self, step: int, over: str) -> float:
        """Return the position of a step on an x axis: a number of steps or images, or seconds."""
        return self.time.at(step) if over == TIME else step * (self.batch_size if over == IMAGES else 1)

    def metric_curves(self) -> dict[str, Curve]:
        """Return the metrics measured during training (`--eval-every`) as curves."""
        history = LossHistory({}, max_points=None)
        for each in reversed(self.evaluations):
            if "best" in each:
                history.add(each["step"], each["figures"])
        return _sorted(history)

    def real_score(self, metric: str) -> float | None:
        """Return the score of real images in the newest measurement during training."""
        return next((each.get("real", {}).get(metric) for each in self.evaluations if "best" in each), None)


def of_directory(path: Path) -> RunData:
    """Return the run in a directory. Raises `CheckpointError` if there is none."""
    info = RunInfo(RunDirectory(path))
    if not info.exists:
        raise CheckpointError(f"{path}: holds no checkpoint, nor the config.toml of a run")
    run = RunData(path, path.name or path.absolute().name)
    starts = (timestamp(line.get("time")) for line in info.log if line["event"] == rows.STARTED)
    _add_rows(run, info.each_row(), sorted(start for start in starts if start is not None))
    run.samples = samples.list_grids(path)
    _add_config(run, info)
    if info.facts is not None:
        _add_facts(run, info.facts)
    _add_end(run, info)
    _add_start(run, info.log)
    run.notes = [problem.replace(f"{path}/", "") for problem in info.problems] + run.notes
    return run


def of_rows(name: str, rows: Iterable[Mapping[str, Any]]) -> RunData:
    """Return a run of which only the rows of losses are known."""
    run = RunData(Path(name), name)
    _add_rows(run, rows, [])
    return run


def of_file(path: Path) -> RunData:
    """Return what a checkpoint alone holds of its run. Raises `CheckpointError`."""
    facts = from_header(path, read_header(path))
    run = RunData(path, pretrained.pretrained_name(path) or path.stem, state="a model alone")
    run.why = "without its run directory: the losses are those stored in the model"
    _add_facts(run, facts)
    run.command = facts.command
    run.options = {name: _text(value) for name, value in asdict(facts.config).items()}
    return run


def _add_rows(run: RunData, rows: Iterable[Mapping[str, Any]], starts: Sequence[float]) -> None:
    """Add what the rows of `metrics.jsonl` hold. `starts`: when processes of the run began."""
    history, run.time = LossHistory({}, max_points=None), TrainingTime(starts)
    measured, left_out, num_gaps, first = [], set[str](), 0, None
    for row in rows:
        if not 0 <= row["step"] <= MAX_STEP:
            continue
        if is_evaluation(row):
            measured.append(row)
            continue
        terms = _terms(row)
        new = [name for name in terms if name not in history.curves]
        for name in new[MAX_TERMS - len(history.curves) :]:
            left_out.add(name)
            del terms[name]
        history.add(row["step"], terms)
        run.time.add(row)
        first, last = first or row, row
        run.num_rows, run.step = run.num_rows + 1, row["step"]
        num_gaps += any(map(math.isnan, terms.values()))
        if type(held := row.get("memory_bytes")) is int:
            run.peak_bytes = max(run.peak_bytes, held)
        if isinstance(phase := row.get("phase"), str) and len(run.phases) < MAX_TERMS:
            run.phases.setdefault(phase, row["step"])
    run.curves, run.evaluations = _sorted(history), evaluations.read_evaluations(measured)
    if first is not None:
        _add_speed(run, first, last)
    if num_gaps:
        count = counted(run.num_rows, "row", ",")
        run.notes.append(f"metrics.jsonl: {num_gaps:,} of {count} hold NaN or infinity; curves have gaps there")
    if left_out:
        run.notes.append(f"metrics.jsonl: {len(left_out):,} more terms than the {MAX_TERMS} that are shown")


def _terms(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row, NaN for JSON's null and what is not finite."""
    return {
        name: value if is_number(value) else math.nan
        for name, value in row.items()
        if name not in NO_TERMS and not isinstance(value, str | bool | list | dict)
    }


def _sorted(history: LossHistory) -> dict[str, Curve]:
    for curve in history.curves.values():
        curve.sort()
    return history.curves


def _add_speed(run: RunData, first: Mapping[str, Any], last: Mapping[str, Any]) -> None:
    """Add the memory, speed and time that the rows report, from the first to the last one."""
    if run.peak_bytes:
        run.machine["peak memory"] = size(run.peak_bytes)
    if speed := [value for value in run.curves.get(SPEED, Curve()).values if not math.isnan(value)]:
        run.machine["mean speed"] = f"{len(speed) / sum(1 / max(value, 1e-9) for value in speed):,.0f} images/s"
    if (seconds := run.time.total) is not None:
        run.machine["time"] = duration(seconds)
    for name, row in (("first row", first), ("last row", last)):
        if isinstance(time := row.get("time"), str):
            run.machine[name] = _moment(time)


def _add_config(run: RunData, info: RunInfo) -> None:
    variant = info.config.get("variant")
    run.variant, run.dataset = _text(variant or ""), _text(info.config.get("dataset", ""))
    run.title = catalogue.title_of(str(variant))
    run.options = {name: _text(value) for name, value in info.options.items()}
    run.chosen = {name: _text(value) for name, value in info.chosen.items()}
    run.command = info.command
    run.steps = _whole(info.config.get("steps")) or None
    run.batch_size = _whole(images_per_step(info))


def _text(value: object) -> str:
    """Return a value as text, shortened if it is long."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _whole(value: object) -> int:
    return value if type(value) is int and 0 <= value <= MAX_STEP else 0


def _add_facts(run: RunData, facts: Facts) -> None:
    spec = facts.images
    run.variant, run.dataset = facts.variant, run.dataset or facts.dataset
    run.title = run.title or catalogue.title_of(facts.variant)
    run.step, run.steps = max(run.step, facts.step), facts.steps or None
    run.batch_size = facts.batch_size
    num_images = counted(facts.num_images, "image", ",")
    run.training = {
        "dataset": f"{_text(facts.dataset)}: {num_images}, {spec.channels}×{spec.size}×{spec.size}",
        "classes": f"{spec.num_classes:,}" if spec.class_names else "none",
        "epochs": f"{facts.epoch:.2f}",
        "precision": facts.precision,
    }
    run.machine |= {name: _text(version) for name, version in facts.versions.items()}
    if not run.curves:
        history = LossHistory({}, max_points=None)
        for name, points in list(facts.losses.items())[:MAX_TERMS]:
            for step, value in points:
                if 0 <= step <= MAX_STEP:
                    history.add(step, {name: value})
        run.curves = _sorted(history)


def _add_end(run: RunData, info: RunInfo) -> None:
    """Add how the run ended, or that it is running, by its log, or else by its steps."""
    last: Mapping[str, Any] = next((line for line in reversed(info.log) if line["event"] != rows.WARNED), {})
    match last.get("event"):
        case rows.FINISHED if last.get("status") == "stopped":
            run.state, run.why = "stopped", f"by {_text(last.get('reason') or 'its user')}; resume it with --resume"
        case rows.FINISHED:
            run.state = "finished"
        case rows.DIVERGED:
            run.state, run.why = "diverged", _text(last.get("message", ""))
        case _ if info.writer:
            run.state, run.why = "running", f"{info.writer}; the page shows the run as it was when written"
        case _ if run.steps and run.step >= run.steps:
            run.state = "finished"
        case _:
            run.why = "it ended without a message; resume it with --resume"
    run.warnings = [_text(message) for message in info.warnings]


def _add_start(run: RunData, log: Sequence[Mapping[str, Any]]) -> None:
    """Add what the log recorded when the run last started: the machine, and the sizes of the networks."""
    started: Mapping[str, Any] = next((line for line in reversed(log) if line["event"] == rows.STARTED), {})
    names = ("device", "precision", "threads", "system", "python")
    known = {name: _text(started.get(name, run.chosen.get(name, ""))) for name in names}
    run.machine = {name: value for name, value in known.items() if value} | run.machine
    parameters = started.get("parameters")
    if isinstance(parameters, dict):
        counts = [f"{_text(name)} {value:,}" for name, value in parameters.items() if type(value) is int]
        run.training["parameters"] = ", ".join(counts[:20])


def _moment(time: str) -> str:
    """Return `2026-11-27 11:03 UTC` for `2026-11-27T11:03:44.123Z`."""
    text = time[:40]
    return f"{text[:10]} {text[11:16]} UTC" if text[10:11] == "T" and text.endswith("Z") else text


def make_names_distinct(runs: Sequence[RunData]) -> None:
    """Rename runs of the same name: add their parent directory to it, or else a number."""
    names = [run.name for run in runs]
    for index, run in enumerate(runs):
        if names.count(run.name) > 1:
            run.name = f"{run.path.absolute().parent.name}/{names[index]}"
    longer = [run.name for run in runs]
    for index, run in enumerate(runs):
        if longer.count(run.name) > 1:
            run.name = f"{run.name} ({index + 1})"


def document(run: RunData) -> dict[str, Any]:
    """Return what `gan report --json` prints of a run."""
    terms = {name: curve.values[-1] for name, curve in run.curves.items()}
    return {
        "run": str(run.path), "name": run.name, "state": run.state, "variant": run.variant, "dataset": run.dataset,
        "step": run.step, "steps": run.steps, "rows": run.num_rows, "samples": len(run.samples), "last_metrics": terms,
        "command": run.command, "warnings": run.warnings, "notes": run.notes,
    }  # fmt: skip
