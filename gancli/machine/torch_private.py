"""The private parts of torch that gancli uses, each with its reason and the public form that it replaces.

`tests/machine/test_torch_private.py` compares each with its public form, and checks that no other file names a private part.
So a new torch breaks in one place.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode as FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary as WeakTensorKeyDictionary

# FakeTensorMode: tensors with a shape and no memory, on the device that code names; torch.device("meta") changes the
# device. WeakTensorKeyDictionary: compares tensors by identity, and does not keep them alive. weakref.WeakKeyDictionary
# compares them by value, and loses a tensor that only C++ still holds.


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, its `__torch_dispatch__` receives every operation, those of backward passes included, which
    torch.overrides.TorchFunctionMode does not."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, so that torch does not wrap `__torch_dispatch__` in `torch._dynamo.disable`, whose import takes
        1 s."""
        return False


# The kernel of torch.optim.Adam(fused=True), whose checks take three times as long on a small network; and its name in a
# trace.
fused_adam_ = torch._fused_adam_
FUSED_ADAM = torch.ops.aten._fused_adam_.default

# The operation that `Tensor.item()` dispatches.
READ_VALUE = torch.ops.aten._local_scalar_dense.default

# The kernels of torch.amp.GradScaler, whose `step` may wait for the device to report an overflow; a captured step may not.
amp_unscale_ = torch._amp_foreach_non_finite_check_and_unscale_
amp_update_scale_ = torch._amp_update_scale_

# One kernel on CUDA, or one call on a CPU, for many tensors, instead of loops of `copy_`, `lerp_`, …. torch 2.15 has
# them in public, as torch.foreach.
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

# The kernels of torch.nn.functional.leaky_relu and softplus, without their checks of arguments, which a replayed trace
# skips.
leaky_relu = torch._C._nn.leaky_relu
softplus = torch._C._nn.softplus

# x, weight, bias, "none", [], "" → x · weightᵀ (+ bias) in oneDNN; torch.nn.functional.linear uses the BLAS. None in a
# torch that was built without oneDNN, as it may be for other CPUs than x86.
onednn_linear: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def standalone_compile(module: torch.fx.GraphModule, arguments: Sequence[Tensor], tuned: bool) -> Callable[..., Any]:
    """Compile `module` with Inductor for the shapes, dtypes and layouts of `arguments`, which calls do not check again.
    `tuned`: choose kernels by timing them.

    torch.compile reads the module's code with Dynamo first, which takes minutes for a step of 3,000 operations, and checks
    each argument in every call.
    """
    from torch._inductor import standalone_compile as compiled  # takes seconds

    options = {
        "fallback_random": True,  # the random numbers of eager steps
        # Reordering fails with updates of many tensors: an AssertionError in reorder_loops_by_dep_pair of torch 2.11.
        "loop_ordering_after_fusion": False,
        "max_autotune": tuned,
        "coordinate_descent_tuning": tuned,
    }
    found: Callable[..., Any] = compiled(
        module, list(arguments), dynamic_shapes="from_example_inputs", options={"config_patches": options}
    )
    return found


def is_view(operation: Any) -> bool:
    """Whether an operation of a trace returns one tensor, which shares its first argument's memory. torch lists no such
    operations in public."""
    if not isinstance(operation, torch._ops.OpOverload) or not operation.is_view:
        return False
    (returned, *more) = operation._schema.returns
    return not more and str(returned.type) == "Tensor"
