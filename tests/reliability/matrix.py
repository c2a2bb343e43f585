"""The matrix: one surrounding after the other, each command laid out, run and judged in it."""

import contextlib
import dataclasses
import shutil
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.reliability import meanwhile
from tests.reliability.cells import (
    PLAIN,
    STEPS,
    Cell,
    Names,
    contents,
    laid_out,
    pictures,
    removed,
    reopened,
    unfinished,
)
from tests.reliability.commands import ENLARGER, MODEL, OFTEN, Command, commands
from tests.reliability.faults import ImpossibleError
from tests.reliability.judge import Reference, Seen, complaints
from tests.reliability.places import Place
from tests.reliability.products import WrongError
from tests.reliability.servers import PYTHON, Job, Outcome, Servers

HOLDS, FAILS, SKIPPED, NONE = ".", "X", "s", " "


@dataclass(frozen=True)
class Found:
    """What became of a cell. `skipped` is why it could not be made here."""

    place: str
    command: str
    code: int | str
    seconds: float
    complaints: tuple[str, ...]
    skipped: str = ""
    err: str = ""

    @property
    def mark(self) -> str:
        return SKIPPED if self.skipped else FAILS if self.complaints else HOLDS


class Matrix:
    """Runs cells below `base`, one after the other."""

    def __init__(self, base: Path, running: Servers) -> None:
        self._base, self._servers, self._about = base, running, base / "modules.json"
        self._kept = dict[Names, Path]()
        self._reference = Reference()

    def prepare(self) -> None:
        """Find out what the commands make and say where nothing is odd."""
        for command in commands():
            cell, usual = Cell(self._base / "cell", PLAIN), Place("nothing odd")
            self._lay_out(cell)
            outcome = self._run(usual, command, cell, self._about)
            self._servers.learn(self._about)
            with contextlib.suppress(WrongError):  # the first row says so
                self._reference.made[command.name] = command.product(cell, outcome)
            self._reference.said[command.name] = outcome.out

    def clear(self) -> None:
        """Remove the last cell, whatever its rights."""
        removed(self._base / "cell")

    def _lay_out(self, cell: Cell) -> None:
        """A fresh cell; its runs are trained once for each way of naming."""
        for names in (PLAIN, cell.names):
            if names not in self._kept:
                self._kept[names] = self._trained(names)
        laid_out(cell, self._kept[cell.names])

    def _trained(self, names: Names) -> Path:
        """A cell with its runs, kept aside. Its data root holds the photographs, decoded, but not the pictures."""
        cell, kept = Cell(self._base / "cell", names), self._base / f"kept-{len(self._kept)}"
        removed(cell.base)
        pictures(cell)
        train = ["train", "-d", names.pics, *MODEL, *OFTEN, "--steps", str(STEPS), "--out"]
        self._fixture(cell, "run", [*train, names.run])
        killed = (f"dies:step-{STEPS:08d}.safetensors",)
        self._fixture(cell, "half", [*train, names.half], killed, -signal.SIGKILL)
        for folder in (cell.data, cell.home, cell.tmp):
            shutil.rmtree(folder)
            folder.mkdir()
        if names == PLAIN:
            enlarger = ["train", "-d", names.photos, *ENLARGER, "--out", names.sr, "--progress", "none"]
            self._fixture(cell, "sr", enlarger)
            shutil.rmtree(cell.path("sr") / "state")
        else:
            shutil.copytree(self._kept[PLAIN] / "work" / PLAIN.sr, cell.path("sr"))
            shutil.copytree(self._kept[PLAIN] / "data", cell.data, dirs_exist_ok=True)
        for path in unfinished(cell):  # of the one that was killed
            path.unlink()
        return cell.base.rename(kept)

    def _fixture(self, cell: Cell, role: str, args: Sequence[str], faults: Sequence[str] = (), wanted: int = 0) -> None:
        """Make one of the runs; where it cannot be made with such names, it is copied from those of plain ones."""
        job = Job(args, cell.work, cell.environment(), faults, about=self._about)
        outcome = self._servers.of(PYTHON).run(job)
        self._servers.learn(self._about)
        if outcome.code == wanted:
            return
        if cell.names == PLAIN:
            raise RuntimeError(f"gan {' '.join(args)}: ended with {outcome.code}: {outcome.err.decode()}")
        shutil.rmtree(cell.path(role), ignore_errors=True)
        shutil.copytree(self._kept[PLAIN] / "work" / role, cell.path(role))

    def row(self, place: Place, chosen: Sequence[Command]) -> Iterator[Found]:
        """The cells of one surrounding."""
        for command in chosen:
            if place.concerns(command):
                try:
                    yield self._cell(place, command)
                except Exception as error:  # the others are wanted all the same
                    told = f"the harness failed: {type(error).__name__}: {error}"
                    yield Found(place.name, command.name, "", 0.0, (told,), err=traceback.format_exc())

    def _cell(self, place: Place, command: Command) -> Found:
        cell = Cell(self._base / "cell", place.names)
        self._lay_out(cell)
        try:
            with place.arranged(cell):
                before = contents(cell)
                outcome = self._run(place, command, cell)
                reopened(cell.base)
                after = contents(cell)
        except ImpossibleError as reason:
            return Found(place.name, command.name, "", 0.0, (), str(reason))
        if outcome.impossible:
            return Found(place.name, command.name, "", 0.0, (), outcome.err.decode())
        wrong = complaints(Seen(place, command, cell, outcome, before, after), self._reference)
        err = outcome.err[-1000:].decode("utf-8", "replace")
        return Found(place.name, command.name, outcome.code, round(outcome.seconds, 2), tuple(wrong), err=err)

    def _run(self, place: Place, command: Command, cell: Cell, about: Path | None = None) -> Outcome:
        job = Job(
            args_of(place, command, cell),
            cell.work,
            environment_of(place, cell),
            [fault.format(**cell.paths()) for fault in place.faults],
            place.streams,
            about,
        )
        if "no_directory" in place.faults:
            (cell.base / "gone").mkdir()
            job = replace(job, cwd=cell.base / "gone")
        return meanwhile.run(self._servers.of(place.interpreter), job, cell, place.event or command.event)


def args_of(place: Place, command: Command, cell: Cell) -> list[str]:
    names = cell.names
    if place.absolute:
        roles = [f.name for f in dataclasses.fields(Names) if f.name not in ("classes", "picture")]
        names = replace(names, **{role: str(cell.path(role)) for role in roles})  # type: ignore[arg-type]
    names = replace(names, **place.given)  # type: ignore[arg-type]
    return [*command.args(names), *(place.more if command.trains else ())]


def environment_of(place: Place, cell: Cell) -> dict[str, str]:
    found = cell.environment()
    for name, value in place.environment.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value.format(**cell.paths())
    return found
