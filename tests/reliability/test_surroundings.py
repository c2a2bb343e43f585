"""Eight surroundings and three commands of the many that `python -m tests.reliability.surroundings` tries, and systems that
lack what only Linux has."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SMALL
from tests.reliability.places import COMMANDS, IN_CI, Place
from tests.reliability.surroundings import Cells

pytestmark = pytest.mark.slow
CHOSEN = [command for command in COMMANDS if command.name in ("train", "sample", "inspect")]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    return Cells(tmp_path_factory.mktemp("surroundings"))


@pytest.mark.parametrize("place", IN_CI, ids=lambda place: place.name)
def test_what_is_promised_holds_in(place: Place, cells: Cells) -> None:
    assert {each.name: found for each in CHOSEN if (found := cells.complaints(place, each))} == {}


def test_a_surrounding_that_is_judged_wrongly_is_complained_of(cells: Cells) -> None:
    """A judge who finds nothing proves nothing."""
    (inspect,) = (command for command in CHOSEN if command.name == "inspect")
    (complaint,) = cells.complaints(Place("judged wrongly", codes={"all": {1}}), inspect)
    assert complaint.startswith("ended with 0 instead of {1}")


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_a_run_trains_resumes_and_samples_without_what_only_linux_has(system: str, tmp_path: Path) -> None:
    train = ("train", *SMALL, "--out", tmp_path / "run", "--save-every", 2, "--progress", "none")
    for args in (
        (*train, "--steps", 2),
        (*train, "--steps", 4, "--resume", "auto"),
        ("sample", tmp_path / "run", "-n", 4, "-o", tmp_path / "grid.png"),
    ):
        command = [sys.executable, "-m", "tests.reliability.faults", system, "--", *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "state" / "step-00000004.safetensors").exists()
    assert (tmp_path / "grid.png").exists()
