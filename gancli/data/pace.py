"""When to show progress again."""

import time

PACE_S = 0.2


class Pace:
    """`due()` is true every 0.2 s, unless told otherwise: often enough to stop at once, seldom enough to cost nothing."""

    def __init__(self, every_s: float = PACE_S) -> None:
        self._every_s = every_s
        self._last = time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._every_s:
            return False
        self._last = now
        return True
