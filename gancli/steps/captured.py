"""A piece of work captured, in whichever way: a CUDA graph, a list of operations."""

from collections.abc import Callable
from typing import NamedTuple

Work = Callable[[], None]


class Captured(NamedTuple):
    """What does a captured piece of work, and whether the capture did it already."""

    replay: Callable[[], object]
    done: bool


Capture = Callable[[Work], Captured]
