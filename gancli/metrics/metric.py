"""The values that `gan evaluate` computes, each beside the value of a reference."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.events import Comparison
from gancli.store.evaluations import KINDS, full_name


@dataclass(frozen=True)
class MetricValue:
    """The value of a metric, and its standard error if there is one."""

    value: float
    error: float | None = None


@dataclass(frozen=True)
class Metric:
    """A metric of a model's images and, as its bound, the same metric of other real images (`real`). `count`: the number of
    images."""

    name: str
    unit: str
    higher_is_better: bool | None  # None: neither; nearest to `real` is best
    count: int
    model: MetricValue
    real: MetricValue | None


def make_metric(name: str, measure: MetricValue, count: int, real: MetricValue | None = None) -> Metric:
    """Return a metric of `count` images. `name`: a key into `KINDS`, which may be followed by " at …"."""
    kind = KINDS[full_name(name)]
    return Metric(name, kind.unit, kind.higher_is_better, count, measure, real)


def mean(values: Sequence[float] | Tensor) -> MetricValue:
    """Return the mean in float64 and, for two or more values, its standard error."""
    values = torch.as_tensor(values, dtype=torch.float64)
    error = values.std().item() / len(values) ** 0.5 if len(values) > 1 else None
    return MetricValue(values.mean().item(), error)


def comparison(figures: Sequence[Metric], dataset: str, split: str, seed: int | None, beside: str) -> Comparison:
    """Return the record of how metrics were computed, with their standard errors and the values of the reference, which
    `beside` names."""
    most = max((figure.count for figure in figures), default=0)
    real = {figure.name: figure.real for figure in figures if figure.real is not None}
    return Comparison(
        dataset=dataset,
        split=split,
        num_images=most,
        seed=seed,
        beside=beside,
        errors={f.name: f.model.error for f in figures if f.model.error is not None},
        real={name: measure.value for name, measure in real.items()},
        real_errors={name: measure.error for name, measure in real.items() if measure.error is not None},
        counts={f.name: f.count for f in figures if f.count != most},
    )
