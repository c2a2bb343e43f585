"""Work captured, in whichever way: a CUDA graph, a list of operations, a compiled piece."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

Work = Callable[[], None]
Step = Callable[[Sequence[Tensor], Tensor], None]
"""One step: what it takes, and float `[terms]` for what it reports."""


class Captured(NamedTuple):
    """What does a captured piece of work, and whether the capture did it already."""

    replay: Callable[[], object]
    done: bool


Capture = Callable[[Work], Captured]


def as_it_is(work: Work) -> Captured:
    """No capture: the work is one piece already."""
    return Captured(work, done=False)
