"""`log.jsonl` of a run directory: how the run began, its warnings, how it ended."""

import dataclasses
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli.config.paths import open_file
from gancli.errors import DivergedError, os_problem
from gancli.events import Event, RunFinished, RunStarted, Warned
from gancli.process import __version__
from gancli.report.jsonl import dump, json_object
from gancli.report.reporter import Reporter
from gancli.report.stamp import utc

MAX_READ_BYTES = 4 * 2**20
STARTED, WARNED, FINISHED, DIVERGED = "run_started", "warned", "run_finished", "run_diverged"


class LogFile(Reporter):
    """Appends a line for the start, the end and each warning; a run that starts anew overwrites the file. Nothing is touched
    before `RunStarted`; warnings that come before it are written after it.

    Where the disk refuses a line, `trouble` says so, nothing more is written, and the run continues.
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
            self.trouble = f"{os_problem(self._path, 'written', error)}; the run continues without it"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a `log.jsonl` that are events, of a very large file the first. Raises `OSError`."""
    with open_file(path) as file:
        objects = map(json_object, file.read(MAX_READ_BYTES).splitlines())
        return [each for each in objects if each and isinstance(each.get("event"), str)]
