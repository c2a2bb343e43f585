"""`gan inspect`: what a checkpoint or a run directory is. Reads the header only; imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gancli.cli import console
from gancli.config import paths
from gancli.engine.facts import Facts, from_header
from gancli.engine.header import Header, read_header
from gancli.engine.rundir import RunDirectory
from gancli.errors import CheckpointError, GancliError, printable
from gancli.report.jsonl import read_metrics
from gancli.report.plot import plot_text


def inspect(
    path: Annotated[Path, typer.Argument(metavar="CKPT", help="A checkpoint, a saved state or a run directory.")],
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Also read every tensor: its checksum, its values, its shape in this model."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what a checkpoint or a run directory is, without loading its tensors (unless --verify)."""
    file = _file(paths.expanded(path, "CKPT"))
    header = read_header(file)
    facts = from_header(file, header)
    if verify:
        paths.check_standing()
        from gancli.engine.verify import verify as verified

        verified(file, header, facts)
    if as_json:
        document = _document(file, header, facts, tensors) | ({"verified": True} if verify else {})
        console.print_json(document, indent=2)
        return
    _show(file, header, facts, verify)
    if tensors:
        console.out().print(_tensor_table(header))


def _file(path: Path) -> Path:
    """The file that a path stands for: itself, a run's checkpoint, or its newest state where it has none yet."""
    if not path.is_dir():
        return path
    directory = RunDirectory(path)
    candidates = [directory.checkpoint] if directory.checkpoint.exists() else directory.states()
    if not candidates:
        raise CheckpointError(f"{path}: holds no checkpoint")
    return candidates[0]


def _groups(header: Header) -> dict[str, tuple[int, int, tuple[str, ...]]]:
    """Values, bytes and dtypes by network: what comes before the last network-level separator of a tensor's name."""
    groups: dict[str, tuple[int, int, tuple[str, ...]]] = {}
    for name, info in header.tensors.items():
        group = name.partition("/")[0] if "/" in name else name.partition(".")[0]
        count, size, dtypes = groups.get(group, (0, 0, ()))
        dtypes = dtypes if info.dtype in dtypes else (*dtypes, info.dtype)
        groups[group] = (count + info.count, size + info.stop - info.start, dtypes)
    return groups


def _document(file: Path, header: Header, facts: Facts, tensors: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"file": str(file), "bytes": header.file_bytes, **asdict(facts)}
    document["networks"] = {
        name: {"parameters": count, "bytes": size, "dtypes": dtypes}
        for name, (count, size, dtypes) in _groups(header).items()
    }
    document["last_metrics"] = _last(facts)
    document["evaluated"] = _evaluated(file)
    if tensors:
        document["tensors"] = {
            name: {"dtype": info.dtype, "shape": info.shape} for name, info in sorted(header.tensors.items())
        }
    return document


def _last(facts: Facts) -> dict[str, float]:
    return {name: points[-1][1] for name, points in facts.losses.items() if points}


def _evaluated(file: Path) -> dict[str, float]:
    """The newest figures in `metrics.jsonl` of the run that a file lies in."""
    metrics = RunDirectory(file.parent.parent if file.parent.name == "state" else file.parent).metrics
    try:
        rows = read_metrics(metrics) if metrics.is_file() else []
    except (GancliError, OSError) as error:  # somebody else's: the rest is told all the same
        console.say(f"warning: {error}")
        rows = []
    found: dict[str, Any] = next((row["figures"] for row in reversed(rows) if isinstance(row.get("figures"), dict)), {})
    return {str(name): _float(value) for name, value in found.items() if isinstance(value, int | float)}


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # JSON has whole numbers of any length
        return math.inf


def _show(file: Path, header: Header, facts: Facts, verified: bool) -> None:
    out = console.out()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    proof = {"verified": "checksum, shapes and values are sound"} if verified else {}
    for name, value in {**_rows(file, header, facts), **proof}.items():
        table.add_row(name, escape(printable(value)))
    out.print(table)
    if any(len(points) > 1 for points in facts.losses.values()):
        out.print()
        losses = {name: points for name, points in facts.losses.items() if not name.startswith("d_real")}
        shown = {name: points for name, points in losses.items() if not name.startswith("d_fake")}
        out.print(plot_text(shown or facts.losses, width=min(out.width, 100), height=10))


def _rows(file: Path, header: Header, facts: Facts) -> Mapping[str, str]:
    spec = facts.images
    names = ", ".join(spec.class_names[:12]) + (", …" if spec.num_classes > 12 else "")
    options = "  ".join(f"{name}={value}" for name, value in asdict(facts.config).items())
    networks = "\n".join(
        f"{name}: {count:,} values, {size / 1e6:.2f} MB, {' '.join(dtypes)}"
        for name, (count, size, dtypes) in _groups(header).items()
    )
    rows = {
        "file": f"{file} ({header.file_bytes / 1e6:.2f} MB)",
        "what": "a model to sample from" if facts.kind == "model" else "a training state, to resume from",
        "variant": f"{facts.variant}, preset {facts.preset}",
        "options": options,
        "data set": f"{facts.dataset}: {facts.num_images:,} images, {spec.channels}×{spec.size}×{spec.size}",
        "classes": f"{spec.num_classes}: {names}" if spec.class_names else "none",
        "trained": f"step {facts.step:,} of {facts.steps:,}, epoch {facts.epoch:.2f}, phase {facts.phase}",
        "how": f"batch {facts.batch_size}, seed {facts.seed}, {facts.precision}, averaged with decay {facts.ema:g}",
    }
    tables = {"tensors": networks.replace("\n", "; ")}
    metrics = {"last metrics": "  ".join(f"{name} {_number(value)}" for name, value in _last(facts).items())}
    if figures := _evaluated(file):
        metrics["evaluated"] = "  ".join(f"{name} {_number(value)}" for name, value in figures.items())
    origin = {
        "written by": "  ".join(f"{name} {version}" for name, version in facts.versions.items()),
        "sha256": facts.sha256,
    }
    return rows | tables | metrics | origin


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def _tensor_table(header: Header) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("tensor", "dtype", "shape"):
        table.add_column(heading, overflow="fold")
    for name, info in sorted(header.tensors.items()):
        table.add_row(escape(printable(name)), info.dtype, "×".join(map(str, info.shape)) or "scalar")
    return table
