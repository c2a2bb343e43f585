"""The losses of an interval: collected on the device and read back once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DIVERGED_LOSS = 1e9  # absolute value: images are in [-1, 1], and few losses are sums over pixels


@dataclass(frozen=True)
class DivergedLoss:
    """A term that diverged, `steps_ago` steps before the newest."""

    term: str
    value: float
    steps_ago: int


def has_diverged(value: float) -> bool:
    """Whether a loss is NaN or beyond ±1e9."""
    return not abs(value) <= DIVERGED_LOSS  # which NaN is not


class LossAccumulator:
    """Collects the terms of every step of an interval, which ends with `pop_means`. All steps of an interval report the same
    terms."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._rows: list[Tensor] = []  # float [steps, terms] each, on the device
        self._num_averaged = 0  # of these tensors, the first ones: averaged over all processes already

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Add one step's terms: scalars on the device, which are not read back."""
        self.add_rows(tuple(terms), torch.stack(list(terms.values()))[None])

    def add_rows(self, names: tuple[str, ...], rows: Tensor) -> None:
        """Add the terms of several steps: float `[steps, terms]` on the device."""
        self._names = names
        self._rows.append(rows)

    def average(self, average: Callable[[Sequence[Tensor]], None]) -> None:
        """Replace, by means of `average`, this process's losses by the means over all processes. Each loss is averaged once:
        in floating point, the mean of three equal numbers may be another number."""
        if fresh := self._rows[self._num_averaged :]:
            table = torch.cat(fresh)
            average([table])
            self._rows = [*self._rows[: self._num_averaged], table]
            self._num_averaged = len(self._rows)

    def first_diverged(self) -> DivergedLoss | None:
        """Return the earliest term of the interval that is NaN or beyond ±1e9; of several in one step, the first
        reported."""
        rows = self._table().tolist()
        for index, row in enumerate(rows):
            for name, value in zip(self._names, row, strict=True):
                if has_diverged(value):
                    return DivergedLoss(name, value, len(rows) - 1 - index)
        return None

    def pop_means(self) -> dict[str, float]:
        """Return the means of the interval, computed in fp64, and start a new interval."""
        means = self.means()
        self._rows.clear()
        self._num_averaged = 0
        return means

    def means(self) -> dict[str, float]:
        """Return the means of the interval so far, computed in fp64."""
        return dict(zip(self._names, self._table().mean(0).tolist(), strict=True))

    def __len__(self) -> int:
        """Return the number of steps in the interval so far."""
        return sum(len(rows) for rows in self._rows)

    def _table(self) -> Tensor:
        return torch.cat(self._rows).double() if self._rows else torch.zeros(0, len(self._names))

    def tensors(self) -> dict[str, Tensor]:
        """Return the state that a resume needs to get the same means: one column per term, named `ORDER.TERM`."""
        if not self._rows:
            return {}
        columns = torch.cat(self._rows).unbind(1)
        return {
            f"{order}.{name}": column for order, (name, column) in enumerate(zip(self._names, columns, strict=True))
        }

    def restore(self, columns: Mapping[str, Tensor], device: torch.device) -> None:
        """Restore the state that `tensors` returned."""
        ordered = sorted(columns.items(), key=lambda item: int(item[0].partition(".")[0]))
        self._names = tuple(name.partition(".")[2] for name, _ in ordered)
        self._rows = [torch.stack([column for _, column in ordered], 1).to(device)] if ordered else []
        self._num_averaged = len(self._rows)
