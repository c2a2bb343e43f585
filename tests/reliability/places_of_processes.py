"""Surroundings that are processes: their streams, environment, interpreter, limits and signals, and other systems."""

import contextlib
from collections.abc import Iterator

from PIL import Image

from tests.reliability.cells import Cell
from tests.reliability.places import Place
from tests.reliability.servers import Interpreter
from tests.reliability.streams import Streams

WINDOWS = Interpreter(faults=("windows",))
WINDOWS_HOLDS = Interpreter(faults=("windows_holds",))
MACOS = Interpreter(faults=("macos",))
OPTIMISED = Interpreter(flags=("-OO", "-B"))
STRICT = Interpreter(flags=("-W", "error", "-bb"))
ISOLATED = Interpreter(flags=("-I",))
ASCII = Interpreter(environment=(("LC_ALL", "C"), ("PYTHONCOERCECLOCALE", "0"), ("PYTHONUTF8", "0")))
GROUPED = Interpreter(faults=("group",))
OWN = Interpreter(own_process=True)
SPACE = r"[Nn]o space left|stdout|standard output"


def _streams() -> list[Place]:
    told = {"stopped": {75}, "alone": {0, 1, 2}, "pipe": {1, 2}, "train json": {0, 1}, "tells": {0, 1}, "makes": {0, 1}}
    full = {"alone": {0, 1, 2}, "pipe": {1}, "train json": {0, 1}, "tells": {1}, "stopped": {75}, "makes": {0, 1}}
    gone = {"alone": {0, 2, 141}, "tells": {0, 141}, "stopped": {75, 141}, "all": {0, 141}}
    deaf = {"alone": {0, 2, 141}, "tells": {141}, "stopped": {75, 141}, "all": {0, 141}}
    closed = ("closed", "closed", "closed")
    return [
        Place("stdin closed", streams=Streams(stdin="closed"), short=True),
        Place("stdout closed", streams=Streams(stdout="closed"), codes=told, goes_on=True, says_same=False, short=True),
        Place("stderr closed", streams=Streams(stderr="closed"), short=True),
        Place("all streams closed", streams=Streams(*closed), codes=told, goes_on=True, says_same=False),
        Place("all closed, a process of its own", streams=Streams(*closed), codes=told, goes_on=True, interpreter=OWN,
              says_same=False, only=frozenset({"help", "inspect", "train", "grid"})),
        Place("stdout full", streams=Streams(stdout="full"), codes=full, goes_on=True, says_same=False, short=True),
        Place("stdout full, a process of its own", streams=Streams(stdout="full"), codes=full, goes_on=True,
              interpreter=OWN, says_same=False, only=frozenset({"help", "inspect", "train", "train json"})),
        Place("stdout full, unbuffered", environment={"PYTHONUNBUFFERED": "1"}, streams=Streams(stdout="full"), codes=full,
              goes_on=True, says_same=False),
        Place("nobody reads anything, unbuffered", environment={"PYTHONUNBUFFERED": "1"}, codes=deaf, goes_on=True,
              streams=Streams(stdout="nobody", stderr="nobody"), says_same=False),
        Place("stderr full", streams=Streams(stderr="full")),
        Place("stdout and stderr full", streams=Streams(stdout="full", stderr="full"), codes=full, goes_on=True,
              says_same=False),
        Place("the reader of stdout goes", streams=Streams(stdout="gone"), codes=gone, goes_on=True, says_same=False),
        Place("nobody reads stdout", streams=Streams(stdout="nobody"), codes=deaf, goes_on=True, says_same=False,
              short=True),
        Place("the reader of stderr goes", streams=Streams(stderr="gone")),
        Place("nobody reads stderr", streams=Streams(stderr="nobody"), goes_on=True, short=True),
        Place("nobody reads anything", streams=Streams(stdout="nobody", stderr="nobody"), codes=deaf, goes_on=True,
              says_same=False),
    ]  # fmt: skip


def _words() -> list[Place]:
    def spoken(encoding: str, short: bool = False) -> Place:
        return Place(f"stdout in {encoding}", environment={"PYTHONIOENCODING": encoding}, says_same=False, short=short)

    terminal, narrow = Streams(stdout="terminal", stderr="terminal"), Streams(stdout="narrow", stderr="narrow")
    pipe = {"pipe": {2}}
    return [
        *(
            spoken(encoding, encoding == "ascii")
            for encoding in ("latin-1", "cp1252", "ascii", "cp932", "ascii:strict")
        ),
        Place("LC_ALL=C", environment={"LC_ALL": "C", "LANG": None}),
        Place("LC_ALL=C in ASCII", environment={"LC_ALL": "C", "LANG": None}, interpreter=ASCII, says_same=False),
        Place("a terminal", streams=terminal, colours=True, codes=pipe, says_same=False),
        Place("a terminal of 20 columns", streams=narrow, colours=True, codes=pipe, says_same=False),
        Place("TERM=dumb", environment={"TERM": "dumb"}, streams=terminal, codes=pipe, says_same=False),
        Place("TERM unset", environment={"TERM": None}, streams=terminal, codes=pipe, says_same=False),
        Place(
            "COLUMNS=20", environment={"COLUMNS": "20", "LINES": "5"}, unlike=frozenset({"train help"}), says_same=False
        ),
        Place("COLUMNS that is no number", environment={"COLUMNS": "many", "LINES": ""}, says_same=False),
        Place("FORCE_COLOR=0", environment={"FORCE_COLOR": "0"}, says_same=False, short=True),
        Place("NO_COLOR", environment={"NO_COLOR": "1"}),
    ]


def _environments() -> list[Place]:
    away = {"GAN_DATA": None, "HOME": None}
    empty = {"GAN_DATA": "", "GAN_DEVICE": "", "GAN_THREADS": "", "GAN_PROGRESS": "", "GAN_DEBUG": ""}
    return [
        Place("no HOME", ("house:{home}",), away),
        Place("no HOME and an unknown user", ("nobody",), away, short=True),
        Place("a HOME that is not there", environment={"HOME": "/proc/none", "GAN_DATA": None}, absent=True),
        Place("an empty HOME", ("away:/.cache:EACCES",), environment={"HOME": "", "GAN_DATA": None}),
        Place("an unknown user", ("nobody",)),
        Place("empty GAN_ variables", environment=empty),
        Place("no TMPDIR", environment={"TMPDIR": "/proc/none"}),
        Place(
            "a deleted working directory",
            ("no_directory",),
            absolute=True,
            short=True,
            codes={
                "alone": {0, 1, 2},
                "stopped": {1, 75},
                "trains": {0, 1},
                "makes": {0, 1},
                "tells": {0, 1},
                "dry run": {0, 1},
                "resume": {0, 1},
            },
            truth="working directory",
        ),
        Place("python -OO", interpreter=OPTIMISED),
        Place("python -W error", interpreter=STRICT),
        Place("python -I", interpreter=ISOLATED),
        Place("a time zone that is none", environment={"TZ": "Nowhere/None"}),
        Place("umask 077", ("umask:077",)),
        Place("a clock that jumps", ("clock",)),
        Place("an unknown number of processors", ("cpus",)),
        Place("64 open files", ("limit:NOFILE:64",)),
        Place(
            "no more threads",
            ("threads",),
            truth="thread",
            codes={"dry run": {0, 1}, "evaluate": {0, 1}, "export": {0, 1}, "trains": {0, 1, 75}},
        ),
    ]


@contextlib.contextmanager
def _large_pictures(cell: Cell) -> Iterator[None]:
    for path in (cell.path("low") / cell.names.picture, cell.path("low") / "second.png"):
        Image.radial_gradient("L").convert("RGB").resize((240, 160)).save(path)
    yield


ENDLESS = ("--steps", "1000000")


def _limits() -> list[Place]:
    signals = {"trains": {75}}
    train = frozenset({"train", "train json"})
    little = {"trains": {0, 1, 75}, "enlarge all": {0, 1, 3}, "sr": {0, 1}, "run": {0, 1}}
    return [
        Place("80 MB of address space left", ("limit:AS:+80",), arranged=_large_pictures, codes=little, memory=True,
              truth="memory", same_bytes=False, only=frozenset({"train", "grid", "enlarge", "enlarge all", "evaluate"})),
        Place("100 MB left in a control group", ("room:100",), arranged=_large_pictures, codes=little, memory=True,
              truth="memory", same_bytes=False, interpreter=GROUPED,
              only=frozenset({"train", "grid", "enlarge", "enlarge all", "evaluate"})),
        Place("SIGTERM", only=train, event="SIGTERM", codes=signals, more=ENDLESS, same_bytes=False),
        Place("SIGHUP", only=train, event="SIGHUP", codes=signals, more=ENDLESS, same_bytes=False, short=True),
        Place("SIGHUP, ignored", ("ignored:SIGHUP",), only=train, event="SIGHUP", more=("--steps", "100"), same_bytes=False),
        Place("Ctrl-C twice", only=train, event="SIGINT SIGINT", codes={"trains": {75, 130}}, more=ENDLESS,
              same_bytes=False),
        Place("nobody reads on, and SIGHUP", streams=Streams(stdout="gone", stderr="gone"), only=train, event="SIGHUP",
              codes={"trains": {75, 141}}, more=ENDLESS, same_bytes=False),
    ]  # fmt: skip


def _systems() -> list[Place]:
    return [
        Place("Windows, by what it lacks", interpreter=WINDOWS, short=True),
        Place("Windows, which holds open files", interpreter=WINDOWS_HOLDS),
        Place("macOS, by what it lacks", interpreter=MACOS),
    ]


def places() -> list[Place]:
    return [*_streams(), *_words(), *_environments(), *_limits(), *_systems()]
