"""What a run tells beside its losses, kept in `log.jsonl` of its directory: how it began, its warnings, how it ended."""

import dataclasses
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from gancli.config.paths import open_file
from gancli.errors import DivergedError
from gancli.events import Event, RunFinished, RunStarted, Warned
from gancli.process import __version__
from gancli.report.jsonl import dump
from gancli.report.reporter import Reporter
from gancli.report.stamp import utc

MAX_READ_BYTES = 4 * 2**20
STARTED, WARNED, FINISHED, DIVERGED = "run_started", "warned", "run_finished", "run_diverged"


class LogFile(Reporter):
    """Appends a line per event that is kept; a run that begins anew begins the file anew. Nothing is touched before
    `RunStarted`; warnings that come before it follow it.

    What the disk refuses is in `trouble`, once, and no reason for a run to fail.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: list[Event] = []
        self._begun = False
        self.trouble = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, Warned) and not self._begun:
            self._before.append(event)
        elif isinstance(event, Warned):
            self._add({"event": WARNED, "message": event.message})
        elif isinstance(event, RunFinished):
            told = {name: getattr(event, name) for name in ("status", "step", "steps", "elapsed_s", "reason")}
            self._add({"event": FINISHED, **told})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace

    def diverged(self, error: DivergedError) -> None:
        self._add({"event": DIVERGED, "message": str(error)})

    def _begin(self, event: RunStarted) -> None:
        self._begun = True
        told = {f.name: getattr(event, f.name) for f in dataclasses.fields(event) if f.name != "out"}
        system = f"{platform.system()} {platform.machine()}".strip()
        about = {"gancli": __version__, "python": platform.python_version(), "system": system}
        self._add({"event": STARTED, **told, **about}, anew=event.start_step == 0)
        for warning in self._before:
            self(warning)

    def _add(self, line: Mapping[str, object], anew: bool = False) -> None:
        if self.trouble:
            return
        try:
            with self._path.open("wb" if anew else "ab") as file:
                file.write(dump({**line, "time": utc()}).encode() + b"\n")
        except OSError as error:
            self.trouble = f"{self._path}: cannot be written ({error.strerror}); the run goes on without"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a `log.jsonl` that are events, of a very large file the first. Raises `OSError`."""
    found: list[dict[str, Any]] = []
    with open_file(path) as file:
        for line in file.read(MAX_READ_BYTES).splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and isinstance(row.get("event"), str):
                found.append(row)
    return found
