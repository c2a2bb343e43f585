"""The cells of a column of Parquet files, a few rows at a time: row after row, as a data set is read, each but once."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.config.paths import open_file
from gancli.data.container import MAX_FILE_BYTES
from gancli.process import CPUS

BATCH_ROWS = 4  # a damaged file may claim that each is the largest there can be
KEPT_BATCHES = (len(CPUS) + 1) * 64 // BATCH_ROWS  # threads are at work on up to 64 rows each
MAX_KEPT_BYTES = 1 << 28
OPEN_FILES, OPEN_GROUPS = 4, 4
READ_BYTES = 1 << 20
Group = tuple[int, int]  # which file, and which of its row groups


def opened(path: Path, dictionary: str | None = None) -> Any:
    """A `pyarrow.parquet.ParquetFile`; the texts of the column `dictionary` are kept once each. Raises what pyarrow does,
    and `OSError`."""
    from pyarrow import parquet

    file = open_file(path)
    try:
        return parquet.ParquetFile(
            file,
            read_dictionary=None if dictionary is None else [dictionary],
            buffer_size=READ_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
        )
    except BaseException:
        file.close()
        raise


def beginning(cell: Any, num_bytes: int) -> bytes:
    """The first bytes of a cell that is none of null. Raises `ValueError` for one too large."""
    data = getattr(cell, "value", cell).as_buffer()  # of a dictionary: what it stands for
    if data.size > MAX_FILE_BYTES:
        raise ValueError(f"over the limit of {MAX_FILE_BYTES} bytes")
    first: bytes = data.slice(0, min(num_bytes, data.size)).to_pybytes()
    return first


@dataclass(frozen=True)
class Batch:
    """Rows of a row group from `first` on, as an arrow array, and the bytes that it takes."""

    first: int
    cells: Any
    num_bytes: int


class Rows:
    """`column`: of bytes, or of structs with a field `bytes` if `nested`. `num_rows`: of each row group of each file."""

    def __init__(self, files: Sequence[Path], num_rows: Sequence[Sequence[int]], column: str, nested: bool) -> None:
        self._files, self._num_rows, self._nested = files, num_rows, nested
        self._column = f"{column}.bytes" if nested else column
        self._lock = threading.Lock()
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._going: OrderedDict[Group, tuple[int, Iterator[Any]]] = OrderedDict()
        self._kept: OrderedDict[tuple[Group, int], Batch] = OrderedDict()
        self._broken: dict[Group, tuple[int, str]] = {}  # from which row on, and why

    def cell(self, file: int, row: int, num_bytes: int) -> bytes | None:
        """The first bytes of what stands in a row of a file; None for a null. Safe to call from several threads. Raises
        `ValueError`, also for more than `MAX_FILE_BYTES`, and what pyarrow does."""
        number, counts = 0, self._num_rows[file]
        while row >= counts[number]:
            row, number = row - counts[number], number + 1
        with self._lock:
            batch = self._batch((file, number), row)
            cell = batch.cells[row - batch.first]
            return beginning(cell, num_bytes) if cell.is_valid else None

    def _batch(self, group: Group, row: int) -> Batch:
        for (own, first), batch in reversed(self._kept.items()):
            if own == group and first <= row < first + len(batch.cells):
                return batch
        first_bad, why = self._broken.get(group, (row + 1, ""))
        if row >= first_bad:
            raise ValueError(why)
        try:
            return self._read(group, row)
        except Exception as error:  # of pyarrow's many kinds: what follows on it in the row group is lost, too
            self._broken[group] = (self._going.pop(group, (row, None))[0], str(error))
            raise

    def _read(self, group: Group, row: int) -> Batch:
        """Go on to the batch with a row, or to it from the row group's beginning."""
        first, batches = self._going.pop(group, (row + 1, iter(())))
        if first > row:
            first, batches = 0, self._start(group)
        self._going[group] = first, batches
        while len(self._going) > OPEN_GROUPS:
            self._going.popitem(last=False)
        for record in batches:
            cells = record.column(0).field("bytes") if self._nested else record.column(0)
            batch = Batch(first, cells, record.get_total_buffer_size())
            self._keep(group, batch)
            first += len(cells)
            self._going[group] = first, batches
            if row < first:
                return batch
        raise ValueError("its row group has fewer rows than the file says")

    def _keep(self, group: Group, batch: Batch) -> None:
        self._kept[group, batch.first] = batch
        num_bytes = sum(each.num_bytes for each in self._kept.values())
        while len(self._kept) > KEPT_BATCHES or (num_bytes > MAX_KEPT_BYTES and len(self._kept) > 1):
            num_bytes -= self._kept.popitem(last=False)[1].num_bytes

    def _start(self, group: Group) -> Iterator[Any]:
        number, row_group = group
        if number not in self._open:
            self._open[number] = opened(self._files[number])
        self._open.move_to_end(number)
        while len(self._open) > OPEN_FILES:
            gone, file = self._open.popitem(last=False)
            for other in [other for other in self._going if other[0] == gone]:
                del self._going[other]
            file.close(force=True)
        batches: Iterator[Any] = self._open[number].iter_batches(
            BATCH_ROWS, row_groups=[row_group], columns=[self._column], use_threads=False
        )
        return batches

    def close(self) -> None:
        """Close all files."""
        self._kept.clear()
        self._going.clear()
        while self._open:
            self._open.popitem()[1].close(force=True)
