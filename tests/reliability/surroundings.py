"""Every command in every surrounding: `python -m tests.reliability.surroundings [--short] [--only NAME…] [--list]`.

Prints a table, surroundings by commands, and what does not hold; the last line counts the cells. Ends with 1 where some do
not hold. `--json FILE` keeps the cells, to compare two runs. What is asked of each cell is said in judge.py.
"""

import argparse
import dataclasses
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.reliability import meanwhile
from tests.reliability.cells import PLAIN, Cell, Names, contents, laid_out, pictures, removed, reopened, unfinished
from tests.reliability.commands import ENLARGER, OFTEN, SMALL, STEPS, Command, commands
from tests.reliability.faults import Impossible
from tests.reliability.judge import Reference, Seen, complaints
from tests.reliability.places import Place, all_places
from tests.reliability.servers import Interpreter, Job, Outcome, Servers, servers

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
        self._base, self._servers = base, running
        self._kept = dict[Names, Path]()
        self._reference = Reference()

    def prepare(self, places: Iterable[Place]) -> None:
        """Train what the cells need to have, once for each way of naming."""
        for names in [PLAIN, *{place.names: None for place in places}]:
            if names not in self._kept:
                self._kept[names] = self._trained(names)
        for command in commands():
            self._cell(Place("nothing odd"), command, keep=True)

    def _trained(self, names: Names) -> Path:
        cell, kept = Cell(self._base / "cell", names), self._base / f"kept-{len(self._kept)}"
        removed(cell.base)
        pictures(cell)
        train = ["train", "-d", names.pics, *SMALL, *OFTEN, "--steps", str(STEPS), "--out"]
        made = {
            "half": ([*train, names.half], [f"dies:step-{STEPS:08d}.safetensors"], -signal.SIGKILL),
            "run": ([*train, names.run], [], 0),
            "sr": (["train", "-d", names.photos, *ENLARGER, "--out", names.sr, "--progress", "none"], [], 0),
        }
        for role, (args, faults, wanted) in made.items():
            outcome = self._fixture(cell, args, faults)
            if outcome.code != wanted:
                if names == PLAIN:
                    raise SystemExit(f"gan {' '.join(args)}: ended with {outcome.code}: {outcome.err.decode()}")
                shutil.rmtree(cell.path(role), ignore_errors=True)
                shutil.copytree(self._kept[PLAIN] / "work" / role, cell.path(role))
        if names == PLAIN:
            self._fixture(cell, [*train, names.out, "--dry-run"], [])
            self._servers.close()  # the next one imports what these needed before it forks
        shutil.rmtree(cell.path("sr") / "state")
        for folder in (cell.data, cell.home, cell.tmp):
            shutil.rmtree(folder)
            folder.mkdir()
        for path in unfinished(cell):  # of the one that was killed
            path.unlink()
        return cell.base.rename(kept)

    def _fixture(self, cell: Cell, args: Sequence[str], faults: Sequence[str]) -> Outcome:
        about = self._base / "modules.json"
        outcome = self._servers.of(Interpreter()).run(Job(args, cell.work, cell.environment(), faults, about=about))
        if not self._kept and outcome.code == 0:
            self._servers.learn(about)
        return outcome

    def row(self, place: Place, chosen: Sequence[Command]) -> Iterator[Found]:
        """The cells of one surrounding."""
        for command in chosen:
            if place.concerns(command):
                yield self._cell(place, command)

    def _cell(self, place: Place, command: Command, keep: bool = False) -> Found:
        cell = Cell(self._base / "cell", place.names)
        laid_out(cell, self._kept[place.names])
        try:
            with place.arranged(cell):
                before = contents(cell)
                outcome = self._run(place, command, cell)
                reopened(cell.base)
                after = contents(cell)
        except Impossible as reason:
            return Found(place.name, command.name, "", 0.0, (), str(reason))
        if outcome.impossible:
            return Found(place.name, command.name, "", 0.0, (), outcome.err.decode())
        if keep:
            self._note(command, cell, outcome)
        wrong = complaints(Seen(place, command, cell, outcome, before, after), self._reference)
        err = outcome.err[-1000:].decode("utf-8", "replace")
        return Found(place.name, command.name, outcome.code, round(outcome.seconds, 2), tuple(wrong), err=err)

    def _note(self, command: Command, cell: Cell, outcome: Outcome) -> None:
        if command.product:
            self._reference.made[command.name] = command.product(cell, outcome)
        self._reference.said[command.name] = outcome.out

    def _run(self, place: Place, command: Command, cell: Cell) -> Outcome:
        job = Job(
            args_of(place, command, cell),
            cell.work,
            environment_of(place, cell),
            [fault.format(**cell.paths()) for fault in place.faults],
            place.streams,
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


def heading(chosen: Sequence[Command], width: int) -> str:
    """The commands' names, from top to bottom."""
    rows = max(len(command.name) for command in chosen)
    names = [command.name.rjust(rows) for command in chosen]
    return "\n".join(" " * width + " ".join(name[row] for name in names).rstrip() for row in range(rows))


def faults_of(cells: Iterable[Found]) -> Iterator[str]:
    """One line for each thing that does not hold in a surrounding, with the commands that it is about."""
    grouped = defaultdict[tuple[str, str], list[str]](list)
    for cell in cells:
        for complaint in cell.complaints:
            grouped[cell.place, complaint].append(cell.command)
    for (place, complaint), names in grouped.items():
        yield f"{place}: {', '.join(names)}: {complaint}"


def run(places: Sequence[Place], chosen: Sequence[Command], write: Callable[[str], object]) -> list[Found]:
    """All cells; the table is written row by row."""
    width = max(len(place.name) for place in places) + 2
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="gan-") as folder, servers() as running:
        matrix = Matrix(Path(folder).resolve(), running)
        matrix.prepare(places)
        write(heading(chosen, width))
        kinds = list({place.interpreter: None for place in places})
        for place in sorted(places, key=lambda place: kinds.index(place.interpreter)):
            row = {cell.command: cell for cell in matrix.row(place, chosen)}
            found += row.values()
            marks = " ".join(row[c.name].mark if c.name in row else NONE for c in chosen)
            write(f"{place.name:<{width}}{marks}".rstrip())
        removed(Path(folder) / "cell")
    return found


def summary(found: Sequence[Found]) -> list[str]:
    made = [cell for cell in found if not cell.skipped]
    skipped = {cell.skipped.strip() for cell in found if cell.skipped}
    wrong = list(faults_of(made))
    aside = f" ({len(found) - len(made)} could not be made here: {'; '.join(sorted(skipped))})" if skipped else ""
    held = sum(not cell.complaints for cell in made)
    return [*(["", "what does not hold:"] if wrong else []), *wrong, "", f"{held} of {len(made)} cells hold{aside}"]


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.surroundings")
    parser.add_argument("--short", action="store_true", help="the surroundings that CI runs each time")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=[], help="surroundings or commands with this in their names"
    )
    parser.add_argument("--list", action="store_true", help="name the surroundings and commands")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the cells")
    asked = parser.parse_args(args)
    places, chosen = choose(asked.only, asked.short)
    if asked.list:
        sys.stdout.write("\n".join([*(p.name for p in places), "", *(c.name for c in chosen)]) + "\n")
        return 0
    began = time.monotonic()
    found = run(places, chosen, lambda text: print(text, flush=True))  # noqa: T201
    print("\n".join(summary(found)) + f", in {time.monotonic() - began:.0f} s")  # noqa: T201
    if asked.json:
        asked.json.write_text(json.dumps([dataclasses.asdict(cell) for cell in found], indent=1))
    return int(any(cell.complaints for cell in found))


def choose(names: Sequence[str], short: bool) -> tuple[list[Place], list[Command]]:
    """The surroundings and commands that are asked for; a name that fits neither is an error."""
    places = [place for place in all_places() if place.short or not short]
    chosen = commands()
    fits = [[p for p in places if name in p.name] or [c for c in chosen if name == c.name] for name in names]
    if not all(fits):
        raise SystemExit(f"--only {names[fits.index([])]}: is in no surrounding's name and no command; see --list")
    some_places = [p for p in places if any(p in fit for fit in fits)]
    some_commands = [c for c in chosen if any(c in fit for fit in fits)]
    return some_places or places, some_commands or chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
