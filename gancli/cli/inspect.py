"""`gan inspect`: what a checkpoint or a run directory is. Reads the header only; imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gancli.cli import ckpt, completing, console, inspect_run, runs
from gancli.config import paths
from gancli.engine.begin import run_directory
from gancli.errors import CheckpointError, UsageError, printable
from gancli.format import number
from gancli.report.history import label, sparkline
from gancli.store import evaluations, rundir
from gancli.store.facts import Facts, from_header
from gancli.store.header import Header, read_header
from gancli.store.run_info import RunInfo, curves, last_losses
from gancli.text import counted

CURVE_COLUMNS = 60


def inspect(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CKPT",
            help=f"A checkpoint, a saved state, a run directory or a folder of them, or {ckpt.COMES_ALONG}.",
            autocompletion=completing.checkpoint,
        ),
    ],
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Also read every tensor: its checksum, its values, its shape in this model."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Describe a checkpoint or run directory, without loading its tensors (unless --verify)."""
    folder = paths.expanded(checkpoint, "CKPT")
    if not (tensors or verify) and (several := rundir.several(folder)):
        if not as_json:
            console.print_result(f"{printable(checkpoint)} {several}")
        runs.show(folder, as_json)
        return
    path = ckpt.located(checkpoint)
    info = RunInfo(run_directory(path))
    file = info.file if path.is_dir() else path
    if info.problems:
        raise CheckpointError(info.problems[0])
    if file is None:
        if tensors or verify:
            raise UsageError(f"--{'verify' if verify else 'tensors'}: {path} holds no checkpoint yet")
        _show_run(info, as_json)
        return
    header = read_header(file)
    facts = from_header(file, header)
    if verify:
        paths.check_standing()
        from gancli.store.verify import verify as verified

        verified(file, header, facts)
    if as_json:
        document = _document(file, header, facts, tensors, info) | ({"verified": True} if verify else {})
        console.print_json(document, indent=2)
        return
    _show(file, header, facts, verify, info)
    if tensors:
        console.out().print(_tensor_table(header))


def _show_run(info: RunInfo, as_json: bool) -> None:
    """What is known of a run that has saved nothing yet."""
    about = inspect_run.document(info)
    if as_json:
        console.print_json(about, indent=2)
        return
    _print([*inspect_run.table(about), *_evaluated(about["evaluations"], about["dataset"])])
    _print_losses(curves(info.rows))


def _groups(header: Header) -> dict[str, tuple[int, int, tuple[str, ...]]]:
    """Values, bytes and dtypes by network: what comes before the last network-level separator of a tensor's name."""
    groups: dict[str, tuple[int, int, tuple[str, ...]]] = {}
    for name, info in header.tensors.items():
        group = name.partition("/")[0] if "/" in name else name.partition(".")[0]
        count, size, dtypes = groups.get(group, (0, 0, ()))
        dtypes = dtypes if info.dtype in dtypes else (*dtypes, info.dtype)
        groups[group] = (count + info.count, size + info.stop - info.start, dtypes)
    return groups


def _document(file: Path, header: Header, facts: Facts, tensors: bool, info: RunInfo) -> dict[str, Any]:
    document: dict[str, Any] = {"file": str(file), "bytes": header.file_bytes, **asdict(facts)}
    document["networks"] = {
        name: {"parameters": count, "bytes": size, "dtypes": dtypes}
        for name, (count, size, dtypes) in _groups(header).items()
    }
    document["last_metrics"] = _last(facts)
    main = evaluations.main(info.evaluations, facts.dataset)
    document["evaluated"] = main["figures"] if main else {}
    document["evaluations"] = info.evaluations
    document["running"] = info.writer
    document["last_row"] = last_losses(info.rows).get("step")
    inspect_run.warn(info)
    if tensors:
        document["tensors"] = {
            name: {"dtype": tensor.dtype, "shape": tensor.shape} for name, tensor in sorted(header.tensors.items())
        }
    return document


def _last(facts: Facts) -> dict[str, float]:
    return {name: points[-1][1] for name, points in facts.losses.items() if points}


def _evaluated(found: list[evaluations.Evaluation], dataset: str | None) -> list[tuple[str, str]]:
    """A row for each measurement of the run that is shown."""
    return [("" if index else "evaluated", line) for index, line in enumerate(evaluations.shown(found, dataset))]


def _progress(info: RunInfo, step: int) -> list[tuple[str, str]]:
    """Whether the run that a file of this step belongs to is training, and how far it is."""
    last = last_losses(info.rows).get("step", 0)
    told = [f"training ({info.writer})"] if info.writer else []
    told += [f"its last row of losses is of step {last:,}"] if last > step else []
    return [("run", ", ".join(told))] if told else []


def _show(file: Path, header: Header, facts: Facts, verified: bool, info: RunInfo) -> None:
    proof = [("verified", "checksum, shapes and values are sound")] if verified else []
    _print([*_rows(file, header, facts, info), *proof])
    _print_losses(facts.losses)


def _print(rows: Sequence[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, escape(printable(value)))
    console.out().print(table)


def _print_losses(losses: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Each loss with its last value and a curve in one line."""
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


def _rows(file: Path, header: Header, facts: Facts, info: RunInfo) -> list[tuple[str, str]]:
    spec = facts.images
    names = ", ".join(spec.class_names[:12]) + (", …" if spec.num_classes > 12 else "")
    options = "  ".join(f"{name}={value}" for name, value in asdict(facts.config).items())
    networks = "\n".join(
        f"{name}: {counted(count, 'value', ',')}, {size / 1e6:.2f} MB, {' '.join(dtypes)}"
        for name, (count, size, dtypes) in _groups(header).items()
    )
    rows = {
        "file": f"{file} ({header.file_bytes / 1e6:.2f} MB)",
        "what": "a model to sample from" if facts.kind == "model" else "a training state, to resume from",
        "variant": f"{facts.variant}, preset {facts.preset}",
        "options": options,
        "data set": f"{facts.dataset}: {counted(facts.num_images, 'image', ',')}, {spec.channels}×{spec.size}×{spec.size}"
        + _treated(facts),
        "classes": f"{spec.num_classes}: {names}" if spec.class_names else "none",
        "trained": f"step {facts.step:,} of {facts.steps:,}, epoch {facts.epoch:.2f}, phase {facts.phase}",
        "how": f"batch {facts.batch_size}, seed {facts.seed}, {facts.precision}, averaged with decay {facts.ema:g}",
    }
    tables = {
        "tensors": networks.replace("\n", "; "),
        "last metrics": "  ".join(f"{name} {number(value)}" for name, value in _last(facts).items()) or "none yet",
    }
    origin = {
        "written by": "  ".join(f"{name} {version}" for name, version in facts.versions.items()),
        "sha256": facts.sha256,
    }
    measured = _evaluated(info.evaluations, facts.dataset)
    inspect_run.warn(info)
    made_by = {"made by": facts.command} if facts.command else {}
    return [
        *rows.items(),
        *_progress(info, facts.step),
        *tables.items(),
        *measured,
        *origin.items(),
        *made_by.items(),
    ]


def _treated(facts: Facts) -> str:
    """What was done with the data set before training that is not usual."""
    fitted = f", made squares by --fit {facts.fit}" if facts.fit != "crop" else ""
    return fitted + (f", {facts.held_out:,} of them held out" if facts.held_out else "")


def _tensor_table(header: Header) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("tensor", "dtype", "shape"):
        table.add_column(heading, overflow="fold")
    for name, info in sorted(header.tensors.items()):
        table.add_row(escape(printable(name)), info.dtype, "×".join(map(str, info.shape)) or "scalar")
    return table
