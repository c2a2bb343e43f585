"""`gan inspect`: what a checkpoint or a run directory is. Reads headers only; imports no torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gancli import catalogue
from gancli.cli import ckpt, completing, console, runs
from gancli.config import paths
from gancli.engine.startup import run_directory_of
from gancli.errors import CheckpointError, UsageError
from gancli.format import number
from gancli.report.history import label, sparkline
from gancli.report.rows import curves, last_losses, terms
from gancli.store import evaluations, run_directory
from gancli.store.facts import Facts
from gancli.store.header import Header
from gancli.store.run_info import RunInfo, images_per_step
from gancli.text import counted, printable

CURVE_COLUMNS = 60
MAX_CLASSES = 12

Rows = list[tuple[str, str]]


def inspect(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CKPT",
            help=f"A checkpoint, a saved state, a run directory or a folder of them, hf:OWNER/NAME, or {ckpt.PRETRAINED}.",
            autocompletion=completing.checkpoint,
        ),
    ],
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Also read every tensor: its checksum, its values, its shape in this model."),
    ] = False,
    variant: ckpt.Variants = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Describe a checkpoint or run directory, without loading its tensors (unless --verify)."""
    ckpt.name_variants(variant)
    folder = paths.expanded(checkpoint, "CKPT")
    if not (tensors or verify) and (several := run_directory.describe_runs(folder)):
        if not as_json:
            console.print_result(f"{printable(checkpoint)} {several}")
        runs.show(folder, as_json)
        return
    path = ckpt.resolve(checkpoint)
    info = RunInfo(run_directory_of(path), None if path.is_dir() else path)
    file, header, facts = info.file, info.header, info.facts
    if info.problems:
        raise CheckpointError(info.problems[0])
    if file is None or header is None or facts is None:
        if tensors or verify:
            raise UsageError(f"--{'verify' if verify else 'tensors'}: {path} contains no checkpoint yet")
        _show_unsaved_run(info, as_json)
        return
    if verify:
        paths.check_working_directory()
        from gancli.store.state import verify as verify_file

        verify_file(file, header, facts)
    if as_json:
        document = _document(file, header, facts, info)
        document |= {"verified": True} if verify else {}
        document |= {"tensors": {name: _tensor(header, name) for name in sorted(header.tensors)}} if tensors else {}
        console.print_json(document, indent=2)
        return
    _print(
        [
            *_rows(file, header, facts, info),
            *([("verified", "checksum, shapes and values are valid")] if verify else []),
        ]
    )
    _print_losses(facts.losses)
    if tensors:
        console.out().print(_tensor_table(header))


def _warn(info: RunInfo) -> None:
    for problem in info.problems:
        console.print_message(f"warning: {problem}")


def _document(file: Path, header: Header, facts: Facts, info: RunInfo) -> dict[str, Any]:
    main = evaluations.main_evaluation(info.evaluations, facts.dataset)
    document = {
        "file": str(file),
        "bytes": header.file_bytes,
        **asdict(facts),
        "networks": {
            name: {"parameters": count, "bytes": size, "dtypes": dtypes}
            for name, (count, size, dtypes) in _networks(header).items()
        },
        "last_metrics": _last(facts),
        "evaluated": main["figures"] if main else {},
        "evaluations": info.evaluations,
        "running": info.writer,
        "last_row": last_losses(info.rows).get("step"),
    }
    _warn(info)
    return document


def _tensor(header: Header, name: str) -> dict[str, Any]:
    return {"dtype": header.tensors[name].dtype, "shape": header.tensors[name].shape}


def _networks(header: Header) -> dict[str, tuple[int, int, tuple[str, ...]]]:
    """Return values, bytes and dtypes by network, which is the first part of a tensor's name."""
    groups: dict[str, tuple[int, int, tuple[str, ...]]] = {}
    for name, info in header.tensors.items():
        group = name.partition("/")[0] if "/" in name else name.partition(".")[0]
        count, size, dtypes = groups.get(group, (0, 0, ()))
        dtypes = dtypes if info.dtype in dtypes else (*dtypes, info.dtype)
        groups[group] = (count + info.count, size + info.stop - info.start, dtypes)
    return groups


def _last(facts: Facts) -> dict[str, float]:
    return {name: points[-1][1] for name, points in facts.losses.items() if points}


def _rows(file: Path, header: Header, facts: Facts, info: RunInfo) -> Rows:
    spec = facts.images
    names = ", ".join(spec.class_names[:MAX_CLASSES]) + (", …" if spec.num_classes > MAX_CLASSES else "")
    networks = [
        f"{name}: {counted(count, 'value', ',')}, {size / 1e6:.2f} MB, {' '.join(dtypes)}"
        for name, (count, size, dtypes) in _networks(header).items()
    ]
    fit = f", made squares by --fit {facts.fit}" if facts.fit != "crop" else ""
    held_out = f", {facts.held_out:,} of them held out" if facts.held_out else ""
    rows = [
        ("file", f"{file} ({header.file_bytes / 1e6:.2f} MB)"),
        ("what", "a model to sample from" if facts.kind == "model" else "a training state, to resume from"),
        ("variant", f"{facts.variant}, preset {facts.preset}"),
        *([("code", "  ".join(f"{name} {value}" for name, value in facts.origin.items()))] if facts.origin else []),
        ("options", "  ".join(f"{name}={value}" for name, value in asdict(facts.config).items())),
        ("dataset", f"{facts.dataset}: {counted(facts.num_images, 'image', ',')}, "
                     f"{spec.channels}×{spec.size}×{spec.size}{fit}{held_out}"),
        ("classes", f"{spec.num_classes}: {names}" if spec.class_names else "none"),
        *([("started from", facts.init_from)] if facts.init_from else []),
        ("trained", f"step {facts.step:,} of {facts.steps:,}, epoch {facts.epoch:.2f}, phase {facts.phase}"),
        ("how", f"batch {facts.batch_size}, seed {facts.seed}, {facts.precision}, averaged with decay {facts.ema:g}"),
        *_progress(info, facts.step),
        ("tensors", "; ".join(networks)),
        ("last metrics", _values(_last(facts))),
        *_evaluated(info, facts.dataset),
        ("written by", "  ".join(f"{name} {version}" for name, version in facts.versions.items())),
        ("sha256", facts.sha256),
        *([("made by", facts.command)] if facts.command else []),
    ]  # fmt: skip
    _warn(info)
    return rows


def _progress(info: RunInfo, step: int) -> Rows:
    """Return whether the run that a file of this step belongs to is training, and its progress since."""
    last = last_losses(info.rows).get("step", 0)
    parts = [f"training ({info.writer})"] if info.writer else []
    parts += [f"its last row of losses is of step {last:,}"] if last > step else []
    return [("run", ", ".join(parts))] if parts else []


def _evaluated(info: RunInfo, dataset: str | None) -> Rows:
    lines = evaluations.summary_lines(info.evaluations, dataset)
    return [("" if index else "evaluated", line) for index, line in enumerate(lines)]


def _values(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {number(value)}" for name, value in metrics.items()) or "none yet"


def _show_unsaved_run(info: RunInfo, as_json: bool) -> None:
    """Print what `config.toml`, `metrics.jsonl` and the lock say about a run without a saved state. Raises
    `CheckpointError` if there is no run."""
    if not info.directory.holds_run and info.owner is None:
        raise CheckpointError(f"{info.path}: holds no checkpoint, nor the config.toml of a run")
    document = _unsaved_document(info, info.config)
    _warn(info)
    if as_json:
        console.print_json(document, indent=2)
        return
    _print([*_unsaved_rows(document), *_evaluated(info, info.dataset)])
    _print_losses(curves(info.rows))


def _unsaved_document(info: RunInfo, values: Mapping[str, Any]) -> dict[str, Any]:
    if info.problems:
        raise CheckpointError(info.problems[0])
    config = {name: _as_json(value) for name, value in values.items()}
    variant, last = config.get("variant"), last_losses(info.rows)
    own = config.pop(variant, {}) if isinstance(variant, str) else {}
    return {
        "file": None,
        "run": str(info.path),
        "kind": "run",
        "running": info.writer,
        "variant": variant,
        "preset": config.get("preset"),
        "config": own if isinstance(own, dict) else {},
        "options": {name: value for name, value in config.items() if not isinstance(value, dict)},
        "dataset": config.get("dataset"),
        "seed": config.get("seed"),
        "batch_size": images_per_step(info),
        "step": last.get("step", 0),
        "steps": config.get("steps"),
        "epoch": last.get("epoch", 0.0),
        "phase": last.get("phase"),
        "last_metrics": terms(last),
        "last_row": last.get("time"),
        "evaluated": {},
        "evaluations": info.evaluations,
    }


def _as_json(value: object) -> object:
    """Return a value of a TOML file as JSON has it: dates, NaN and infinity become text."""
    if isinstance(value, dict):
        return {name: _as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)) else str(value)


def _unsaved_rows(document: Mapping[str, Any]) -> Rows:
    variant, running = document["variant"], document["running"]
    what = "a run that ended before its first state was saved; the same command with --resume auto restarts it"
    if running is not None:
        doing = "being prepared" if variant is None else "training, with no state saved yet"
        what = f"a run that is {doing} ({running})"
    rows = [("run", str(document["run"])), ("what", what)]
    if variant is None:
        return rows
    preset = f", preset {document['preset']}" if variant in catalogue.known_names() else ""
    return [
        *rows,
        ("variant", f"{variant}{preset}"),
        ("options", "  ".join(f"{name}={value}" for name, value in document["config"].items())),
        ("dataset", str(document["dataset"])),
        ("trained", _unsaved_progress(document)),
        ("how", f"batch {document['batch_size']}, seed {document['seed']}"),
        ("last metrics", _values(document["last_metrics"])),
    ]


def _unsaved_progress(document: Mapping[str, Any]) -> str:
    """Return `step 300 of 2,000, epoch 3.00, phase train`."""
    steps, epoch = document["steps"], document["epoch"]
    length = f"{steps:,}" if type(steps) is int else counted(document["options"].get("epochs", "?"), "epoch")
    if not document["last_metrics"]:
        return f"no row of losses yet, of {counted(steps, 'step', ',') if type(steps) is int else length}"
    epoch = epoch if type(epoch) in (int, float) else math.nan
    when = f", at {document['last_row']}" if isinstance(document["last_row"], str) else ""
    return f"step {document['step']:,} of {length}, epoch {epoch:.2f}, phase {document['phase']}{when}"


def _print(rows: Sequence[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, escape(printable(value)))
    console.out().print(table)


def _print_losses(losses: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Print each loss with its last value and a sparkline."""
    shown = {name: points for name, points in losses.items() if len(points) > 1}
    if not shown:
        return
    steps = [step for points in shown.values() for step, _ in points]
    out = console.out()
    out.print(f"\nlosses of steps {min(steps):,} to {max(steps):,}", style="bold")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, points in shown.items():
        curve = sparkline([value for _, value in points], min(CURVE_COLUMNS, out.width // 2))
        table.add_row(escape(label(name)), number(points[-1][1]), curve)
    out.print(table)


def _tensor_table(header: Header) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("tensor", "dtype", "shape"):
        table.add_column(heading, overflow="fold")
    for name, info in sorted(header.tensors.items()):
        table.add_row(escape(printable(name)), info.dtype, "×".join(map(str, info.shape)) or "scalar")
    return table
