"""JSON Lines: for programs that follow a run, and in `metrics.jsonl` of a run directory."""

import contextlib
import dataclasses
import errno
import json
import math
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TextIO

from gancli.config.paths import open_file
from gancli.errors import DivergedError, GancliError, StdoutError, os_problem
from gancli.events import Comparison, Evaluated, Event, LossRow, Preparing, Progress, RunStarted
from gancli.files import atomic
from gancli.report.heartbeat import Heartbeat
from gancli.report.reporter import Reporter, abandon
from gancli.report.stamp import utc
from gancli.text import printable

MAX_READ_BYTES = 32 * 2**20
MAX_READ_ROWS = 200_000
MAX_LINE_BYTES = 2**16
NO_LOSSES = (b'"figures"', b'"diverged"')
SURROGATE = re.compile("[\ud800-\udfff]")  # no character, and so no JSON; in names that could not be decoded


class JsonLines(Heartbeat):
    """One JSON object per event on `stream`, flushed at once: `"event"` is the class in snake case, `"time"` when it was
    told (ISO 8601, UTC), then its fields. Of a `warned` one `"kind"` says whether it is a `note` of what is normal or a
    `warning` of what is not.

    Pixels are left out; NaN and infinity, which JSON has no word for, are null. Where the stream takes no more (its reader
    has gone, the disk is full), `warn` is told so once, and the run goes on without.
    """

    def __init__(
        self,
        stream: TextIO,
        warn: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(now)
        self._stream, self._warn = stream, warn
        self._broken = False

    def _print(self, event: Event) -> bool:
        if self._broken:
            return True
        fields = {f.name: getattr(event, f.name) for f in dataclasses.fields(event) if f.name != "rgb"}
        try:
            self._stream.write(dump({"event": _snake(type(event).__name__), "time": utc(), **fields}) + "\n")
            self._stream.flush()
        except (OSError, ValueError, StdoutError) as error:
            self._broken = True
            abandon(self._stream)
            self._warn(f"warning: --progress json: {error}; the run goes on, and keeps its rows in metrics.jsonl")
        return True

    def _print_activity(self, event: Preparing | Progress, seconds: float) -> None:
        self._print(event if isinstance(event, Preparing) else event.after(seconds))


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def dump(value: object, indent: int | None = None) -> str:
    """`value` as JSON that every program reads: NaN and infinity are null, bytes of file names that are no text are escaped
    as `\\xff`, and all of it is ASCII, whatever the stream it goes to."""
    return json.dumps(_plain(value), allow_nan=False, indent=indent)


def _plain(value: object) -> object:
    """`value` as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if value.isascii() else SURROGATE.sub(lambda found: printable(found[0]), value)
    if isinstance(value, Mapping):
        return {str(_plain(str(key))): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


class MetricsFile(Reporter):
    """Keeps `metrics.jsonl`: one flat row per `LossRow`, one with `figures` per `Evaluated`, appended at once, and where the
    run diverges one that says so. `"time"` says when (ISO 8601, UTC). docs/metrics.md has the schema.

    A resumed run goes on after its `start_step`: later rows, which a killed run wrote after its last state, are dropped
    first, as is a torn last line; what `gan evaluate` measured stays, for it is of a model that there was. Nothing is
    touched before `RunStarted`. Raises `GancliError` naming the file for what the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None

    def __call__(self, event: Event) -> None:
        try:
            if isinstance(event, RunStarted):
                self._close()
                _keep_rows(self._path, event.start_step)
                self._file = self._path.open("a+b", buffering=0)
            elif isinstance(event, LossRow):
                self._add(_row(event))
            elif isinstance(event, Evaluated):
                more = {"best": event.best, "metric": event.metric}
                self._add(evaluation_row(event.step, event.figures, event.compared, **more))
        except OSError as error:
            raise GancliError(os_problem(self._path, "written", error)) from error

    def _add(self, row: Mapping[str, object]) -> None:
        """To the file that is open, which may have been moved with its folder; to a new one where it was removed."""
        assert self._file is not None, "RunStarted comes before the first row"
        if atomic.is_removed(self._file) and self._path.parent.exists():
            self._close()
            self._file = self._path.open("a+b", buffering=0)
        _append(self._file, row)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DivergedError) and self._file is not None:
            with contextlib.suppress(OSError):  # the error itself is told in any case
                _append(self._file, {"step": error.step, "time": utc(), "diverged": str(error)})
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be flushed was told when it was written
                self._file.close()
            self._file = None


def _row(event: LossRow) -> dict[str, object]:
    head = {"step": event.step, "epoch": event.epoch, "phase": event.phase}
    tail = {
        "images_per_s": event.images_per_s,
        "elapsed_s": event.elapsed_s,
        "memory_bytes": event.memory_bytes,
        "time": utc(),
    }
    return {**head, **{name: value for name, value in event.terms.items() if name not in head | tail}, **tail}


def evaluation_row(step: int, figures: Mapping[str, float], compared: Comparison, **more: object) -> dict[str, object]:
    """The row of a measurement: what of, with what, and each figure with its error and the score beside it."""
    told = {name: value for name, value in dataclasses.asdict(compared).items() if value not in ("", None, {})}
    named = {"evaluated_on": "dataset", "n": "num_pictures"}
    about = {name: told.pop(field) for name, field in named.items() if field in told}
    return {"step": step, "time": utc(), **more, **about, "figures": figures, **told}


def append(path: Path, row: Mapping[str, object]) -> None:
    """Add a row to a metrics file, which a run may be writing to. Raises `OSError`."""
    with path.open("a+b", buffering=0) as file:
        _append(file, row)


def _append(file: FileIO, row: Mapping[str, object]) -> None:
    """In a single write at the end of the file, so that the rows of two processes do not mix; after half a row that somebody
    could not finish, on a line of its own."""
    line = dump(row).encode() + b"\n"
    if not _whole(file):
        time.sleep(0.02)  # somebody may be at it just now
        line = line if _whole(file) else b"\n" + line
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _whole(file: FileIO) -> bool:
    """Whether the last line has its end."""
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _keep_rows(path: Path, last_step: int) -> None:
    """Leave only the whole rows of `path` up to `last_step`, and what `gan evaluate` measured of a run that goes on; the
    file is replaced at once, or not at all."""

    def kept() -> Iterator[bytes]:
        with path.open("rb") as old:
            for line, row in _rows(old):
                if row["step"] <= last_step or (last_step and is_evaluation(row) and "best" not in row):
                    yield line.rstrip(b"\r\n") + b"\n"

    if path.exists():
        atomic.write(path, kept())


def is_number(value: object) -> bool:
    """Whether a value of a row is a finite number: JSON has whole ones of any length."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Whether a row of a metrics file holds figures rather than losses."""
    return isinstance(row.get("figures"), dict)


def divergence(row: Mapping[str, Any]) -> str:
    """What became NaN or infinite, where a row says that the run ended by it; else `""`."""
    why = row.get("diverged")
    return why if isinstance(why, str) else ""


def is_losses(row: Mapping[str, Any]) -> bool:
    """Whether a row holds the losses of an interval."""
    return not is_evaluation(row) and not divergence(row)


def json_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line; None where there is none."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(line)
        return found if isinstance(found, dict) else None
    return None


def _row_of(line: bytes) -> dict[str, Any] | None:
    """The row of a metrics file in a line; None where there is none."""
    row = json_object(line)
    return row if row and type(row.get("step")) is int else None


def _rows(file: BinaryIO) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The lines of a metrics file that are rows, and the rows. Lines that are not (torn, or too long) are passed over."""
    while line := file.readline(MAX_LINE_BYTES):
        whole = line.endswith(b"\n")
        if (row := _row_of(line)) is not None:
            yield line, row
        while not whole and (rest := file.readline(MAX_LINE_BYTES)):
            whole = rest.endswith(b"\n")


def each_row(path: Path) -> Iterator[dict[str, Any]]:
    """All rows of a `metrics.jsonl`, one after the other, however many there are. Raises `OSError`."""
    with open_file(path) as file:
        for _, row in _rows(file):
            yield row


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`, oldest first; of a very large file the newest. A torn line is passed over.

    Raises `GancliError` if the file cannot be read.
    """
    try:
        with open_file(path) as file:
            surplus = file.seek(0, os.SEEK_END) - MAX_READ_BYTES
            file.seek(max(0, surplus))
            if surplus > 0:
                file.readline()  # the rest of a line that began before
            return list(deque((row for _, row in _rows(file)), maxlen=MAX_READ_ROWS))
    except OSError as error:
        raise GancliError(os_problem(path, "read", error)) from error


def read_newest(path: Path, most_bytes: int) -> list[dict[str, Any]]:
    """Of the rows in the last `most_bytes` of a `metrics.jsonl` the newest one with losses, and all others that are no
    losses, oldest first. Raises `OSError`."""
    with open_file(path) as file:
        surplus = file.seek(0, os.SEEK_END) - most_bytes
        file.seek(max(0, surplus))
        lines = file.read(most_bytes).split(b"\n")[int(surplus > 0) :]
    found: list[dict[str, Any]] = []
    lost = True  # until a row with losses is found
    for line in reversed(lines):
        if lost or any(word in line for word in NO_LOSSES):  # decoding a row takes longer than all else
            row = _row_of(line)
            if row is not None and (lost or not is_losses(row)):
                found.append(row)
                lost = lost and not is_losses(row)
    return found[::-1]
