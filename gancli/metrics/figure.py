"""What `gan evaluate` gives: figures, each beside the same figure of real pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measured value. `error`: its standard error, where there is one."""

    value: float
    error: float | None = None


@dataclass(frozen=True)
class Figure:
    """A measured value of a model's pictures and, as its floor (or ceiling), the same of real ones that it is not compared
    with. `count`: pictures that went in."""

    name: str
    unit: str
    higher_is_better: bool | None  # None: neither; nearest to the floor is best
    count: int
    model: Measure
    real: Measure | None
