"""How fast a run goes."""

import time


class Clock:
    """Time spent in steps (laps), and since the start."""

    def __init__(self) -> None:
        self._began = self._lap = time.perf_counter()
        self._lap_steps = 0
        self._seconds_per_step = 0.0

    def restart(self) -> None:
        """Begin a lap that does not count what came before it: sampling, saving, the consumer of events."""
        if self._lap_steps == 0:
            self._lap = time.perf_counter()

    def count(self, steps: int) -> None:
        self._lap_steps += steps

    def lap(self) -> float:
        """Seconds per step since the last lap."""
        now = time.perf_counter()
        self._seconds_per_step = max((now - self._lap) / max(1, self._lap_steps), 1e-9)
        self._lap, self._lap_steps = now, 0
        return self._seconds_per_step

    def elapsed(self) -> float:
        return time.perf_counter() - self._began
