"""What `gan export` writes: decided before anything is loaded, checked before it takes its place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gancli.config import paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import OPSET, ExportConfig
from gancli.errors import GancliError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.export import contract, folder, onnx_file, pt2_file
from gancli.export.contract import Contract
from gancli.files import atomic
from gancli.store import pretrained
from gancli.store.checkpoint import Model

Kind = Literal["onnx", "pt2", "folder"]
SUFFIXES: dict[str, Kind] = {".onnx": "onnx", ".pt2": "pt2"}
MOST_APART = 2 / 255  # of values in [-1, 1]: one of 255 grey levels
ODD_SIZES = ((1, 5, 8), (4, 12, 7))  # pictures, and rows and columns of those to enlarge, that a file is tried with
SHIPPED_LICENSE = "mit"  # of the package that they are in


@dataclass(frozen=True)
class Target:
    """Where a model is written to, and as what."""

    path: Path
    kind: Kind
    config: ExportConfig


def target(asked: str, config: ExportConfig) -> Target:
    """What `-o` asks for, by its suffix. Raises `UsageError` for what cannot be written there or would have no effect there,
    and `GancliError` where a package is missing or nothing can be written."""
    if asked == "-":
        raise UsageError("-o -: a model is not written to stdout; give the name of a file or folder")
    path = paths.expanded(asked, "-o")
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None and path.suffix and not path.is_dir() and not asked.endswith("/"):
        raise UsageError(f"-o {asked}: must end in .onnx or .pt2, or be a folder (end it with /)")
    if kind is None or asked.endswith("/"):
        reject_unused_options(("--opset", config.opset), why=f"is for .onnx; -o {asked} is a folder")
        _check_folder(path, asked)
        return Target(path, "folder", config)
    reject_unused_options(("--space", config.space or None), why=f"is for a folder; -o {asked} is a file")
    if path.is_dir():
        raise UsageError(f"-o {asked}: is a folder; give a name that is none")
    paths.check_output(path, "-o")
    _check_parent(path, asked)
    if kind == "pt2":
        reject_unused_options(("--opset", config.opset), why="is for .onnx; .pt2 has no operators of ONNX")
    else:
        onnx_file.check_installed(asked)
    return Target(path, kind, config)


def _check_folder(path: Path, asked: str) -> None:
    """A folder that is made in one go takes nobody's place."""
    paths.check_output(path, "-o")
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        what = "is there already, and not empty" if path.is_dir() else "is there already"
        raise UsageError(f"-o {asked}: {what}; give the name of a folder that is to be made")
    _check_parent(path, asked)


def _check_parent(path: Path, asked: str) -> None:
    if not path.parent.is_dir():
        raise GancliError(f"-o {asked}: there is no directory {path.parent} to write it into")
    try:
        atomic.check_writable(path.parent)
    except OSError as error:
        raise GancliError(os_problem(f"-o {asked}", "written", error)) from error


@dataclass(frozen=True)
class Exported:
    """The files that were written, and by how much at most, in units of the range [0, 1], pictures drawn with them differed
    from the model's own (0 for a folder, which has its very weights)."""

    files: list[str]
    apart: float


def written(target: Target, source: Path, model: Model, emit: Emit) -> Exported:
    """Write a model that lies in `source`. Raises `GancliError` where it cannot be exported, or what was exported does not
    draw the model's pictures."""
    shipped = pretrained.pretrained_name(source)
    license_ = target.config.license.lower() if target.config.license else SHIPPED_LICENSE if shipped else None
    if target.kind == "folder":
        title = shipped or source.resolve().parent.name or model.facts.variant
        return Exported(folder.write(target.path, source, model, title, license_, target.config.space, emit), 0.0)
    spec, about = contract.of(model.variant), contract.about(model, license_)
    if target.kind == "onnx":
        data = onnx_file.encoded(spec, target.config.opset or OPSET, about, emit)
    else:
        data = pt2_file.encoded(spec, about, emit)
    emit(Preparing("drawing pictures with what was exported", 0, 0, ""))
    apart = _apart(target.kind, data, spec, model)
    if not apart <= MOST_APART:
        raise GancliError(
            f"-o {target.path}: not written, as its pictures are up to {apart / 2:.3g} of the range away from the model's"
        )
    atomic.write(target.path, [data])
    return Exported([str(target.path)], apart / 2)


@torch.no_grad()
def _apart(kind: Kind, data: bytes, spec: Contract, model: Model) -> float:
    """The largest difference between pictures drawn with the file and by the model, for sizes it was not traced with."""
    most = 0.0
    for count, height, width in ODD_SIZES:
        inputs = contract.examples(model.variant, count, 1, height, width)
        found: Tensor = onnx_file.drawn(data, spec, inputs) if kind == "onnx" else pt2_file.drawn(data, inputs)
        expected = spec.module(*inputs)
        if found.shape != expected.shape:
            return float("inf")
        most = max(most, float((found - expected).abs().max()))
    return most
