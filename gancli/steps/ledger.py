"""The losses of an interval, kept on the device and read once."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NotFinite:
    """A term that became NaN or infinite, `steps_ago` steps before the newest."""

    term: str
    value: float
    steps_ago: int


class Ledger:
    """Collects every step's terms since the last reading. All steps between two readings report the same terms."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._rows: list[Tensor] = []
        self._num_averaged = 0  # of the rows' tensors: the first ones

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Note one step's terms: scalars on the device; nothing is read back."""
        self.add_rows(tuple(terms), torch.stack(list(terms.values()))[None])

    def add_rows(self, names: tuple[str, ...], rows: Tensor) -> None:
        """Note several steps' terms: float `[steps, terms]` on the device."""
        self._names = names
        self._rows.append(rows)

    def average(self, average: Callable[[Sequence[Tensor]], None]) -> None:
        """Let `average` replace the losses of this process by the mean over all; those that are it already stay, for the
        mean of three equal numbers may be another one."""
        if fresh := self._rows[self._num_averaged :]:
            table = torch.cat(fresh)
            average([table])
            self._rows = [*self._rows[: self._num_averaged], table]
            self._num_averaged = len(self._rows)

    def first_not_finite(self) -> NotFinite | None:
        """The earliest term since the last reading that is not finite, the first reported if several are."""
        rows = self._table().tolist()
        for index, row in enumerate(rows):
            for name, value in zip(self._names, row, strict=True):
                if not math.isfinite(value):
                    return NotFinite(name, value, len(rows) - 1 - index)
        return None

    def read(self) -> dict[str, float]:
        """The means since the last reading, in fp64; then start anew."""
        means = self.means()
        self._rows.clear()
        self._num_averaged = 0
        return means

    def means(self) -> dict[str, float]:
        """The means since the last reading, in fp64; nothing changes."""
        return dict(zip(self._names, self._table().mean(0).tolist(), strict=True))

    def __len__(self) -> int:
        """Steps since the last reading."""
        return sum(len(rows) for rows in self._rows)

    def _table(self) -> Tensor:
        return torch.cat(self._rows).double() if self._rows else torch.zeros(0, len(self._names))

    def tensors(self) -> dict[str, Tensor]:
        """What a resume needs so that the interval's means come out the same: one column per term, in order."""
        if not self._rows:
            return {}
        columns = torch.cat(self._rows).unbind(1)
        return {
            f"{order}.{name}": column for order, (name, column) in enumerate(zip(self._names, columns, strict=True))
        }

    def restore(self, columns: Mapping[str, Tensor], device: torch.device) -> None:
        """Take up what `tensors` gave."""
        ordered = sorted(columns.items(), key=lambda item: int(item[0].partition(".")[0]))
        self._names = tuple(name.partition(".")[2] for name, _ in ordered)
        self._rows = [torch.stack([column for _, column in ordered], 1).to(device)] if ordered else []
        self._num_averaged = len(self._rows)
