"""Measure the speed of a run, and decide when progress, means and states are due."""

import math
import time
from collections.abc import Callable

HEARTBEAT_S = 0.25  # between two reports of progress
MEANS_S = 25.0  # between two of them with means, so that a line every 30 s has new ones
SMOOTHING_S = 30.0  # weight of the last lap in the speed, against the steps since


class Clock:
    """The time of a run: in steps, in all else (sampling, evaluating, saving), and in total. `now`: returns monotonic
    seconds.

    A lap is the time in steps between two calls of `lap`. `steps`: the steps so far, in `trained_s` seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = self._lap_began = self._counted_at = self._saved_at = self._means_at = now()
        self._heartbeat_at = -math.inf
        self._lap_steps = self.steps = 0
        self._other_s = self.trained_s = 0.0
        self._seconds_per_step = math.nan
        self.stops_at = math.inf  # when `--max-time` ends

    def restart(self) -> None:
        """Count the time since the last step as not training, such as sampling, saving and the consumer of events."""
        now = self._now()
        other = now - self._counted_at
        self._lap_began += other
        self._counted_at = now
        self._heartbeat_at = -math.inf
        if self.steps:
            self._other_s += other
        else:
            self._saved_at = self._means_at = now

    def count(self, steps: int) -> None:
        """Count steps that have just been done."""
        now = self._now()
        self.trained_s += now - self._counted_at
        self._counted_at = now
        self._lap_steps += steps
        self.steps += steps

    def lap(self) -> float:
        """Start a new lap, and return the seconds per step of the last one."""
        now = self._now()
        self._seconds_per_step = max((now - self._lap_began) / max(1, self._lap_steps), 1e-9)
        self._lap_began = self._counted_at = self._means_at = now
        self._heartbeat_at = -math.inf
        self._lap_steps = 0
        return self._seconds_per_step

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self._now() - self._began

    def seconds_per_step(self) -> float:
        """Return the speed of the last lap, or of the steps since if they are slower; NaN before the first step."""
        last, spent = self._seconds_per_step, self._counted_at - self._lap_began
        if not self._lap_steps:
            return last
        if math.isnan(last):
            return max(spent / self._lap_steps, 1e-9)
        return max(last, (SMOOTHING_S + spent) / (SMOOTHING_S / last + self._lap_steps))

    def progress(self) -> tuple[int, float]:
        """Return the steps so far, and the seconds spent in them."""
        return self.steps, self.trained_s

    def seconds_for(self, steps: int) -> float:
        """Return the seconds that so many steps take, with the other activities between them, at most until `--max-time`
        ends; NaN before the first step."""
        needed = steps * (self.seconds_per_step() + self._other_s / max(1, self.steps))
        return min(needed, max(0.0, self.stops_at - self._now()))

    def heartbeat_due(self) -> bool:
        """Whether progress is to be reported now."""
        if self._counted_at - self._heartbeat_at < HEARTBEAT_S:
            return False
        self._heartbeat_at = self._counted_at
        return True

    def means_due(self) -> bool:
        """Whether progress is to include the means so far: the last row of losses was a while ago."""
        if self._counted_at - self._means_at < MEANS_S:
            return False
        self._means_at = self._counted_at
        return True

    def save_due(self, every_s: float | None) -> bool:
        """Whether the last save began at least `every_s` seconds ago."""
        return every_s is not None and self._counted_at - self._saved_at >= every_s

    def saved(self) -> None:
        """Count the time to the next save from now."""
        self._saved_at = self._now()
