"""Images in the rows of one Parquet file or several, as hubs serve image datasets. pyarrow, the extra `parquet`, reads them.
`parquet_columns` chooses the columns.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from gancli.config.paths import open_file
from gancli.data.image_files import MAX_ENTRIES, MAX_FILE_BYTES, MAX_INFLATION, Contents, ImageFiles
from gancli.data.label_files import MAX_CLASSES, MAX_NAME_LENGTH, Label, Labels, check_label
from gancli.data.options import Selection
from gancli.data.parquet_columns import Columns, find_columns
from gancli.data.patterns import shard_folders
from gancli.data.walk import FolderListing
from gancli.errors import DataError
from gancli.events import Emit, Preparing
from gancli.text import printable

BATCH_ROWS = 4  # a damaged file may claim that each is as large as possible
LABEL_ROWS = 1 << 16
READ_BYTES = 1 << 20


class Table(ImageFiles):
    """Images in rows, whose names are their places: `_places` has the file and the row of each."""

    def __init__(self, path: Path, files: Sequence[Path], selection: Selection) -> None:
        super().__init__(path, FolderListing())
        self.column = selection.image_column or ""
        self._selection = selection
        self._files, self._notes = files, list[str]()
        self._columns: list[Columns] = []  # of each file, as are:
        self._num_rows: list[list[int]] = []  # of each row group
        self._places: dict[str, tuple[int, int]] = {}
        self._labels: dict[str, Label] = {}
        self._problem = ""  # of the first row without a label

    def add_file(self, path: Path, folder: str) -> None:
        """List the rows of the next file. Raises what pyarrow does, and `DataError`."""
        where, number, mtime = printable(str(path)), len(self._columns), path.stat().st_mtime_ns
        with open_parquet(path) as file:
            columns = find_columns(where, file.schema_arrow, self._selection)
            groups = _row_groups(path, file, columns.image)
        first = self._columns[0] if self._columns else columns
        if columns.image != first.image:
            own, others = (printable(each.image.removesuffix(".bytes")) for each in (columns, first))
            raise DataError(f"{where}: its images are in the column {own}, those of the others in {others}")
        self._columns.append(columns)
        self._num_rows.append([count for count, _ in groups])
        names = [f"{folder}{number:05d}-{row:09d}" for row in range(sum(self._num_rows[-1]))]
        if len(self._places) + len(names) > MAX_ENTRIES:
            raise DataError(f"{where}: over the limit of {MAX_ENTRIES} rows, with those of the files before")
        self._places |= {name: (number, row) for row, name in enumerate(names)}
        begin = 0
        for count, size in groups:
            mark = max(1, size // max(1, count)), mtime  # the average size: of single images it is unknown
            self.found.marks |= dict.fromkeys(names[begin : begin + count], mark)
            begin += count
        parents = folder.rstrip("/").split("/")
        self.found.folders |= {"/".join(parents[: depth + 1]) for depth in range(len(parents))} - {""}
        if columns.label is not None:
            self._add_labels(path, names, columns.label, columns.class_names or first.class_names)

    def _add_labels(self, path: Path, names: Sequence[str], column: str, class_names: Sequence[str]) -> None:
        """Read the labels of one file: numbers, or the `class_names` that they stand for, or texts."""
        row = 0
        with open_parquet(path, column) as file:
            for batch in file.iter_batches(LABEL_ROWS, columns=[column], use_threads=False):
                cells = batch.column(0).dictionary_encode()
                labels = [_label(cell, class_names) for cell in cells.dictionary]  # each is checked once
                for index in cells.indices:
                    label = labels[index.as_py()] if index.is_valid else ValueError("null")
                    if isinstance(label, ValueError):
                        self._problem = self._problem or f"in row {row} of {printable(path.name)} it is {label}"
                    else:
                        self._labels[names[row]] = label
                    row += 1

    def choose_labels(self, strict: bool) -> None:
        """Use the labels of the files. `strict`: if any image has one, all must have one."""
        self._notes = list(dict.fromkeys(note for columns in self._columns for note in columns.notes))
        column = printable(f"the column {next((columns.label for columns in self._columns if columns.label), '')}")
        if (count := len(set(map(str, self._labels.values())))) > MAX_CLASSES:
            self._notes.append(f"no classes: {column} has {count} different values")
        elif self._labels:
            self.own_labels = Labels(self._labels, f"in {column}", is_required=strict, reason=self._problem)
        elif self._problem:
            self._notes.append(f"no classes: {column}: {self._problem}")

    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        places = sorted((*self._places[name], name) for name in names)
        for number, chosen in groupby(places, key=lambda place: place[0]):
            name_of, begin = {row: name for _, row, name in chosen}, 0
            try:
                with open_parquet(self._files[number]) as file:
                    for group, count in enumerate(self._num_rows[number]):
                        here = {row: name_of[row] for row in range(begin, begin + count) if row in name_of}
                        if here:
                            yield from self._read_group(file, group, begin, here, limit)
                        begin += count
            except Exception as error:  # of pyarrow's many kinds; it could be read a moment ago
                raise _unreadable(self._files[number], error) from None

    def _read_group(self, file: Any, group: int, row: int, names: dict[int, str], limit: int) -> Contents:
        """Yield the named rows of a row group, which begins at a `row` of the file. What follows on damage in it is lost."""
        reason: Exception = ValueError("its row group has fewer rows than the file claims")
        column = self._columns[0].image
        try:
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[column], use_threads=False):
                cells = batch.column(0).field("bytes") if column.endswith(".bytes") else batch.column(0)
                for cell in cells:
                    if (name := names.pop(row, None)) is not None:
                        yield name, self.content(name, partial(_beginning, cell, limit))
                    row += 1
                if not names:
                    return
        except Exception as error:  # of pyarrow's many kinds
            reason = error
        yield from ((name, self.unreadable(name, reason)) for name in names.values())

    def holds(self, name: str) -> bool:
        return name in self._places

    def check_columns(self, selection: Selection) -> None:
        """Has columns, which `find_columns` checks."""

    def where(self, name: str) -> str:
        file, row = self._places[name]
        return printable(f"{self._files[file]}/row {row}")

    def notes(self) -> list[str]:
        return [*self.found.notes(), *self._notes]


def open_table(
    path: Path, files: Sequence[Path], selection: Selection, skip: bool, most: int | None, emit: Emit
) -> Table:
    """Open Parquet files as one dataset, whose name is `path`; given `most`, only as many files as have so many images.
    Raises `DataError` for a damaged file, for one without a single column of images, and if pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        missing = error.name or "pyarrow"
        raise DataError(
            f"--dataset {path}: {missing} is missing, which reads Parquet files: pip install 'gancli[parquet]'"
        ) from error
    table = Table(path, files, selection)
    for file, folder in zip(files, shard_folders(files), strict=True):
        try:
            table.add_file(file, folder)
        except DataError:
            raise
        except Exception as error:  # of pyarrow's many kinds
            raise _unreadable(file, error) from None
        emit(Preparing(f"listing {path.name}", len(table.found.marks), 0, "images"))
        if most is not None and len(table.found.marks) >= most:
            break
    table.choose_labels(strict=not skip)
    return table


@contextlib.contextmanager
def open_parquet(path: Path, dictionary: str | None = None) -> Iterator[Any]:
    """Open a `pyarrow.parquet.ParquetFile`, with each text of the column `dictionary` in memory once. Raises what pyarrow
    does, and `OSError`."""
    from pyarrow import parquet

    with open_file(path) as file:
        yield parquet.ParquetFile(
            file,
            read_dictionary=None if dictionary is None else [dictionary],
            buffer_size=READ_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    why = printable(" ".join(str(error).split()))[:200] or type(error).__name__
    return DataError(f"{printable(str(path))}: cannot be read as a Parquet file ({why})")


def _row_groups(path: Path, file: Any, column: str) -> list[tuple[int, int]]:
    """Return the number of rows of each row group, and the bytes of its images. Raises `DataError` for a file that claims
    more than one of its size can contain."""
    facts, length = file.metadata, path.stat().st_size
    index = [file.schema.column(i).path for i in range(facts.num_columns)].index(column)
    groups = [facts.row_group(i) for i in range(facts.num_row_groups)]
    found = [(group.num_rows, int(group.column(index).total_uncompressed_size)) for group in groups]
    num_rows, num_bytes = sum(count for count, _ in found), sum(size for _, size in found)
    if min((min(one) for one in found), default=0) < 0 or num_rows > length or num_bytes > MAX_INFLATION * length:
        claim = f"claims {num_rows} rows of {num_bytes} bytes"
        raise DataError(f"{printable(str(path))}: {claim}, more than a file of its size can contain")
    return found


def _beginning(cell: Any, limit: int) -> bytes:
    """Return the first bytes of a cell. Raises `ValueError` for a null, or too many bytes."""
    if not cell.is_valid:
        raise ValueError("the row has no bytes of an image")
    data = getattr(cell, "value", cell).as_buffer()  # of a dictionary: the value at its index
    if data.size > MAX_FILE_BYTES:
        raise ValueError(f"over the limit of {MAX_FILE_BYTES} bytes")
    first: bytes = data.slice(0, min(limit, data.size)).to_pybytes()
    return first


def _label(cell: Any, class_names: Sequence[str]) -> Label | ValueError:
    if hasattr(cell, "as_buffer") and cell.as_buffer().size > 4 * MAX_NAME_LENGTH:  # bytes, of UTF-8
        return ValueError(f"a text of {cell.as_buffer().size} bytes")
    value = cell.as_py()
    if class_names and isinstance(value, int):
        in_range = 0 <= value < len(class_names)
        return class_names[value] if in_range else ValueError(f"{value}, of {len(class_names)} classes")
    try:
        return check_label(int(value) if isinstance(value, bool) else value)
    except ValueError as error:
        return error
