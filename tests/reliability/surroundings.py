"""Every command in every surrounding: `python -m tests.reliability.surroundings [--short] [--only NAME…] [--list]`.

Prints a table, surroundings by commands, and what does not hold; the last line counts the cells. Ends with 1 where some do
not hold. `--json FILE` keeps the cells, to compare two runs. What is asked of each cell is said in judge.py.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.reliability.commands import Command, commands
from tests.reliability.matrix import NONE, Found, Matrix
from tests.reliability.places import Place, all_places
from tests.reliability.servers import servers


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
    with tempfile.TemporaryDirectory(prefix="surroundings-") as folder, servers() as running:
        matrix = Matrix(Path(folder).resolve(), running)
        matrix.prepare()
        write(heading(chosen, width))
        for place in places:
            row = {cell.command: cell for cell in matrix.row(place, chosen)}
            found += row.values()
            marks = " ".join(row[c.name].mark if c.name in row else NONE for c in chosen)
            write(f"{place.name:<{width}}{marks}".rstrip())
        matrix.clear()
    return found


def summary(found: Sequence[Found]) -> list[str]:
    made = [cell for cell in found if not cell.skipped]
    skipped = {cell.skipped.strip() for cell in found if cell.skipped}
    wrong = list(faults_of(made))
    aside = f" ({len(found) - len(made)} could not be made here: {'; '.join(sorted(skipped))})" if skipped else ""
    held = sum(not cell.complaints for cell in made)
    return [*(["", "what does not hold:"] if wrong else []), *wrong, "", f"{held} of {len(made)} cells hold{aside}"]


def changes(before: Sequence[Mapping[str, Any]], now: Sequence[Found]) -> Iterator[str]:
    """How many cells hold that did not before, and which do not that did."""
    held = {(cell["place"], cell["command"]): not cell["complaints"] for cell in before if not cell["skipped"]}
    both = [cell for cell in now if not cell.skipped and (cell.place, cell.command) in held]
    mended = [cell for cell in both if not cell.complaints and not held[cell.place, cell.command]]
    broken = [cell for cell in both if cell.complaints and held[cell.place, cell.command]]
    yield f"of {len(both)} cells in both runs, {sum(held[c.place, c.command] for c in both)} held before"
    yield f"{len(mended)} hold now that did not; {len(broken)} do not that did:"
    yield from (f"  {cell.place}: {cell.command}: {'; '.join(cell.complaints)}" for cell in broken)


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.surroundings")
    parser.add_argument("--short", action="store_true", help="the surroundings that CI runs each time")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=[], help="surroundings or commands with this in their names"
    )
    parser.add_argument("--list", action="store_true", help="name the surroundings and commands")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the cells")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="tell what changed since the cells kept there")
    asked = parser.parse_args(args)
    places, chosen = choose(asked.only, asked.short)
    if asked.list:
        sys.stdout.write("\n".join([*(p.name for p in places), "", *(c.name for c in chosen)]) + "\n")
        return 0
    began = time.monotonic()
    found = run(places, chosen, lambda text: print(text, flush=True))  # noqa: T201
    print("\n".join(summary(found)) + f", in {time.monotonic() - began:.0f} s")  # noqa: T201
    if asked.compare:
        print("\n".join(changes(json.loads(asked.compare.read_text()), found)))  # noqa: T201
    if asked.json:
        asked.json.write_text(json.dumps([dataclasses.asdict(cell) for cell in found], indent=1))
    return int(any(cell.complaints for cell in found))


def choose(names: Sequence[str], short: bool) -> tuple[list[Place], list[Command]]:
    """The surroundings and commands that are asked for; a name that fits neither is an error."""
    places, chosen = [place for place in all_places() if place.short or not short], commands()
    some_commands = [command for command in chosen if command.name in names]
    rest = [name for name in names if name not in {command.name for command in chosen}]
    some_places = [place for place in places if any(name in place.name for name in rest)]
    for name in rest:
        if not any(name in place.name for place in places):
            raise SystemExit(f"--only {name}: is in no surrounding's name, and no command; --list shows them")
    return some_places or places, some_commands or chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
