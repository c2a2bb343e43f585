"""What is used of torch that torch does not promise to keep: here alone, each with the reason, and what it stands in for.

`tests/machine/test_private.py` holds each to the public form, and every other file to naming nothing private. So a new
torch shows in one place what broke.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode as FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary as WeakTensorKeyDictionary

# FakeTensorMode: tensors that have a shape and no memory, also where code names a device, which gets them there under
# torch.device("meta").
# WeakTensorKeyDictionary: its keys are tensors, by identity, and it does not keep them alive. weakref.WeakKeyDictionary
# compares keys, and loses a tensor that only C++ still holds.


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, its `__torch_dispatch__` is given every operation, those of a backward pass included, which
    torch.overrides.TorchFunctionMode is not."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: torch does not wrap `__torch_dispatch__` in `torch._dynamo.disable`, which imports Dynamo (1 s)."""
        return False


# standalone_compile (below): a graph through Inductor alone. torch.compile reads the graph's code first, by Dynamo, which
# for a step of 3,000 operations takes minutes, and looks at each argument again in every call.

# The kernel of torch.optim.Adam(fused=True), whose checks take three times as long on a small network. The second is its
# name in a trace.
fused_adam_ = torch._fused_adam_
FUSED_ADAM = torch.ops.aten._fused_adam_.default

# The kernels of torch.amp.GradScaler, whose `step` may wait for the device to say whether a gradient overflowed: a captured
# step may not.
amp_unscale_ = torch._amp_foreach_non_finite_check_and_unscale_
amp_update_scale_ = torch._amp_update_scale_

# One kernel on CUDA, and one call on a CPU, for many tensors; in public they are loops of `copy_`, `lerp_`, ….
# torch.foreach, from 2.15 on, has them in public.
foreach_add_ = torch._foreach_add_
foreach_addcmul_ = torch._foreach_addcmul_
foreach_copy_ = torch._foreach_copy_
foreach_div_ = torch._foreach_div_
foreach_lerp_ = torch._foreach_lerp_
foreach_mul = torch._foreach_mul
foreach_mul_ = torch._foreach_mul_
foreach_sqrt = torch._foreach_sqrt
foreach_sub = torch._foreach_sub
foreach_sub_ = torch._foreach_sub_

# What torch.nn.functional.leaky_relu and softplus call after a look at their arguments: a replayed trace saves that.
leaky_relu = torch._C._nn.leaky_relu
softplus = torch._C._nn.softplus

# x, weight, bias, "none", [], "" → x · weightᵀ (+ bias) by oneDNN: its one door for plain tensors. In public that is
# torch.nn.functional.linear, which goes to the BLAS. None in a torch that was built without oneDNN, as for other than x86 it
# may be.
onednn_linear: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def standalone_compile(
    module: torch.fx.GraphModule, arguments: Sequence[Tensor], options: dict[str, Any]
) -> Callable[..., Any]:
    """`module` compiled for arguments such as these: their shapes, types and layouts are not looked at again."""
    from torch._inductor import standalone_compile as compiled  # takes seconds

    made: Callable[..., Any] = compiled(
        module, list(arguments), dynamic_shapes="from_example_inputs", options={"config_patches": options}
    )
    return made


def is_view(operation: Any) -> bool:
    """Whether an operation of a trace gives one tensor that shares its first argument's memory. Stands in for a list of
    their names."""
    if not isinstance(operation, torch._ops.OpOverload) or not operation.is_view:
        return False
    (returned, *more) = operation._schema.returns
    return not more and str(returned.type) == "Tensor"
