"""The surroundings: what a place is, and the lists of them, joined. Each says what is right in it, where that is known."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.reliability.cells import PLAIN, Cell, Names
from tests.reliability.commands import Command
from tests.reliability.servers import PYTHON, USUAL, Interpreter
from tests.reliability.streams import Streams

Arranged = Callable[[Cell], AbstractContextManager[None]]


@contextlib.contextmanager
def nothing(_: Cell) -> Iterator[None]:
    yield


@dataclass(frozen=True)
class Place:
    """A surrounding. `codes` are the exit codes that are right in it, by command, role read or `trains`, `makes`, `tells`;
    without, they are the command's own."""

    name: str
    faults: tuple[str, ...] = ()  # of faults.py; `{run}` and the like are paths of the cell
    environment: Mapping[str, str | None] = field(default_factory=dict)
    streams: Streams = USUAL
    names: Names = PLAIN
    given: Mapping[str, str] = field(default_factory=dict)  # roles of which the command line says something else
    absolute: bool = False  # the command line has absolute paths
    interpreter: Interpreter = PYTHON
    arranged: Arranged = nothing
    codes: Mapping[str, Iterable[int]] = field(default_factory=dict)
    only: frozenset[str] = frozenset()  # commands that it is about; empty: all
    more: tuple[str, ...] = ()  # arguments of a training
    event: str = ""  # what happens meanwhile: see meanwhile.py
    truth: str = ""  # what an error must say, as a regular expression
    absent: bool = False  # something is not there
    rival: bool = False  # another run is at work
    memory: bool = False  # memory is scarce
    colours: bool = False  # escape codes are welcome
    goes_on: bool = False  # a training trains to its end, whatever its exit code
    same_bytes: bool = True  # what is made is the same as elsewhere
    unlike: frozenset[str] = frozenset()  # commands that make or say something else there
    says_same: bool = True  # the commands that tell of no file say the same as elsewhere
    short: bool = False  # is in the short form

    def expected(self, command: Command) -> set[int]:
        """The exit codes that are right: of the command by name, else of the first kind of it that is listed."""
        kinds = {
            command.name,
            *command.reads,
            *(["trains"] if command.trains else []),
            *(["makes"] if command.makes else []),
            *(["tells"] if command.tells else []),
            "all",
        }
        return set(next((codes for kind, codes in self.codes.items() if kind in kinds), command.codes))

    def concerns(self, command: Command) -> bool:
        return not self.only or command.name in self.only


def all_places() -> list[Place]:
    """Every surrounding; the first is where nothing is odd, those with an interpreter of their own are the last."""
    from tests.reliability import places_of_disks, places_of_names, places_of_processes

    usual = Place("nothing odd", short=True)
    lists = (places_of_disks.places(), places_of_names.places(), places_of_processes.places())
    return sorted([usual, *itertools.chain(*lists)], key=lambda place: place.interpreter != PYTHON)
