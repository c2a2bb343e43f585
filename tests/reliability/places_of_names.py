"""Surroundings that are names: of files and folders, and where they lie to each other."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from tests.reliability.cells import ELSEWHERE, PLAIN, Cell, Names, all_called
from tests.reliability.places import Place

ODD = {
    "blanks, commas and quotes": """ a "b", 'c' """,
    "markup and patterns": "[bold red]100% [b]*?{}$HOME\\~#",
    "other scripts": "é e\u0301 東京 🙂",
    "a dash at the beginning": "./-",
}
# what cannot be printed may be refused for what is recorded, if the truth is told
UNPRINTABLE = {
    "new lines and escapes": ("a\nb\tc\x1b[31m", "control characters"),
    "directions": ("a\u202eb", "control characters"),
    "undecodable bytes": ("b\udcff\udc80d", "UTF-8|[bB]ytes|[dD]ecod|[eE]ncod|text"),
}
REFUSED = {"dry run": {0, 2}, "stopped": {2, 75}, "trains": {0, 2}}


def _longest(letter: str) -> Names:
    """Names of 255 bytes, as long as most file systems take."""
    per_letter = len(letter.encode())

    def name(end: str) -> str:
        room = 255 - len(end)
        return letter * (room // per_letter) + "x" * (room % per_letter) + end

    files = {"picture": ".png", "grid": "g.png", "array": ".npz", "enlarged": "e.png"}
    folders = {role: role[:3] for role in ("run", "half", "sr", "pics", "photos", "low", "out", "drawn", "big", "hub")}
    return Names(**{role: name(end) for role, end in (files | folders).items()}, classes=(name("1"), name("2")))


@contextlib.contextmanager
def _deep(cell: Cell) -> Iterator[None]:
    """A place to write to whose path is just short enough for itself."""
    place = cell.path("out").parent
    place.mkdir(parents=True)
    yield


def _deep_names() -> Names:
    return replace(PLAIN, out="/".join(["d" * 250] * 15) + "/" + "o" * 200)


@contextlib.contextmanager
def _named_like_results(cell: Cell) -> Iterator[None]:
    """A neighbour of the same name with another ending, and folders where files will go."""
    (cell.work / "one.png.part").write_text("mine")
    (cell.work / "out.lock").write_text("mine")
    yield


@contextlib.contextmanager
def _folders_in_the_way(cell: Cell) -> Iterator[None]:
    for role in ("grid", "array", "enlarged", "page"):
        (cell.path(role) / "full").mkdir(parents=True)
        (cell.path(role) / "full" / "of.txt").write_text("things")
    for role in ("out", "drawn", "big", "hub"):
        cell.path(role).write_text("a file")
    yield


@contextlib.contextmanager
def _links(cell: Cell) -> Iterator[None]:
    """Everything lies elsewhere."""
    (cell.work / ELSEWHERE).mkdir()
    for role in ("run", "half", "sr", "pics", "low", "photos"):
        name = cell.path(role).name
        cell.path(role).rename(cell.work / ELSEWHERE / name)
        cell.path(role).symlink_to(f"{ELSEWHERE}/{name}")
    yield


@contextlib.contextmanager
def _somebodys_config(cell: Cell) -> Iterator[None]:
    """A directory of another program, which has a file of the same name."""
    cell.path("out").mkdir()
    (cell.path("out") / "config.toml").write_text('title = "my site"\n')
    yield


def places() -> list[Place]:
    long_truth = r"too long|255|name"
    refused, trainings = (
        {"dry run": {0, 1, 2}, "trains": {1, 2}},
        frozenset({"dry run", "train", "train json", "stopped"}),
    )
    inside_of_it = frozenset({"grid", "enlarge", "array"})
    ways = {"makes": {1, 2}, "resume": {0}}
    inside = replace(PLAIN, run="pics/run", half="pics/half", out="pics/out", sr="photos/sr", grid="pics/grid.png")
    return [
        *(Place(what, names=all_called(name), short="quotes" in what) for what, name in ODD.items()),
        *(
            Place(what, names=all_called(name), codes=REFUSED, truth=truth, short="lines" in what)
            for what, (name, truth) in UNPRINTABLE.items()
        ),
        Place("hidden folders", names=replace(all_called(".hidden"), classes=PLAIN.classes, picture=PLAIN.picture)),
        Place("names of 255 bytes", names=_longest("n"), short=True),
        Place("names of 255 bytes, two to a letter", names=_longest("é")),
        Place("a path of almost 4,096 bytes", names=_deep_names(), arranged=_deep, only=frozenset({"train", "stopped"}),
              codes={"stopped": {75, 1}, "trains": {0, 1}}, truth=long_truth),
        Place("runs inside the data set", names=inside, short=True),
        Place("absolute paths", absolute=True),
        Place("a stranger's home", given={"pics": "~nosuchuser/pics"}, codes={"resume": {0}, "pics": {1, 2}}, absent=True,
              only=trainings),
        Place("links instead of folders", arranged=_links),
        Place("neighbours named like part files", arranged=_named_like_results),
        Place("folders where files go, files where folders go", arranged=_folders_in_the_way, unlike=inside_of_it,
              codes={"dry run": {0, 1, 2}, "resume": {0}, **{name: {0, 1, 2} for name in inside_of_it}, **ways}),
        Place("somebody's config.toml in --out", arranged=_somebodys_config, codes=refused, absent=True, only=trainings),
        Place("the same, with --resume auto", arranged=_somebodys_config, codes=refused, absent=True,
              only=trainings, more=("--resume", "auto")),
    ]  # fmt: skip
