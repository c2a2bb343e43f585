"""A model as a program for ONNX or torch.export, encoded as bytes and run again."""

import contextlib
import importlib.util
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from gancli.errors import GancliError
from gancli.events import Emit, Preparing
from gancli.export.contract import OUTPUT, Contract

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MAX_ONNX_BYTES = 2_000_000_000  # of one protobuf, with weights
METADATA_FILE = "gancli.json"  # in a .pt2


def check_onnx_installed(output: str) -> None:
    """Raises `GancliError` with the extra to install if one of the packages is missing."""
    for name in ONNX_PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise GancliError(f"-o {output}: {name} is missing, which .onnx needs: pip install 'gancli[onnx]'")


def encode_onnx(contract: Contract, opset: int, metadata: Mapping[str, str], emit: Emit) -> bytes:
    """Return the bytes of an ONNX file, equal for equal models. Raises `GancliError` if torch cannot export the model, or
    it is too large."""
    emit(Preparing("translating the model to ONNX", 0, 0, ""))
    weights = sum(tensor.numel() * tensor.element_size() for tensor in contract.module.state_dict().values())
    if weights > MAX_ONNX_BYTES:
        raise GancliError(f"its weights take {weights / 1e9:.1f} GB, and an .onnx file holds 2 GB; .pt2 holds more")
    with _quiet(), _export_errors():
        program = torch.onnx.export(
            contract.module,
            contract.examples,
            dynamo=True,
            dynamic_shapes=contract.dynamic_shapes(),
            input_names=list(contract.names),
            output_names=[OUTPUT],
            opset_version=opset,
            verbose=False,
        )
    assert program is not None
    model = program.model
    if model.opset_imports.get("") != opset:
        raise GancliError(f"--opset {opset}: torch {torch.__version__} cannot write this model for it; omit --opset")
    _remove_source_locations(model)
    model.metadata_props.update(metadata)
    data: bytes = program.model_proto.SerializeToString(deterministic=True)
    return data


def _remove_source_locations(model: Any) -> None:
    """Remove the source files of this machine that each operator comes from."""
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        for each in (graph, *graph.inputs, *graph.initializers.values(), *graph.all_nodes()):
            each.metadata_props.clear()
        for node in graph.all_nodes():
            for output in node.outputs:
                output.metadata_props.clear()
            node.doc_string = None


def run_onnx(data: bytes, contract: Contract, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the images that onnxruntime computes with the file, float `[B, C, H, W]`. Raises `GancliError`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        named = {name: tensor.numpy() for name, tensor in zip(contract.names, inputs, strict=True)}
        (found,) = session.run([OUTPUT], named)
    except Exception as error:  # of onnxruntime's many types
        raise GancliError(
            f"onnxruntime {onnxruntime.__version__} cannot run the exported model ({_first_line(error)})"
        ) from error
    return torch.from_numpy(found)


def encode_pt2(contract: Contract, metadata: Mapping[str, str], emit: Emit) -> bytes:
    """Return the bytes of a `.pt2`, which `torch.export.load` opens without gancli. Raises `GancliError` if torch cannot
    export the model."""
    emit(Preparing("exporting the model", 0, 0, ""))
    buffer = io.BytesIO()
    with _quiet(), _export_errors(), torch.no_grad():
        program = torch.export.export(
            contract.module, contract.examples, dynamic_shapes=contract.dynamic_shapes(), strict=False
        )
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # source files of this machine
        torch.export.save(program, buffer, extra_files={METADATA_FILE: json.dumps(dict(metadata))})
    return buffer.getvalue()


def run_pt2(data: bytes, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the images that the loaded program computes, float `[B, C, H, W]`."""
    with _quiet(), torch.no_grad():
        found: Tensor = torch.export.load(io.BytesIO(data)).module()(*inputs)
    return found


@contextlib.contextmanager
def _export_errors() -> Iterator[None]:
    """Convert the errors of torch's exporters, which are of many types, to a `GancliError` of one line."""
    try:
        yield
    except Exception as error:
        raise GancliError(f"torch {torch.__version__} cannot export this model ({_first_line(error)})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings, logs and output of all libraries."""
    before = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's root cause, at most 200 characters."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
