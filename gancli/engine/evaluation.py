"""What is measured while a run trains, and which model was best."""

from collections.abc import Sequence
from typing import Protocol

from torch import nn

from gancli.metrics.metric import Figure
from gancli.store.evaluations import higher_is_better


class Measuring(Protocol):
    """A way to measure a generator. `split`: of the training pictures, what it is compared with; `seed`: of the first
    picture drawn, if any are; `beside`: what the figures' real score is of."""

    @property
    def split(self) -> str: ...

    @property
    def seed(self) -> int | None: ...

    @property
    def beside(self) -> str: ...

    def __call__(self, generator: nn.Module) -> list[Figure]: ...


class Evaluation:
    """What is measured `every` so many steps, and the best value of `metric` so far."""

    def __init__(self, measure: Measuring, metric: str, every: int, best: float | None) -> None:
        self.measure, self.metric, self.every, self._best = measure, metric, every, best

    def note(self, figures: Sequence[Figure]) -> bool:
        """Whether these figures are the best so far."""
        (value,) = (figure.model.value for figure in figures if figure.name == self.metric)
        better = self._best is None or (value > self._best if higher_is_better(self.metric) else value < self._best)
        if better:
            self._best = value
        return better
