"""How a phase's steps are done: one by one, captured, compiled."""

from gancli.config.paths import data_root
from gancli.engine.plan import Plan
from gancli.machine.compiler import kept_under
from gancli.machine.device import choose_compile, strides
from gancli.steps.capture import as_it_is
from gancli.steps.runner import Ways


def ways(planned: Plan, convolutional: bool, whole: int, left: int) -> Ways:
    """For a phase of `whole` steps, of which `left` are to come."""
    device, asked = planned.machine.device, planned.run.compile
    captured = strides(device, convolutional, left) if planned.graph else ()
    if not choose_compile(asked, device, convolutional, whole):
        return Ways(captured)
    kept_under(data_root(planned.run.data_root).path)
    return Ways(captured or (1,), None if planned.graph else as_it_is, compiled=True, thorough=asked == "max")
