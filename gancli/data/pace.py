"""When to show progress again."""

import time

PACE_S = 0.2


class Pace:
    """`due()` is true every 0.2 s: often enough to stop at once, seldom enough to cost nothing."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < PACE_S:
            return False
        self._last = now
        return True
