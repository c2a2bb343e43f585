"""How fast a run goes, and when it is time for something."""

import math
import time
from collections.abc import Callable

WORD_S = 0.25  # between two words about where a run is
MEANS_S = 25.0  # between two with the means so far: a line every 30 s must not wait for the end of a step
STEADY_S = 30.0  # so much of the last lap weighs against what the new one tells


class Clock:
    """Time spent in steps (laps), aside from them, and since the start. `now`: seconds that never run backwards.

    A lap is the time between two readings in which steps were done; sampling, measuring and saving lie aside. `steps` have
    been counted in all, in `trained_s`.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = self._lap_began = self._counted_at = self._saved_at = self._means_at = now()
        self._word_at = -math.inf
        self._lap_steps = self.steps = 0
        self._aside_s = self.trained_s = 0.0
        self._seconds_per_step = math.nan
        self.stops_at = math.inf  # when `--max-time` is over

    def restart(self) -> None:
        """What came since the last step was no training: sampling, saving, the consumer of events."""
        now = self._now()
        aside = now - self._counted_at
        self._lap_began += aside
        self._counted_at = now
        self._word_at = -math.inf
        if self.steps:
            self._aside_s += aside
        else:
            self._saved_at = self._means_at = now

    def count(self, steps: int) -> None:
        """So many steps have just been done."""
        now = self._now()
        self.trained_s += now - self._counted_at
        self._counted_at = now
        self._lap_steps += steps
        self.steps += steps

    def lap(self) -> float:
        """Seconds per step since the last lap."""
        now = self._now()
        self._seconds_per_step = max((now - self._lap_began) / max(1, self._lap_steps), 1e-9)
        self._lap_began = self._counted_at = self._means_at = now
        self._word_at = -math.inf
        self._lap_steps = 0
        return self._seconds_per_step

    def elapsed(self) -> float:
        return self._now() - self._began

    def seconds_per_step(self) -> float:
        """Those of the last lap, or more where the steps since have been slower; not a number before the first step."""
        last, spent = self._seconds_per_step, self._counted_at - self._lap_began
        if not self._lap_steps:
            return last
        if math.isnan(last):
            return max(spent / self._lap_steps, 1e-9)
        return max(last, (STEADY_S + spent) / (STEADY_S / last + self._lap_steps))

    def progress(self) -> tuple[int, float]:
        """Steps so far, and the seconds spent in them."""
        return self.steps, self.trained_s

    def foreseen(self, steps: int) -> float:
        """Seconds that so many steps will take, with what lies aside of them, or until `--max-time` stops them; not a number
        before the first step."""
        needed = steps * (self.seconds_per_step() + self._aside_s / max(1, self.steps))
        return min(needed, max(0.0, self.stops_at - self._now()))

    def word_due(self) -> bool:
        """Whether it is time to say where the run is."""
        if self._counted_at - self._word_at < WORD_S:
            return False
        self._word_at = self._counted_at
        return True

    def means_due(self) -> bool:
        """Whether it is time for the means so far: no row has come for long."""
        if self._counted_at - self._means_at < MEANS_S:
            return False
        self._means_at = self._counted_at
        return True

    def save_due(self, every_s: float | None) -> bool:
        """Whether the last save lies so far back."""
        return every_s is not None and self._counted_at - self._saved_at >= every_s

    def saved(self) -> None:
        """A state is being saved, of now."""
        self._saved_at = self._now()
