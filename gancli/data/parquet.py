"""Parquet files of pictures, one or many, as hubs serve image data sets. pyarrow, the extra `parquet`, reads them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from gancli.config.paths import open_file
from gancli.data import patterns, selection
from gancli.data.formats import begins_as_picture
from gancli.data.manifest import Manifest
from gancli.data.pace import Pace
from gancli.data.parquet_columns import Columns, columns_of
from gancli.data.pictures import MAX_ENTRIES, MAX_FILE_BYTES, MAX_INFLATION, Contents, Pictures, labelled
from gancli.data.sidecar_labels import LONGEST, MAX_CLASSES, checked
from gancli.data.walk import Found
from gancli.errors import DataError
from gancli.events import Emit, Preparing
from gancli.text import printable

FIRST_ROWS, LABEL_ROWS, HEAD_BYTES = 4, 1 << 16, 1 << 16
BATCH_ROWS = 4  # a damaged file may claim that each is the largest there can be
READ_BYTES = 1 << 20


@dataclass
class Listed:
    """What the files hold. `places`: of each picture, by name, its file and row."""

    found: Found = field(default_factory=Found)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    num_rows: list[list[int]] = field(default_factory=list)  # of each row group of each file
    labels: dict[str, int | str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    columns: list[Columns] = field(default_factory=list)


class Table(Pictures):
    """Pictures in rows. `strict`: whether each must have a label where one has."""

    def __init__(self, path: Path, files: Sequence[Path], listed: Listed, strict: bool) -> None:
        super().__init__(path, listed.found)
        self._files, self._listed, self._strict = files, listed, strict
        self.column = selection.columns()[0] or ""
        self._told = list(dict.fromkeys(note for columns in listed.columns for note in columns.notes))
        if listed.reasons and not listed.labels:
            self._told.append(f"no classes: column {self._label}: {next(iter(listed.reasons.values()))}")
        distinct = len(set(map(str, listed.labels.values())))
        if distinct > MAX_CLASSES:
            self._told.append(f"no classes: the column {self._label} has {distinct} different values")
            listed.labels.clear()

    @property
    def _label(self) -> str:
        return printable(next((columns.label for columns in self._listed.columns if columns.label), ""))

    def read(self, names: Iterable[str], limit: int = MAX_FILE_BYTES) -> Contents:
        places = sorted((*self._listed.places[name], name) for name in names)
        for number, wanted in groupby(places, key=lambda place: place[0]):
            name_of = {row: name for _, row, name in wanted}
            try:
                file = opened(self._files[number])
            except Exception as error:  # of pyarrow's many kinds; it could be read a moment ago
                raise _unsound(self._files[number], error) from None
            try:
                begin = 0
                for group, count in enumerate(self._listed.num_rows[number]):
                    here = {row: name_of[row] for row in range(begin, begin + count) if row in name_of}
                    if here:
                        yield from self._rows(file, group, begin, here, limit)
                    begin += count
            finally:
                file.close(force=True)

    def _rows(self, file: Any, group: int, row: int, names: dict[int, str], limit: int) -> Contents:
        """The named rows of a row group, which begins at a `row` of the file. What follows on damage in it is lost."""
        columns = self._listed.columns[0]
        try:
            for record in _records(file, columns, BATCH_ROWS, [group]):
                for cell in record:
                    if (name := names.pop(row, None)) is not None:
                        yield name, self.content(name, partial(_beginning, cell, limit))
                    row += 1
                if not names:
                    return
            lost: Exception = ValueError("its row group has fewer rows than the file says")
        except Exception as error:  # of pyarrow's many kinds
            lost = error
        yield from ((name, self.unreadable(name, lost)) for name in names.values())

    def holds(self, name: str) -> bool:
        return name in self._listed.places

    def where(self, name: str) -> str:
        file, row = self._listed.places[name]
        return printable(f"{self._files[file]}/row {row}")

    def notes(self) -> list[str]:
        return [*self.found.notes(), *self._told]

    def labels(self, prefix: str) -> Manifest | None:
        reasons = self._listed.reasons if self._strict else None
        return labelled(self._listed.labels, self.found, prefix, f"in the column {self._label}", reasons)


def open_table(path: Path, files: Sequence[Path], skip: bool, most: int | None, emit: Emit) -> Table:
    """List Parquet files that are one data set, told as `path`; given `most`, no more files than have so many pictures.
    Raises `DataError` for a damaged one, for one without one column of pictures, and where pyarrow is missing."""
    check_installed(path)
    listed, pace = Listed(), Pace()
    for number, (file, group) in enumerate(zip(files, patterns.groups(files), strict=True)):
        for _ in _list_sound(file, number, group, listed):
            if pace.due():
                emit(Preparing(f"listing {path.name}", len(listed.places), 0, "images"))
        if most is not None and len(listed.places) >= most:
            break
    return Table(path, files, listed, strict=not skip)


def _unsound(path: Path, error: Exception) -> DataError:
    why = printable(" ".join(str(error).split()))[:200] or type(error).__name__
    return DataError(f"{printable(str(path))}: cannot be read as a Parquet file ({why})")


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


def _records(file: Any, columns: Columns, num_rows: int, groups: Sequence[int]) -> Iterator[Any]:
    """The cells of the column of pictures, so many rows at a time."""
    own = f"{columns.image}.bytes" if columns.nested else columns.image
    for record in file.iter_batches(num_rows, row_groups=groups, columns=[own], use_threads=False):
        yield record.column(0).field("bytes") if columns.nested else record.column(0)


def _beginning(cell: Any, limit: int) -> bytes:
    """The first bytes of a cell. Raises `ValueError` for one of null, or too large."""
    if not cell.is_valid:
        raise ValueError("the row has no bytes of a picture")
    data = getattr(cell, "value", cell).as_buffer()  # of a dictionary: what it stands for
    if data.size > MAX_FILE_BYTES:
        raise ValueError(f"over the limit of {MAX_FILE_BYTES} bytes")
    first: bytes = data.slice(0, min(limit, data.size)).to_pybytes()
    return first


def check_installed(path: Path) -> None:
    """Raises `DataError` that names the extra where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"--dataset {path}: {error.name or 'pyarrow'} is missing, which reads Parquet files: "
            "pip install 'gancli[parquet]'"
        ) from error


def _list_sound(path: Path, number: int, group: str, listed: Listed) -> Iterator[None]:
    """As `_list_one`. Raises `DataError` for a damaged file."""
    try:
        yield from _list_one(path, number, group, listed)
    except DataError:
        raise
    except Exception as error:  # of pyarrow's many kinds
        raise _unsound(path, error) from None


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
    for record in _records(file, Columns(name, False, None), FIRST_ROWS, range(file.metadata.num_row_groups)[:1]):
        for cell in record:
            if cell.is_valid:
                return begins_as_picture(_beginning(cell, HEAD_BYTES))
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
                if isinstance(value, ValueError):
                    listed.reasons[name] = f"in row {row} of {printable(path.name)} it is {value}"
                elif name in listed.places:
                    listed.labels[name] = value
                row += 1
            yield
    finally:
        file.close(force=True)


def _values(column: Any, names: Sequence[str]) -> Iterator[int | str | ValueError]:
    """The labels in a column of numbers, or of texts as a dictionary, of which each is looked at once; or why it is none."""
    if hasattr(column, "dictionary"):
        known = [_value(cell, names) for cell in column.dictionary]
        for cell in column.indices:
            yield known[cell.as_py()] if cell.is_valid else ValueError("null")
    else:
        yield from (_value(cell, names) for cell in column)


def _value(cell: Any, names: Sequence[str]) -> int | str | ValueError:
    if not cell.is_valid:
        return ValueError("null")
    if hasattr(cell, "as_buffer") and cell.as_buffer().size > 4 * LONGEST:  # bytes, of UTF-8
        return ValueError(f"a text of {cell.as_buffer().size} bytes")
    value = cell.as_py()
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ValueError(f"{value}, of {len(names)} classes")
    try:
        return checked(int(value) if isinstance(value, bool) else value, "")
    except ValueError as error:
        return error
