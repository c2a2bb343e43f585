"""A model as torch.export writes programs: `.pt2`, opened by `torch.export.load` where there is torch, without gancli."""

import io
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from gancli.errors import GancliError
from gancli.events import Emit, Preparing
from gancli.export.contract import Contract
from gancli.export.quiet import first_line, quiet

ABOUT = "gancli.json"  # the file in it that says what the model is


def encoded(contract: Contract, about: Mapping[str, str], emit: Emit) -> bytes:
    """The bytes of the file. Raises `GancliError` where torch has no way to write the model."""
    emit(Preparing("exporting the model", 0, 0, ""))
    buffer = io.BytesIO()
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(
                contract.module, contract.examples, dynamic_shapes=contract.dynamic_shapes(), strict=False
            )
            for node in program.graph.nodes:
                node.meta.pop("stack_trace", None)  # where its source lies on this machine
            torch.export.save(program, buffer, extra_files={ABOUT: json.dumps(dict(about))})
    except Exception as error:  # of torch's many kinds
        raise GancliError(f"torch {torch.__version__} cannot export this model ({first_line(error)})") from error
    return buffer.getvalue()


def drawn(data: bytes, inputs: tuple[Tensor, ...]) -> Tensor:
    """What a program read back from the file makes of inputs, float `[B, C, H, W]`."""
    with quiet(), torch.no_grad():
        pictures: Tensor = torch.export.load(io.BytesIO(data)).module()(*inputs)
    return pictures
