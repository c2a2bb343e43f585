"""JSON Lines: for programs that follow a run, and the `metrics.jsonl` and `log.jsonl` of a run directory.

`rows` reads them again; docs/metrics.md has the schema of `metrics.jsonl`.
"""

import contextlib
import dataclasses
import errno
import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, TextIO

from gancli.errors import DivergedError, GancliError, StdoutError, os_problem
from gancli.events import Comparison, Evaluated, Event, LossRow, Preparing, Progress, RunFinished, RunStarted, Warned
from gancli.files import atomic
from gancli.process import __version__
from gancli.report.reporter import Heartbeat, Reporter, abandon
from gancli.report.rows import DIVERGED, FINISHED, STARTED, WARNED, is_evaluation, parse_rows
from gancli.text import printable

SURROGATE = re.compile("[\ud800-\udfff]")  # not a character, so not JSON; in file names that could not be decoded


def utc() -> str:
    """Return the time as in ISO 8601, in UTC: `2026-11-27T11:03:44.123Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dump(value: object, indent: int | None = None) -> str:
    """Return `value` as JSON in ASCII that every parser accepts: NaN and infinity are null, and bytes of file names that
    cannot be decoded are escaped as `\\xff`."""
    return json.dumps(_plain(value), allow_nan=False, indent=indent)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if value.isascii() else SURROGATE.sub(lambda found: printable(found[0]), value)
    if isinstance(value, Mapping):
        return {str(_plain(str(key))): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


class JsonLines(Heartbeat):
    """Writes one JSON object per event to `stream` and flushes it: `"event"` is the class in snake case, `"time"` the time
    of writing (ISO 8601, UTC), then come the event's fields without pixels.

    When the stream takes no more (its reader is gone, the disk is full), `warn` is called once, and the run continues.
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
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        try:
            self._stream.write(dump({"event": name, "time": utc(), **fields}) + "\n")
            self._stream.flush()
        except (OSError, ValueError, StdoutError) as error:
            self._broken = True
            abandon(self._stream)
            self._warn(f"warning: --progress json: {error}; the run continues, and keeps its rows in metrics.jsonl")
        return True

    def _print_activity(self, event: Preparing | Progress, seconds: float) -> None:
        self._print(event if isinstance(event, Preparing) else event.after(seconds))


class MetricsFile(Reporter):
    """Writes `metrics.jsonl`: one flat row per `LossRow`, one with `figures` per `Evaluated`, and one if the run diverges.

    A resumed run continues after its `start_step`: later rows, which a killed run wrote after its last state, and a torn
    last line are removed; measurements by `gan evaluate` stay, as they are of a model that existed. Nothing is changed
    before `RunStarted`. Raises `GancliError` if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None

    def __call__(self, event: Event) -> None:
        try:
            if isinstance(event, RunStarted):
                self._close()
                _remove_later_rows(self._path, event.start_step)
                self._file = self._path.open("a+b", buffering=0)
            elif isinstance(event, LossRow):
                self._add({**loss_row(event), "time": utc()})
            elif isinstance(event, Evaluated):
                more = {"best": event.best, "metric": event.metric}
                self._add(evaluation_row(event.step, event.figures, event.compared, **more))
        except OSError as error:
            raise GancliError(os_problem(self._path, "written", error)) from error

    def _add(self, row: Mapping[str, object]) -> None:
        """Append to the open file, which may have been moved with its directory; to a new one if it was deleted."""
        assert self._file is not None, "RunStarted comes before the first row"
        if atomic.is_removed(self._file) and self._path.parent.exists():
            self._close()
            self._file = self._path.open("a+b", buffering=0)
        _append(self._file, row)

    def close(self, error: BaseException | None) -> None:
        if isinstance(error, DivergedError) and self._file is not None:
            with contextlib.suppress(OSError):  # the error itself is printed in any case
                _append(self._file, {"step": error.step, "time": utc(), "diverged": str(error)})
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # a row that was not written has been reported
                self._file.close()
            self._file = None


def loss_row(event: LossRow) -> dict[str, Any]:
    """Return a row of losses without nested objects: a key for each field, and for each term."""
    head = {"step": event.step, "epoch": event.epoch, "phase": event.phase}
    tail = {
        "images_per_s": event.images_per_s,
        "elapsed_s": event.elapsed_s,
        "memory_bytes": event.memory_bytes,
    }
    return {**head, **{name: value for name, value in event.terms.items() if name not in head | tail}, **tail}


def evaluation_row(step: int, figures: Mapping[str, float], compared: Comparison, **more: object) -> dict[str, object]:
    """Return the row of a measurement: the metrics, and with what they were measured and compared."""
    fields = {name: value for name, value in dataclasses.asdict(compared).items() if value not in ("", None, {})}
    renamed = {"evaluated_on": "dataset", "n": "num_images"}
    first = {name: fields.pop(field) for name, field in renamed.items() if field in fields}
    return {"step": step, "time": utc(), **more, **first, "figures": figures, **fields}


class LogFile(Reporter):
    """Writes `log.jsonl`: a line for the start, the end and each warning. A run that starts anew replaces the file. Nothing
    is changed before `RunStarted`; earlier warnings are written after it.

    If a line cannot be written, `problem` says so, nothing more is written, and the run continues.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._early: list[Event] = []
        self._started = False
        self.problem = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._started = True
            fields = {f.name: getattr(event, f.name) for f in dataclasses.fields(event) if f.name != "out"}
            system = f"{platform.system()} {platform.machine()}".strip()
            versions = {"gancli": __version__, "python": platform.python_version(), "system": system}
            self._add(STARTED, fields | versions, replace=event.start_step == 0)
            for early in self._early:
                self(early)
        elif isinstance(event, Warned) and not self._started:
            self._early.append(event)
        elif isinstance(event, Warned):
            self._add(WARNED, {"message": event.message})
        elif isinstance(event, RunFinished):
            names = ("status", "step", "steps", "elapsed_s", "reason")
            self._add(FINISHED, {name: getattr(event, name) for name in names})

    def diverged(self, error: DivergedError) -> None:
        self._add(DIVERGED, {"message": str(error)})

    def _add(self, event: str, fields: Mapping[str, object], replace: bool = False) -> None:
        if self.problem:
            return
        try:
            if replace:
                self._path.unlink(missing_ok=True)
            append(self._path, {"event": event, **fields, "time": utc()})
        except OSError as error:
            self.problem = f"{os_problem(self._path, 'written', error)}; the run continues without it"


def append(path: Path, row: Mapping[str, object]) -> None:
    """Add a row to a file, which another process may be writing to. Raises `OSError`."""
    with path.open("a+b", buffering=0) as file:
        _append(file, row)


def _append(file: FileIO, row: Mapping[str, object]) -> None:
    """Write a line at once, so that the rows of two processes do not mix; if the last line has no end, on a new line."""
    line = dump(row).encode() + b"\n"
    if not _ends_with_newline(file):
        time.sleep(0.02)  # another process may be writing it now
        line = line if _ends_with_newline(file) else b"\n" + line
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_with_newline(file: FileIO) -> bool:
    """Return whether the last line of a file has its end; an empty file has no line without."""
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _remove_later_rows(path: Path, last_step: int) -> None:
    """Keep only the whole rows of `path` up to `last_step`, and the measurements by `gan evaluate` of a run that is resumed.
    The file is replaced at once, or not at all."""

    def lines() -> Iterator[bytes]:
        with path.open("rb") as old:
            for line, row in parse_rows(old):
                if row["step"] <= last_step or (last_step and is_evaluation(row) and "best" not in row):
                    yield line.rstrip(b"\r\n") + b"\n"

    if path.exists():
        atomic.write(path, lines())
