"""That a run will take long: told once, as soon as its pace is known."""

from collections.abc import Iterator

from gancli.config import RunConfig
from gancli.engine.clock import Clock
from gancli.text import Note

LONG_S = 2 * 3600.0
FIRST_S = 15.0  # the first steps take longer: kernels are chosen, a step is captured
KNOWN_S, KNOWN_STEPS = 30.0, 3  # so much training after them tells the pace
LARGE = 32  # pixels
MEASUREMENTS = 10  # of a run that takes hours: they are nothing beside it


class Foresight:
    """`side`: of the pictures that are trained on, None where they are crops of larger ones."""

    def __init__(self, run: RunConfig, side: int | None) -> None:
        self._silent = run.max_time is not None
        self._first: tuple[float, int] | None = None  # seconds and steps of the first ones
        self._measured = run.eval_every is not None
        self._faster = f"; smaller pictures are faster (--image-size {LARGE})" if side and side > LARGE else ""

    def __call__(self, clock: Clock, steps: int, left: int) -> Iterator[str]:
        """A line where the `left` steps of `steps` will take hours: how to have something sooner, and the best of the way.
        Not where `--max-time` bounds the run."""
        if self._silent or clock.trained_s < FIRST_S:
            return
        if self._first is None:
            self._first = clock.trained_s, clock.steps
        seconds, done = clock.trained_s - self._first[0], clock.steps - self._first[1]
        if seconds < KNOWN_S or done < KNOWN_STEPS:
            return
        self._silent = True
        if (seconds := seconds / done * left) > LONG_S:
            yield Note(
                f"at this pace the {steps} steps take about {seconds / 3600:.0f} h; stopped sooner (Ctrl-C; --max-time 1h) "
                f"the run keeps its model, and --resume continues it{self._best(steps)}{self._faster}"
            )

    def _best(self, steps: int) -> str:
        """Told, not done unasked: where measuring pays depends on the pace, and what a run leaves must not."""
        return (
            ""
            if self._measured
            else f"; --eval-every {max(1, steps // MEASUREMENTS)} (with --resume too) keeps the best model of the way"
        )
