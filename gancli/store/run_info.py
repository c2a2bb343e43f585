"""What the files of a run directory say: the one reader for lists, pages and commands. Imports no torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from gancli.config import toml
from gancli.errors import GancliError
from gancli.files.atomic import reason
from gancli.files.lock import Holder
from gancli.report.jsonl import each_row, is_losses, is_number, read_log, read_metrics, read_newest
from gancli.store import evaluations, rundir
from gancli.store.evaluations import Evaluation
from gancli.store.facts import Facts, from_header, glance
from gancli.store.header import Header, read_header
from gancli.store.rundir import RunDirectory

MAX_STEPS = 2**63
TAIL_BYTES = 16 << 10  # of a metrics file: some fifty rows
LONG_TAIL_BYTES = 1 << 20  # where those hold no whole row of losses
NO_TERMS = ("step", "epoch", "images_per_s", "elapsed_s", "memory_bytes")

T = TypeVar("T")
Rows = Sequence[Mapping[str, Any]]


class RunInfo:
    """The files of a run directory, each read when it is first asked for. What is missing is empty; what cannot be read is
    empty too, and a line in `problems` says why."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.problems: list[str] = []

    @cached_property
    def owner(self) -> Holder | None:
        """The process that writes in the directory."""
        return rundir.holder(self.directory)

    @property
    def writer(self) -> str | None:
        """The same as `pid 12 on host`."""
        return None if self.owner is None else str(self.owner)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `config.toml` holds."""
        path = self.directory.config
        return self._read(path, toml.read, {}) if self.directory.holds_run else {}

    @cached_property
    def steps(self) -> int | None:
        """The length of the run by `config.toml`: as given, or what its epochs came to."""
        chosen = self.config.get(toml.CAME_TO)
        for table in (self.config, chosen if isinstance(chosen, dict) else {}):
            if type(steps := table.get("steps")) is int and 0 < steps < MAX_STEPS:
                return steps
        return None

    @cached_property
    def file(self) -> Path | None:
        """The checkpoint, or the newest state where there is none yet."""
        path, nothing = self.directory.checkpoint, list[Path]()
        found = self._read(path, lambda _: [path] if path.exists() else self.directory.states(), nothing)
        return found[0] if found else None

    @cached_property
    def header(self) -> Header | None:
        """That of `file`."""
        return self._read(self.file, read_header, None) if self.file else None

    @cached_property
    def facts(self) -> Facts | None:
        """What `file` says of itself."""
        header = self.header
        return self._read(self.file, lambda path: from_header(path, header), None) if self.file and header else None

    @cached_property
    def glance(self) -> Mapping[str, Any]:
        """The few facts that a list of many runs shows."""
        header = self.header
        return self._read(self.file, lambda path: glance(path, header), {}) if self.file and header else {}

    @cached_property
    def best_facts(self) -> Facts | None:
        """What `best.safetensors` says of itself."""
        path = self.directory.best
        return self._read(path, lambda path: from_header(path, read_header(path)), None) if path.exists() else None

    @cached_property
    def newest_rows(self) -> Rows:
        """The newest row of losses in `metrics.jsonl`, and other rows near its end, oldest first."""
        return self._read(self.directory.metrics, _newest_rows, [])

    @cached_property
    def rows(self) -> Rows:
        """The rows of `metrics.jsonl`; of a very large file the newest."""
        return self._read(self.directory.metrics, read_metrics, []) if self.directory.metrics.exists() else []

    def each_row(self) -> Iterator[Mapping[str, Any]]:
        """All rows of `metrics.jsonl`, one after the other, however many there are."""
        try:
            yield from each_row(self.directory.metrics)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.problems.append(f"{self.directory.metrics}: cannot be read ({reason(error)})")

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The measurements among all rows, newest first."""
        return evaluations.found(self.rows)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The events in `log.jsonl`."""
        return self._read(self.directory.log, read_log, [])

    @property
    def exists(self) -> bool:
        """Whether the directory is that of a run, however little of it there is."""
        directory = self.directory
        return bool(
            directory.holds_run or self.file or self.owner or directory.log.is_file() or directory.metrics.is_file()
        )

    def _read(self, path: Path, read: Callable[[Path], T], default: T) -> T:
        try:
            return read(path)
        except FileNotFoundError:
            return default
        except OSError as error:
            self.problems.append(f"{path}: cannot be read ({reason(error)})")
        except GancliError as error:
            self.problems.append(str(error).removeprefix("--config "))
        return default


def _newest_rows(path: Path) -> Rows:
    rows = read_newest(path, TAIL_BYTES)
    return rows if last_losses(rows) else read_newest(path, LONG_TAIL_BYTES)


def last_losses(rows: Rows) -> Mapping[str, Any]:
    """The newest row of losses, or an empty one."""
    return next((row for row in reversed(rows) if is_losses(row)), {})


def terms(row: Mapping[str, Any]) -> dict[str, float]:
    """The losses in a row."""
    return {name: value for name, value in row.items() if name not in NO_TERMS and is_number(value)}


def curves(rows: Rows) -> dict[str, list[tuple[int, float]]]:
    """The losses of all rows, by name."""
    series: dict[str, list[tuple[int, float]]] = {}
    for row in filter(is_losses, rows):
        for name, value in terms(row).items():
            series.setdefault(name, []).append((row["step"], value))
    return series


def step_of(row: Mapping[str, Any]) -> int:
    """The step of a row, which may be anybody's; 0 if there is none."""
    step: int = row.get("step", 0)
    return step if 0 <= step < MAX_STEPS else 0
