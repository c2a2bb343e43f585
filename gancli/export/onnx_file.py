"""A model as an ONNX file, by torch's own exporter; onnxruntime, which is to draw with it, draws a few pictures first."""

import importlib.util
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gancli.errors import GancliError
from gancli.events import Emit, Preparing
from gancli.export.contract import PICTURES, Contract
from gancli.export.quiet import first_line, quiet

NEEDED = ("onnx", "onnxscript", "onnxruntime")
MOST_BYTES = 2_000_000_000  # of one protobuf, weights included


def check_installed(asked: str) -> None:
    """Raises `GancliError` that names the extra where one of the packages is missing."""
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise GancliError(f"-o {asked}: {name} is missing, which .onnx needs: pip install 'gancli[onnx]'")


def encoded(contract: Contract, opset: int, about: Mapping[str, str], emit: Emit) -> bytes:
    """The bytes of the file; equal models give equal bytes. Raises `GancliError` where the exporter has no way to write the
    model, or for more than a file of ONNX holds."""
    emit(Preparing("translating the model to ONNX", 0, 0, ""))
    weights = sum(tensor.numel() * tensor.element_size() for tensor in contract.module.state_dict().values())
    if weights > MOST_BYTES:
        raise GancliError(f"its weights take {weights / 1e9:.1f} GB, and an .onnx file holds 2 GB; .pt2 holds more")
    try:
        with quiet():
            program = torch.onnx.export(
                contract.module,
                contract.examples,
                dynamo=True,
                dynamic_shapes=contract.dynamic_shapes(),
                input_names=list(contract.names),
                output_names=[PICTURES],
                opset_version=opset,
                verbose=False,
            )
    except Exception as error:  # of the exporter's many kinds
        raise GancliError(f"torch {torch.__version__} cannot export this model ({first_line(error)})") from error
    assert program is not None
    model = program.model
    if model.opset_imports.get("") != opset:
        raise GancliError(f"--opset {opset}: torch {torch.__version__} cannot write this model for it; leave it out")
    _forget_this_machine(model)
    model.metadata_props.update(about)
    data: bytes = program.model_proto.SerializeToString(deterministic=True)
    return data


def _forget_this_machine(model: Any) -> None:
    """Leave out where in which source file on this machine each operator came from."""
    graphs = [model.graph, *(function.graph for function in model.functions.values())]
    for graph in graphs:
        for each in (graph, *graph.inputs, *graph.initializers.values(), *graph.all_nodes()):
            each.metadata_props.clear()
        for node in graph.all_nodes():
            for output in node.outputs:
                output.metadata_props.clear()
            node.doc_string = None


def drawn(data: bytes, contract: Contract, inputs: tuple[Tensor, ...]) -> Tensor:
    """What onnxruntime makes of the file, float `[B, C, H, W]` on the CPU. Raises `GancliError` where it cannot."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        given = {name: tensor.numpy() for name, tensor in zip(contract.names, inputs, strict=True)}
        (pictures,) = session.run([PICTURES], given)
    except Exception as error:  # as above
        raise GancliError(
            f"onnxruntime {onnxruntime.__version__} cannot open what was exported ({first_line(error)})"
        ) from error
    return torch.from_numpy(pictures)
