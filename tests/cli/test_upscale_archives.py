"""Pictures to enlarge, and to measure enlarging with, out of zips and tars."""

import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Gan


@pytest.fixture
def album() -> Path:
    """A folder of pictures and subfolders, and the same in a zip and two tars beside it."""
    for index, name in enumerate(("a.png", "b.jpg", "in/a.png")):
        path = Path("album", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((12 + index, 9), 60).convert("RGB").save(path)
    Path("album/notes.txt").write_text("no picture")
    with zipfile.ZipFile("album.zip", "w") as archive:
        for path in sorted(Path("album").rglob("*")):
            archive.write(path, path.relative_to("album"))
    for name, mode in (("album.tar", "w"), ("album.tgz", "w:gz")):
        with tarfile.open(name, mode) as tar:  # type: ignore[call-overload]
            tar.add("album", ".")
    return Path("album")


def files(folder: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def test_an_archive_is_enlarged_as_its_folder_is(gan: Gan, enlarger: Path, album: Path) -> None:
    assert gan("sample", enlarger, "-i", album, "--recursive", "-o", "from-folder").code == 0
    for name in ("album.zip", "album.tar", "album.tgz"):
        outcome = gan("sample", enlarger, "-i", name, "-o", f"from-{name}")
        assert (outcome.code, outcome.out) == (0, f"from-{name}\n"), outcome.err
        assert files(f"from-{name}") == files("from-folder")
    assert sorted(files("from-folder")) == ["a.png", "b.png", "in/a.png"]
    assert gan("sample", enlarger, "-i", "album.tgz").out == "album_x4\n"
    Path("album_x4/b.png").unlink()
    again = gan("sample", enlarger, "-i", "album.tgz", "--skip-existing", "--json")
    assert (again.code, len(json.loads(again.out)["skipped"]), len(files("album_x4"))) == (0, 2, 3)
    there = gan("sample", enlarger, "-i", "album.tgz")
    assert there.code == 2
    assert "-o album_x4: already has 3 of these 3 files" in there.err


def test_a_bad_picture_in_an_archive_does_not_stop_the_rest(gan: Gan, enlarger: Path, album: Path) -> None:
    with zipfile.ZipFile("album.zip", "a") as archive:
        archive.writestr("bad.png", b"no picture")
        archive.writestr("../outside.png", (album / "a.png").read_bytes())
    outcome = gan("sample", enlarger, "-i", "album.zip", "-o", "large")
    assert outcome.code == 3
    assert "album.zip/bad.png: not an image" in outcome.err
    assert len(files("large")) == 3
    assert not Path("outside.png").exists()
    assert "outside" in outcome.err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("-i", "album.zip", "--recursive"), 2, "--recursive: is for a folder; of album.zip all pictures are taken"),
        (("-i", "album.zip", "-o", "-"), 2, "-o -: must be a directory, as -i album.zip holds several pictures"),
        (("-i", "album.zip", "-o", "x.png"), 2, "-o x.png: must be a directory"),
        (("-i", "texts.zip"), 1, "-i texts.zip: holds no pictures"),
        (("-i", "broken.zip"), 1, "-i broken.zip: neither a folder nor a zip"),
        (("-i", "broken.tar"), 1, "-i broken.tar: cannot be read as a tar"),
    ],
)
def test_errors_are_one_line(
    gan: Gan, enlarger: Path, album: Path, args: tuple[object, ...], code: int, words: str
) -> None:
    with zipfile.ZipFile("texts.zip", "w") as archive:
        archive.write(album / "notes.txt", "notes.txt")
    Path("broken.zip").write_bytes(b"PK\x03\x04")
    Path("broken.tar").write_bytes(b"no tar" * 200)
    outcome = gan("sample", enlarger, *args)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.splitlines()[-1].startswith(f"gan: {words}")
    assert not Path("texts_x4").exists()


def measured(gan: Gan, enlarger: Path, *args: object) -> tuple[float, float, int]:
    outcome = gan("evaluate", enlarger, "--json", *args)
    assert outcome.code == 0, outcome.err
    psnr = json.loads(outcome.out)["checkpoints"][0]["figures"][0]
    return psnr["model"]["value"], psnr["real"]["value"], psnr["count"]


def test_true_pictures_may_lie_in_an_archive(gan: Gan, enlarger: Path) -> None:
    for kind, side in (("HR", 48), ("LRx4", 12)):
        Path("set", kind).mkdir(parents=True)
        for index in range(2):
            rough = Image.effect_noise((6, 6), 20 + 40 * index)
            rough.resize((48, 48), Image.Resampling.BICUBIC).resize((side, side)).save(f"set/{kind}/{index}.png")
    for name, inside in (("top.zip", "Set5/"), ("flat.zip", "")):
        with zipfile.ZipFile(name, "w") as archive:
            for path in sorted(Path("set").rglob("*.png")):
                archive.write(path, f"{inside}{path.relative_to('set')}")
    with tarfile.open("true.tar", "w") as tar:
        tar.add("set/HR", ".")
    pairs, alone = measured(gan, enlarger, "-d", "set"), measured(gan, enlarger, "-d", "set/HR")
    assert pairs[2] == alone[2] == 2
    assert pairs != alone
    assert measured(gan, enlarger, "-d", "top.zip") == measured(gan, enlarger, "-d", "flat.zip") == pairs
    assert measured(gan, enlarger, "-d", "true.tar") == alone
    assert measured(gan, enlarger, "-d", "true.tar", "--low-res", "set/LRx4") == pairs


def test_a_set_of_another_scale_has_its_low_resolution_pictures_made(gan: Gan, enlarger: Path) -> None:
    for kind, side in (("HR", 48), ("LRx2", 24)):
        Path("set", kind).mkdir(parents=True)
        Image.effect_noise((48, 48), 60).resize((side, side)).save(f"set/{kind}/0.png")
    with zipfile.ZipFile("set.zip", "w") as archive:
        for path in sorted(Path("set").rglob("*.png")):
            archive.write(path, path)
    alone = measured(gan, enlarger, "-d", "set/HR")
    for place in ("set", "set.zip"):
        assert measured(gan, enlarger, "-d", place) == alone
        outcome = gan("evaluate", enlarger, "-d", place)
        assert (
            f"note: --dataset {place}: no LRx4 beside HR: the low-resolution pictures are made of those in HR"
            in outcome.err
        )


def test_what_is_no_place_of_true_pictures_is_told_truly(gan: Gan, enlarger: Path) -> None:
    Path("photographs").mkdir()
    for args, code, words in (
        (
            ("-d", "leaves"),
            2,
            "--dataset leaves: is the name of a dataset; expected a folder, zip or tar of images",
        ),
        (("-d", "photograps"), 1, "--dataset photograps: does not exist (did you mean photographs?)"),
        (("-d", "photographs"), 1, "--dataset photographs: holds no images"),
        (("-d", "photographs", "--low-res", "none"), 1, "--low-res none: does not exist"),
    ):
        outcome = gan("evaluate", enlarger, *args)
        assert (outcome.code, outcome.err) == (code, f"gan: {words}\n")
