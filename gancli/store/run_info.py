"""What a run directory says about its run: the one reader for commands, pages and Python. Imports no torch."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from gancli.config import toml
from gancli.errors import GancliError, os_problem
from gancli.files.lock import Holder
from gancli.report.rows import (
    WARNED,
    Rows,
    divergence,
    each_row,
    is_number,
    last_losses,
    read_log,
    read_metrics,
    read_newest,
    terms,
)
from gancli.store import evaluations, run_directory
from gancli.store.evaluations import Best, Evaluation
from gancli.store.facts import MAX_COUNT, MAX_TEXT, Facts, command_from_config, from_header, read_metadata
from gancli.store.header import Header, read_header
from gancli.store.run_directory import RunDirectory

T = TypeVar("T")
Status = Literal["running", "finished", "stopped", "diverged", "damaged"]


class RunInfo:
    """A run. Each file of its directory is read once, when it is first needed. A missing file counts as empty; so does one
    that cannot be read, and `problems` says why.

    The properties from `state` to `problem` are those that a list of runs shows; they read the lock, headers, and the end of
    `metrics.jsonl`. None: not known.
    """

    def __init__(self, directory: RunDirectory, file: Path | None = None) -> None:
        self.directory, self._file = directory, file
        self.problems: list[str] = []

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        length = "" if self.steps is None else f" of {self.steps:,}"
        return (
            f"<run of {self.variant or 'an unknown variant'}, {self.state} at step {self.step:,}{length}; {self.path}>"
        )

    @property
    def path(self) -> Path:
        return self.directory.path

    @cached_property
    def state(self) -> Status:
        if self.owner is not None:
            return "running"
        diverged, finished = self._diverged, self.steps is not None and self._saved_step >= self.steps
        if self.problems and not self.metadata:
            return "damaged"
        return "diverged" if diverged else "finished" if finished else "stopped"

    @property
    def pid(self) -> int | None:
        """The process that writes in the directory."""
        return self.owner.pid if self.owner else None

    @property
    def host(self) -> str | None:
        """The host of that process."""
        return self.owner.host if self.owner else None

    @property
    def variant(self) -> str | None:
        return self._recorded("variant", str)

    @property
    def preset(self) -> str | None:
        return self._recorded("preset", str)

    @property
    def dataset(self) -> str | None:
        return self._recorded("dataset", str)

    @property
    def seed(self) -> int | None:
        return self._recorded("seed", int)

    @cached_property
    def step(self) -> int:
        """The last known step of a running or diverged run; of any other, the step that it would resume from."""
        if self._diverged:
            return _step(self.newest_rows[-1])
        last = _step(last_losses(self.newest_rows)) if self.owner else 0
        return max(self._saved_step, last)

    @cached_property
    def steps(self) -> int | None:
        """The length of the run."""
        for table in (self._newer_config, self.chosen if self._newer_config else {}):
            if steps := _count(table, "steps"):
                return steps
        return _count(self.metadata, "steps")

    @property
    def left_s(self) -> float | None:
        """The time that a running run still needs at its latest speed."""
        last = last_losses(self.newest_rows)
        speed: Any = last.get("images_per_s")
        if self.owner is None or self.steps is None or not is_number(speed) or speed <= 0:
            return None
        size = images_per_step(self)
        return None if size is None else max(0, self.steps - _step(last)) * size / speed

    @property
    def losses(self) -> Mapping[str, float]:
        """The latest losses."""
        return terms(last_losses(self.newest_rows))

    @cached_property
    def best(self) -> Best | None:
        """The best metric value, by the newest evaluations."""
        return evaluations.best(evaluations.read_evaluations(self.newest_rows), self.dataset, self.best_facts)

    @property
    def changed(self) -> str | None:
        """The time of the last row (ISO 8601, UTC)."""
        time = self.newest_rows[-1].get("time") if self.newest_rows else None
        return time if isinstance(time, str) else None

    @property
    def problem(self) -> str:
        """Why a file cannot be read, or `""`."""
        _ = self.state, self.best
        return self.problems[0] if self.problems else ""

    @cached_property
    def owner(self) -> Holder | None:
        """The process that writes in the directory, with its host."""
        return run_directory.holder(self.directory)

    @property
    def writer(self) -> str | None:
        """The owner as text, such as `pid 12 on host`."""
        return None if self.owner is None else str(self.owner)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The contents of `config.toml`."""
        return self._read(self.directory.config, toml.read, {}) if self.directory.holds_run else {}

    @property
    def options(self) -> dict[str, Any]:
        """The options in `config.toml`, with those of the variant."""
        own = self.config.get(str(self.config.get("variant")), {})
        flat = {name: value for name, value in self.config.items() if not isinstance(value, dict)}
        return flat | (own if isinstance(own, dict) else {})

    @property
    def chosen(self) -> Mapping[str, Any]:
        """The values that `gan` chose for options left open."""
        chosen = self.config.get(toml.CHOSEN)
        return chosen if isinstance(chosen, dict) else {}

    @property
    def command(self) -> str:
        """The command line that repeats the run; `""` if its configuration is not one of this version's."""
        return command_from_config(self.config)

    @cached_property
    def file(self) -> Path | None:
        """The checkpoint, or the newest state if there is no checkpoint yet, unless a certain file was asked for."""
        if self._file is not None:
            return self._file
        path, nothing = self.directory.checkpoint, list[Path]()
        found = self._read(path, lambda _: [path] if path.exists() else self.directory.states(), nothing)
        return found[0] if found else None

    @cached_property
    def header(self) -> Header | None:
        """The header of `file`."""
        return self._read(self.file, read_header, None) if self.file else None

    @cached_property
    def facts(self) -> Facts | None:
        """The facts of `file`."""
        header = self.header
        return self._read(self.file, lambda path: from_header(path, header), None) if self.file and header else None

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """The facts of `file` as JSON, unchecked."""
        header = self.header
        return self._read(self.file, lambda path: read_metadata(path, header), {}) if self.file and header else {}

    @cached_property
    def best_facts(self) -> Facts | None:
        """The facts of `best.safetensors`."""
        path = self.directory.best
        return self._read(path, lambda path: from_header(path, read_header(path)), None) if path.exists() else None

    @cached_property
    def newest_rows(self) -> Rows:
        """The newest row of losses in `metrics.jsonl`, and other rows near its end, oldest first."""
        return self._read(self.directory.metrics, read_newest, [])

    @cached_property
    def rows(self) -> Rows:
        """The rows of `metrics.jsonl`; of a very large file the newest ones."""
        return self._read(self.directory.metrics, read_metrics, []) if self.directory.metrics.exists() else []

    def each_row(self) -> Iterator[Mapping[str, Any]]:
        """Yield all rows of `metrics.jsonl`, however many there are."""
        try:
            yield from each_row(self.directory.metrics)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.problems.append(os_problem(self.directory.metrics, "read", error))

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations among `rows`, newest first."""
        return evaluations.read_evaluations(self.rows)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The events in `log.jsonl`."""
        return self._read(self.directory.log, read_log, [])

    @property
    def warnings(self) -> list[str]:
        """The warnings in the log, each once."""
        messages = (line.get("message") for line in self.log if line["event"] == WARNED)
        return list(dict.fromkeys(message for message in messages if isinstance(message, str)))

    @property
    def exists(self) -> bool:
        """Whether the directory is that of a run, however incomplete."""
        directory = self.directory
        return bool(
            directory.holds_run or self.file or self.owner or directory.log.is_file() or directory.metrics.is_file()
        )

    @cached_property
    def _newer_config(self) -> Mapping[str, Any]:
        """`config.toml`, if it may say more than `file`: before the first state, while the run is running, and after a
        restart, which may change its length; else empty, as parsing it takes longer than all other reading."""
        return self.config if not self.metadata or self.owner or self._restarted else {}

    @property
    def _restarted(self) -> bool:
        try:
            return self.file is None or self.directory.config.stat().st_mtime > self.file.stat().st_mtime
        except OSError:
            return False

    @property
    def _saved_step(self) -> int:
        return _count(self.metadata, "step") or 0

    @property
    def _diverged(self) -> bool:
        newest = self.newest_rows[-1] if self.newest_rows else {}
        return bool(divergence(newest)) and _step(newest) >= self._saved_step

    def _recorded(self, name: str, kind: type[T]) -> T | None:
        """Return a value from the checkpoint, else from `config.toml`."""
        value = self.metadata.get(name, self._newer_config.get(name))
        return value if type(value) is kind and len(str(value)) <= MAX_TEXT else None

    def _read(self, path: Path, read: Callable[[Path], T], default: T) -> T:
        try:
            return read(path)
        except FileNotFoundError:
            return default
        except OSError as error:
            self.problems.append(os_problem(path, "read", error))
        except GancliError as error:
            self.problems.append(str(error).removeprefix("--config "))
        return default


def images_per_step(run: RunInfo) -> int | None:
    """Return the number of images of a step, those of all parts of `--accumulate`; None if it is not known."""
    if (recorded := _count(run.metadata, "batch_size")) is not None:
        return recorded
    # Older versions of gan wrote the variant's default among the chosen values.
    size = _count(run.config, "batch_size") or _count(run.chosen, "batch_size")
    return None if size is None else size * (_count(run.config, "accumulate") or 1)


def _step(row: Mapping[str, Any]) -> int:
    return _count(row, "step") or 0


def _count(values: Mapping[str, Any], name: str) -> int | None:
    """Return a number that any program may have written; None if it is not a valid one."""
    value = values.get(name)
    return value if type(value) is int and 0 <= value < MAX_COUNT else None
