"""Images to enlarge out of zips and tars."""

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan
from tests.pictures import noise


@pytest.fixture
def archives() -> None:
    """A folder `album`, and the same in a zip and two tars next to it."""
    for index, name in enumerate(("a.png", "b.jpg", "in/a.png")):
        path = Path("album", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        noise("RGB", (12 + index, 9)).save(path)
    Path("album/notes.txt").write_text("no image")
    with zipfile.ZipFile("album.zip", "w") as archive:
        for path in sorted(Path("album").rglob("*")):
            archive.write(path, path.relative_to("album"))
    for name, mode in (("album.tar", "w"), ("album.tgz", "w:gz")):
        with tarfile.open(name, mode) as tar:  # type: ignore[call-overload]
            tar.add("album", ".")


def contents(folder: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


@pytest.mark.usefixtures("archives")
def test_an_archive_is_enlarged_as_its_folder_is(gan: Gan, enlarger: Path) -> None:
    assert gan("sample", enlarger, "-i", "album", "--recursive", "-o", "from-folder").code == 0
    for name in ("album.zip", "album.tar", "album.tgz"):
        outcome = gan("sample", enlarger, "-i", name, "-o", f"from-{name}")
        assert (outcome.code, outcome.out) == (0, f"from-{name}\n"), outcome.err
        assert contents(f"from-{name}") == contents("from-folder")
    assert sorted(contents("from-folder")) == ["a.png", "b.png", "in/a.png"]
    assert gan("sample", enlarger, "-i", "album.tgz").out == "album_x4\n"
    Path("album_x4/b.png").unlink()
    again = gan("sample", enlarger, "-i", "album.tgz", "--skip-existing", "--json")
    assert (again.code, len(json.loads(again.out)["skipped"]), len(contents("album_x4"))) == (0, 2, 3)
    existing = gan("sample", enlarger, "-i", "album.tgz")
    assert_one_line(existing, 2, "-o album_x4: already has 3 of these 3 files")


@pytest.mark.usefixtures("archives")
def test_a_bad_image_in_an_archive_does_not_stop_the_others(gan: Gan, enlarger: Path) -> None:
    with zipfile.ZipFile("album.zip", "a") as archive:
        archive.writestr("bad.png", b"no image")
        archive.writestr("../outside.png", Path("album/a.png").read_bytes())
    outcome = gan("sample", enlarger, "-i", "album.zip", "-o", "large")
    assert outcome.code == 3
    assert "album.zip/bad.png: not an image" in outcome.err
    assert len(contents("large")) == 3
    assert not Path("outside.png").exists()
    assert "outside" in outcome.err


@pytest.mark.usefixtures("archives")
def test_errors_are_one_line(gan: Gan, enlarger: Path) -> None:
    with zipfile.ZipFile("texts.zip", "w") as archive:
        archive.write("album/notes.txt", "notes.txt")
    Path("broken.zip").write_bytes(b"PK\x03\x04")
    Path("broken.tar").write_bytes(b"no tar" * 200)
    for args, code, message in (
        (("album.zip", "--recursive"), 2, "--recursive: is for a folder; of album.zip all images are used"),
        (("album.zip", "-o", "-"), 2, "-o -: must be a directory, as -i album.zip contains several images"),
        (("album.zip", "-o", "x.png"), 2, "-o x.png: must be a directory"),
        (("texts.zip",), 1, "-i texts.zip: contains no images"),
        (("broken.zip",), 1, "-i broken.zip: neither a folder nor a zip"),
        (("broken.tar",), 1, "-i broken.tar: cannot be read as a tar"),
    ):
        outcome = gan("sample", enlarger, "-i", *args)
        assert (outcome.code, outcome.out) == (code, "")
        assert outcome.err.splitlines()[-1].startswith(f"gan: {message}")
    assert not Path("texts_x4").exists()
