"""Matrix products in fp32 by oneDNN, for CPUs where torch's BLAS leaves half of the machine idle."""

from typing import Any

import torch
from torch import Tensor

from gancli.machine import private

aten = torch.ops.aten
# Below, oneDNN takes as long to begin as it wins (two cores of an EPYC; 15 µs).
LEAST_FLOP = 1e7


class Products(private.DispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, large fp32 products go to oneDNN: those of backward passes and of double backward, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten.mm.default and _worth_it(*args):
            return private.onednn_linear(args[0], args[1].t(), None, "none", [], "")
        if func is aten.addmm.default and not kwargs and args[0].dim() == 1 and _worth_it(*args[1:]):
            return private.onednn_linear(args[1], args[2].t(), args[0], "none", [], "")
        return func(*args, **(kwargs or {}))


def _worth_it(a: Tensor, b: Tensor) -> bool:
    if not (a.dtype == b.dtype == torch.float32 and a.device.type == "cpu"):
        return False
    return 2 * a.shape[0] * a.shape[1] * b.shape[1] >= LEAST_FLOP
