"""Export a model: check the output path before the model is loaded, and a file before it is put in place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gancli import catalogue
from gancli.config import paths
from gancli.config.option import reject_unused_options
from gancli.config.sample import OPSET, ExportConfig
from gancli.errors import GancliError, UsageError, os_problem
from gancli.events import Emit, Preparing
from gancli.export import contract, programs
from gancli.export.contract import Contract
from gancli.export.folder import write_folder
from gancli.files import atomic, hub
from gancli.store import pretrained
from gancli.store.checkpoint import Model

Kind = Literal["onnx", "pt2", "folder"]
SUFFIXES: dict[str, Kind] = {".onnx": "onnx", ".pt2": "pt2"}
MAX_DIFFERENCE = 2 / 255  # of values in [-1, 1]: one of 255 grey levels
TRIED_SIZES = ((1, 5, 8), (4, 12, 7))  # number of images, and height and width of those to enlarge
PRETRAINED_LICENSE = "mit"  # of the package that contains them


@dataclass(frozen=True)
class Target:
    """Where a model is written to, and in which format."""

    path: Path
    kind: Kind
    config: ExportConfig


@dataclass(frozen=True)
class Exported:
    """The files that were written. `apart`: the largest difference between images of the export and of the model, in units
    of the range [0, 1]; 0 for a folder, which has the same weights."""

    files: list[str]
    apart: float


def target(output: str, config: ExportConfig) -> Target:
    """Return the target of `-o`, by its suffix. Raises `UsageError` for an invalid path or option, and `GancliError` if a
    package is missing or the directory is not writable."""
    if output == "-":
        raise UsageError("-o -: a model is not written to stdout; give the name of a file or folder")
    path = paths.expanded(output, "-o")
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None and path.suffix and not path.is_dir() and not output.endswith("/"):
        raise UsageError(f"-o {output}: must end in .onnx or .pt2, or be a folder (end it with /)")
    if kind is None or output.endswith("/"):
        reject_unused_options(("--opset", config.opset), why=f"is for .onnx; -o {output} is a folder")
        kind = "folder"
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            state = "exists and is not empty" if path.is_dir() else "exists"
            raise UsageError(f"-o {output}: {state}; give the name of a new folder")
    elif path.is_dir():
        raise UsageError(f"-o {output}: is a folder; give the name of a file")
    if kind != "folder":
        reject_unused_options(("--space", config.space or None), why=f"is for a folder; -o {output} is a file")
    paths.check_output(path, "-o")
    if not path.parent.is_dir():
        raise GancliError(f"-o {output}: there is no directory {path.parent}")
    try:
        atomic.check_writable(path.parent)
    except OSError as error:
        raise GancliError(os_problem(f"-o {output}", "written", error)) from error
    if kind == "pt2":
        reject_unused_options(("--opset", config.opset), why="is for .onnx; .pt2 has no operators of ONNX")
    elif kind == "onnx":
        programs.check_onnx_installed(output)
    return Target(path, kind, config)


def export(target: Target, source: Path, model: Model, emit: Emit) -> Exported:
    """Write the model in the file `source`. Raises `GancliError` if it cannot be exported, or the export computes other
    images than the model."""
    name = pretrained.pretrained_name(source)
    license_ = target.config.license.lower() if target.config.license else PRETRAINED_LICENSE if name else None
    if target.kind == "folder":
        if target.config.space and not catalogue.is_own(model.facts.variant):
            raise UsageError(
                f"--space: a Space has no code of {model.facts.variant}, as that is not gan's own; export without --space"
            )
        title = name or hub.repository_of(source) or source.resolve().parent.name or model.facts.variant
        return Exported(write_folder(target.path, source, model, title, license_, target.config.space, emit), 0.0)
    spec, metadata = contract.contract_of(model.variant), contract.metadata(model, license_)
    if target.kind == "onnx":
        data = programs.encode_onnx(spec, target.config.opset or OPSET, metadata, emit)
    else:
        data = programs.encode_pt2(spec, metadata, emit)
    emit(Preparing("checking the exported model", 0, 0, ""))
    difference = _max_difference(target.kind, data, spec, model)
    if not difference <= MAX_DIFFERENCE:
        raise GancliError(
            f"-o {target.path}: not written, as its images differ from the model's by up to {difference / 2:.3g}"
        )
    atomic.write(target.path, [data])
    return Exported([str(target.path)], difference / 2)


@torch.no_grad()
def _max_difference(kind: Kind, data: bytes, spec: Contract, model: Model) -> float:
    """Return the largest difference between images of the file and of the model, for sizes that it was not traced with."""
    most = 0.0
    for count, height, width in TRIED_SIZES:
        inputs = contract.examples(model.variant, count, 1, height, width)
        found: Tensor = programs.run_onnx(data, spec, inputs) if kind == "onnx" else programs.run_pt2(data, inputs)
        expected = spec.module(*inputs)
        if found.shape != expected.shape:
            return float("inf")
        most = max(most, float((found - expected).abs().max()))
    return most
