"""The one property, for every command in every surrounding.

A documented exit code; at most one line of error, which begins with `gan: ` and tells the truth; nothing overwritten or
deleted, nothing left about; no "unexpected", no traceback, no control characters, no hang; and where the right outcome is
known, that one, with everything made that should be.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.cells import ELSEWHERE, Cell, Names, unfinished
from tests.reliability.commands import Command
from tests.reliability.places import Place
from tests.reliability.products import ESCAPE, WrongError, some_state
from tests.reliability.servers import HUNG, LIMIT_S, Outcome

DOCUMENTED = {0, 1, 2, 3, 4, 75, 130, 141}
NOISE = re.compile(r"Traceback|unexpected|please report|Exception ignored|^  File \"|\w+Warning: ", re.MULTILINE)
ABSENT = re.compile(r"does not exist|[Nn]o such file|there is no|holds no|is no run|not found|is not there")
DENIED = re.compile(r"[Pp]ermission denied|cannot be read")  # with which the claim is no lie
RIVAL = re.compile(r"another run")
MEMORY = re.compile(r"out of memory")


@dataclass(frozen=True)
class Seen:
    """How a command ended in a place, and every file below its directory before and after, with hashes."""

    place: Place
    command: Command
    cell: Cell
    outcome: Outcome
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def done(self) -> bool:
        return self.outcome.code in (0, 75)

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.outcome.err.decode("utf-8", "replace").splitlines() if line.startswith("gan:")]


@dataclass(frozen=True)
class Reference:
    """What the commands make and say where nothing is odd: digests and stdout, by the command's name."""

    made: dict[str, str] = field(default_factory=dict)
    said: dict[str, bytes] = field(default_factory=dict)


def complaints(seen: Seen, reference: Reference) -> list[str]:
    """What is wrong with how a command ended; empty where the property holds."""
    code = seen.outcome.code
    wanted = seen.place.expected(seen.command)
    found = []
    if code == HUNG:
        found.append(f"no end after {LIMIT_S:.0f} s")
    elif code not in DOCUMENTED:
        found.append(f"ended with {code}, which is not documented")
    elif code not in wanted:
        found.append(f"ended with {code} instead of {' or '.join(map(str, sorted(wanted)))}")
    found += [*_of_streams(seen), *_of_disk(seen)]
    if code in wanted:
        found += [*_of_products(seen, reference), *_lies(seen)]
    killed = code == HUNG or (isinstance(code, int) and code < 0)
    left = [] if killed else [path.name for path in unfinished(seen.cell)]
    return [*found, *(f"left behind: {_shown(name)}" for name in left[:2])]


def _of_streams(seen: Seen) -> Iterator[str]:
    outcome, errors = seen.outcome, seen.error_lines
    out = b"" if seen.command.name == "pipe" else outcome.out
    text = _without_names(out.decode("utf-8", "replace"), seen.cell) + outcome.err.decode("utf-8", "replace")
    if noise := NOISE.search(text):
        yield f"said: {_shown(next(line for line in text.splitlines() if noise[0].strip() in line))}"
    if seen.place.colours:
        text = ESCAPE.sub("", text)
    if odd := {c for c in text if (c < " " and c != "\n") or c == "\x7f"}:
        yield f"control characters: {''.join(sorted(odd))!a}"
    # these two have a line for each that failed, too
    if len(errors) > 1 + (seen.command.name in ("enlarge all", "sweep")) * 5:
        yield f"{len(errors)} lines of error"
    if any(not line.removeprefix("gan:").strip() for line in errors):
        yield "an empty line of error"
    silent = not seen.done and outcome.code in DOCUMENTED - {130, 141} and not errors
    if silent and seen.place.streams.stderr == "file" and seen.command.name != "alone":
        yield f"exit code {outcome.code} without a word"


def _without_names(text: str, cell: Cell) -> str:
    """Stdout without the paths that were asked for: a program that reads it wants them as they are."""
    for role in dataclasses.fields(Names):
        if role.name != "classes":
            text = text.replace(str(getattr(cell.names, role.name)), "")
    return text


def _below(path: str, cell: Cell, place: str) -> bool:
    """Whether a path is that of a role of `Names`, or below it; `place` may be `role/file`."""
    role, _, rest = place.partition("/")
    if not role:
        return False
    name = "/".join(filter(None, (str(getattr(cell.names, role)).removeprefix("./"), rest)))
    path = path.removeprefix(f"{ELSEWHERE}/")
    return path == name or path.startswith(f"{name}/")


def _of_disk(seen: Seen) -> Iterator[str]:
    """What was there before must be there still, and nothing new but what was asked for."""
    before, after, command, cell = seen.before, seen.after, seen.command, seen.cell
    lost = [path for path, digest in before.items() if after.get(path) != digest]
    for path in lost:
        if not _below(path, cell, command.changes):
            yield f"{'overwrote' if path in after else 'deleted'} {_shown(path)}"
    if not seen.done and command.changes == "half":
        new = any(_below(p, cell, "half") and p.endswith(".safetensors") and p not in before for p in after)
        precious = [p for p in lost if p.endswith((".safetensors", ".toml", ".png")) and not new]
        yield from (f"failed, and lost {_shown(path)}" for path in precious)
    made = [p for p in after if p not in before]
    litter = [p for p in made if not _below(p, cell, command.makes) and not _below(p, cell, command.changes)]
    yield from (f"left {_shown(path)} about" for path in litter[:2])


def _of_products(seen: Seen, reference: Reference) -> Iterator[str]:
    command, outcome, place = seen.command, seen.outcome, seen.place
    if command.name in place.unlike:
        return
    product = some_state if place.event.startswith("SIG") else command.product
    if seen.done or (command.trains and place.goes_on):
        try:
            digest = product(seen.cell, outcome)
            if digest and place.same_bytes and seen.done and digest != reference.made.get(command.name, digest):
                yield "made other bytes than elsewhere"
        except (WrongError, ValueError, KeyError) as wrong:
            yield f"exit code {outcome.code}, but {wrong}"
    if command.same and place.says_same and outcome.out != reference.said.get(command.name, outcome.out):
        yield "said something else than elsewhere"


def _lies(seen: Seen) -> Iterator[str]:
    place, command = seen.place, seen.command
    for line in seen.error_lines if seen.outcome.code != 0 else []:
        for claim, is_true in ((ABSENT, place.absent), (RIVAL, place.rival), (MEMORY, place.memory)):
            if claim.search(line) and not is_true and not DENIED.search(line):
                yield f"not true: {_shown(line)}"
        if place.truth and not re.search(place.truth, line) and command.name != "alone":
            yield f"not the reason: {_shown(line)}"
        if command.makes and not command.trains and re.search(r"cannot be written|untouched", line):
            new = [p for p in seen.after if seen.after[p] != seen.before.get(p) and not p.endswith(".jsonl")]
            yield from (f"wrote {_shown(p)} that it says cannot be written" for p in new if Path(p).name in line)


def _shown(text: str) -> str:
    return ascii(text)[1:-1][:160]
