"""The matrix of surroundings, shorter than by hand: `python -m tests.reliability.surroundings`."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.reliability.commands import Command, commands
from tests.reliability.matrix import Matrix
from tests.reliability.places import Place, all_places
from tests.reliability.servers import servers

pytestmark = pytest.mark.slow
ALWAYS = "train json"
PLACES = [place for place in all_places() if place.short]


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    with tempfile.TemporaryDirectory(prefix="surroundings-") as folder, servers() as running:
        made = Matrix(Path(folder).resolve(), running)
        made.prepare()
        yield made
        made.clear()


def holds(matrix: Matrix, place: Place, chosen: Sequence[Command]) -> None:
    """Everything that is promised of these commands in that place; skipped where the place cannot be made."""
    found = list(matrix.row(place, chosen))
    assert {cell.command: cell.complaints for cell in found if cell.complaints} == {}
    if reasons := {cell.skipped for cell in found if cell.skipped}:
        pytest.skip("; ".join(reasons))


def test_the_matrix_tells_what_does_not_hold(matrix: Matrix) -> None:
    """A judge who finds nothing proves nothing: a place whose right outcome is said wrongly is complained of."""
    wrong = Place("nothing odd, judged wrongly", codes={"all": {1}})
    found = list(matrix.row(wrong, [command for command in commands() if command.name in ("inspect", "train json")]))
    assert [cell.complaints for cell in found] == [("ended with 0 instead of 1",)] * 2


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_what_is_promised_holds_in(place: Place, matrix: Matrix) -> None:
    """A training, and a third of the other commands, another one in the next place: all of them take many minutes."""
    third = PLACES.index(place) % 3
    chosen = [each for number, each in enumerate(commands()) if each.name == ALWAYS or number % 3 == third]
    holds(matrix, place, chosen)
