"""Parquet files of pictures, one or many, as hubs serve image data sets. pyarrow, the extra `parquet`, reads them."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.data import patterns
from gancli.data.beside import LONGEST, MAX_CLASSES, checked
from gancli.data.columns import Columns, columns_of
from gancli.data.container import MAX_ENTRIES, MAX_INFLATION, Container, labelled
from gancli.data.formats import begins_as_picture
from gancli.data.manifest import Manifest
from gancli.data.pace import Pace
from gancli.data.rows import Rows, beginning, opened
from gancli.data.walk import Found
from gancli.errors import DataError, printable
from gancli.events import Event, Preparing

FIRST_ROWS, LABEL_ROWS, HEAD_BYTES = 4, 1 << 16, 1 << 16


@dataclass
class Listed:
    """What the files hold. `places`: of each picture, by name, its file and row."""

    found: Found = field(default_factory=Found)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    num_rows: list[list[int]] = field(default_factory=list)  # of each row group of each file
    labels: dict[str, int | str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    columns: list[Columns] = field(default_factory=list)

    def told(self) -> list[str]:
        """What to tell of the columns, once."""
        return list(dict.fromkeys(note for columns in self.columns for note in columns.notes))


class Table(Container):
    """Pictures in rows. `strict`: whether each must have a label where one has."""

    exact = False

    def __init__(self, path: Path, files: Sequence[Path], listed: Listed, strict: bool) -> None:
        super().__init__(path, listed.found)
        self._files, self._listed, self._strict, self._told = files, listed, strict, listed.told()
        self._rows = Rows(files, listed.num_rows, listed.columns[0].image, listed.columns[0].nested)
        if listed.reasons and not listed.labels:
            self._told.append(f"no classes: column {self._label}: {next(iter(listed.reasons.values()))}")
        distinct = len(set(map(str, listed.labels.values())))
        if distinct > MAX_CLASSES:
            self._told.append(f"no classes: the column {self._label} has {distinct} different values")
            listed.labels.clear()

    @property
    def _label(self) -> str:
        return printable(next((columns.label for columns in self._listed.columns if columns.label), ""))

    def notes(self) -> list[str]:
        return [*self.found.notes(), *self._told]

    def where(self, name: str) -> str:
        file, row = self._listed.places[name]
        return printable(f"{self._files[file]}/row {row}")

    def holds(self, name: str) -> bool:
        return name in self._listed.places

    def labels(self, prefix: str) -> Manifest | None:
        reasons = self._listed.reasons if self._strict else None
        return labelled(self._listed.labels, self.found, prefix, f"in the column {self._label}", reasons)

    def read(self, name: str, num_bytes: int) -> bytes:
        cell = self._rows.cell(*self._listed.places[name], num_bytes)
        if cell is None:
            raise ValueError("the row has no bytes of a picture")
        return cell

    def close(self) -> None:
        self._rows.close()


def open_table(path: Path, files: Sequence[Path], skip: bool) -> Generator[Event, None, Table]:
    """List Parquet files that are one data set, told as `path`. Raises `DataError` for a damaged one, for one without one
    column of pictures, and where pyarrow is missing."""
    check_installed(path)
    listed, pace = Listed(), Pace()
    for number, (file, group) in enumerate(zip(files, patterns.groups(files), strict=True)):
        try:
            for _ in _list_one(file, number, group, listed):
                if pace.due():
                    yield Preparing(f"listing {path.name}", len(listed.places), 0, "images")
        except DataError:
            raise
        except Exception as error:  # of pyarrow's many kinds
            why = printable(" ".join(str(error).split()))[:200] or type(error).__name__
            raise DataError(f"{printable(str(file))}: cannot be read as a Parquet file ({why})") from None
    return Table(path, files, listed, strict=not skip)


def check_installed(path: Path) -> None:
    """Raises `DataError` that names the extra where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"--dataset {path}: {error.name or 'pyarrow'} is missing, which reads Parquet files: "
            "pip install 'gancli[parquet]'"
        ) from error


def _list_one(path: Path, number: int, group: str, listed: Listed) -> Iterator[None]:
    """Note in `listed` what is in one file. Yields now and then. Raises what pyarrow does, and `DataError`."""
    file = opened(path)
    try:
        facts, columns = (
            file.metadata,
            columns_of(printable(str(path)), file.schema_arrow, lambda name: _is_picture(file, name)),
        )
        first = listed.columns[0] if listed.columns else columns
        if (columns.image, columns.nested) != (first.image, first.nested):
            raise DataError(
                f"{printable(str(path))}: its pictures are in the column {printable(columns.image)}, those of the others in "
                f"{printable(first.image)}"
            )
        listed.columns.append(columns)
        counts = [facts.row_group(index).num_rows for index in range(facts.num_row_groups)]
        _check(path, counts, sizes := _sizes(file, columns), len(listed.places))
        listed.num_rows.append(counts)
        mtime, row = path.stat().st_mtime_ns, 0
        for count, size in zip(counts, sizes, strict=True):
            for _ in range(count):
                name = f"{group}{number:05d}-{row:09d}"
                listed.places[name] = number, row
                listed.found.marks[name] = max(1, size // count), mtime  # on average: more is not known
                row += 1
            yield
    finally:
        file.close(force=True)
    parents = group.rstrip("/").split("/")
    listed.found.folders |= {"/".join(parents[: depth + 1]) for depth in range(len(parents))} - {""}
    yield from _labels(path, number, group, columns.class_names or first.class_names, columns, listed)


def _sizes(file: Any, columns: Columns) -> list[int]:
    """The bytes that the pictures of each row group are said to take, unpacked."""
    facts, own = file.metadata, f"{columns.image}.bytes" if columns.nested else columns.image
    index = next(index for index in range(facts.num_columns) if file.schema.column(index).path == own)
    groups = (facts.row_group(number) for number in range(facts.num_row_groups))
    return [int(group.column(index).total_uncompressed_size) for group in groups]


def _check(path: Path, counts: Sequence[int], sizes: Sequence[int], before: int) -> None:
    """Raises `DataError` for a file that claims more than one of its size can hold, or than is read."""
    where, length = printable(str(path)), path.stat().st_size
    if min([*counts, *sizes], default=0) < 0 or sum(counts) > length or sum(sizes) > MAX_INFLATION * length:
        raise DataError(
            f"{where}: claims {sum(counts)} rows of {sum(sizes)} bytes, more than a file of its size can hold"
        )
    if before + sum(counts) > MAX_ENTRIES:
        raise DataError(f"{where}: {before + sum(counts)} rows are over the limit of {MAX_ENTRIES}")


def _is_picture(file: Any, name: str) -> bool:
    """Whether the first value of a binary column begins as a picture does."""
    for record in file.iter_batches(FIRST_ROWS, row_groups=range(file.metadata.num_row_groups)[:1], columns=[name]):
        for cell in record.column(0):
            if cell.is_valid:
                return begins_as_picture(beginning(cell, HEAD_BYTES))
    return False


def _labels(
    path: Path, number: int, group: str, names: Sequence[str], columns: Columns, listed: Listed
) -> Iterator[None]:
    """Note the labels of one file: numbers, or the `names` that they stand for, or texts."""
    if columns.label is None:
        return
    file, row = opened(path, columns.label), 0
    try:
        for record in file.iter_batches(LABEL_ROWS, columns=[columns.label], use_threads=False):
            for value in _values(record.column(0), names):
                name = f"{group}{number:05d}-{row:09d}"
                if isinstance(value, _OddLabel):
                    listed.reasons[name] = f"in row {row} of {printable(path.name)} it is {value.words}"
                elif name in listed.places:
                    listed.labels[name] = value
                row += 1
            yield
    finally:
        file.close(force=True)


@dataclass(frozen=True)
class _OddLabel:
    """What is no label, in words."""

    words: str


def _values(column: Any, names: Sequence[str]) -> Iterator[int | str | _OddLabel]:
    """The labels in a column of numbers, or of texts as a dictionary, of which each is looked at once."""
    if hasattr(column, "dictionary"):
        known = [_value(cell, names) for cell in column.dictionary]
        for cell in column.indices:
            yield known[cell.as_py()] if cell.is_valid else _OddLabel("null")
    else:
        yield from (_value(cell, names) for cell in column)


def _value(cell: Any, names: Sequence[str]) -> int | str | _OddLabel:
    if not cell.is_valid:
        return _OddLabel("null")
    if hasattr(cell, "as_buffer") and cell.as_buffer().size > 4 * LONGEST:  # bytes, of UTF-8
        return _OddLabel(f"a text of {cell.as_buffer().size} bytes")
    value = cell.as_py()
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else _OddLabel(f"{value}, of {len(names)} classes")
    try:
        return checked(int(value) if isinstance(value, bool) else value, "")
    except ValueError as error:
        return _OddLabel(str(error))


def beginnings(path: Path, num_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Name and first bytes of the first pictures of one file; none where they cannot be read, which opening it tells."""
    file = opened(path)
    try:
        columns = columns_of(printable(str(path)), file.schema_arrow, lambda name: _is_picture(file, name))
        own = f"{columns.image}.bytes" if columns.nested else columns.image
        for record in file.iter_batches(FIRST_ROWS, columns=[own], use_threads=False):
            for cell in record.column(0).field("bytes") if columns.nested else record.column(0):
                if cell.is_valid:
                    yield "row", beginning(cell, num_bytes)
    finally:
        file.close(force=True)
