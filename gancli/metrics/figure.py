"""What `gan evaluate` gives: figures, each beside the same figure of real pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from gancli.events import Comparison


@dataclass(frozen=True)
class Measure:
    """A measured value, and its standard error if there is one."""

    value: float
    error: float | None = None


@dataclass(frozen=True)
class Figure:
    """A metric of a model's images and, as its bound, the same metric of other real images (`real`). `count`: the number of
    images."""

    name: str
    unit: str
    higher_is_better: bool | None  # None: neither; nearest to `real` is best
    count: int
    model: Measure
    real: Measure | None


def mean(values: Sequence[float]) -> Measure:
    """The mean, and its standard error where there are several values."""
    centre = sum(values) / len(values)
    if len(values) < 2:
        return Measure(centre)
    variance = sum((value - centre) ** 2 for value in values) / (len(values) - 1)
    return Measure(centre, (variance / len(values)) ** 0.5)


def comparison(figures: Sequence[Figure], dataset: str, split: str, seed: int | None, beside: str) -> Comparison:
    """What figures were measured with, and what stands beside them."""
    most = max((figure.count for figure in figures), default=0)
    real = {figure.name: figure.real for figure in figures if figure.real is not None}
    return Comparison(
        dataset=dataset,
        split=split,
        num_pictures=most,
        seed=seed,
        beside=beside,
        errors={f.name: f.model.error for f in figures if f.model.error is not None},
        real={name: measure.value for name, measure in real.items()},
        real_errors={name: measure.error for name, measure in real.items() if measure.error is not None},
        counts={f.name: f.count for f in figures if f.count != most},
    )
