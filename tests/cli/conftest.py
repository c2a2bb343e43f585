"""What tests of the command line share."""

from pathlib import Path

import pytest

from tests.pictures import noise


@pytest.fixture
def album(tmp_path: Path) -> Path:
    place = tmp_path / "album"
    (place / "deep" / "er").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "b.png", "deep/c.jpg", "deep/er/d.png"):
        noise("RGB", (8, 8)).save(place / name)
    (place / "notes.txt").write_text("no picture")
    return place
