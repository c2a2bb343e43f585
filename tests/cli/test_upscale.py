"""`gan sample CKPT -i …`: files and folders enlarged."""

import json
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from gancli.cli import sample as cli
from tests.conftest import Gan, sha256
from tests.pictures import files, noise, plain


def test_without_a_name_it_lies_beside_the_original_and_overwrites_nothing(gan: Gan, enlarger: Path) -> None:
    noise("L", (8, 8)).save("photo.png")
    assert gan("sample", enlarger, "-i", "photo.png").out == "photo_x4.png\n"
    before = sha256(Path("photo_x4.png"))
    again = gan("sample", enlarger, "-i", "photo.png")
    assert again.code == 2
    assert "photo_x4.png: already exists; name the output file with -o" in again.err
    assert sha256(Path("photo_x4.png")) == before
    assert gan("sample", enlarger, "-i", "photo.png", "-o", "photo.png").code == 2
    Path("named.png").write_bytes(b"mine")
    assert gan("sample", enlarger, "-i", "photo.png", "-o", "named.png").code == 0
    assert sha256(Path("named.png")) == before


def test_alpha_and_colour_profile_are_kept(gan: Gan, enlarger: Path) -> None:
    picture = noise("RGB", (10, 10))
    alpha = Image.linear_gradient("L").resize((10, 10))
    picture.putalpha(alpha)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save("clear.png", icc_profile=profile)
    for name in ("large.png", "large.webp"):
        assert gan("sample", enlarger, "-i", "clear.png", "-o", name).code == 0
        with Image.open(name) as image:
            assert (image.size, image.mode) == ((40, 40), "RGBA")
            expected = alpha.resize((40, 40), Image.Resampling.BICUBIC)
            assert image.getchannel("A").tobytes() == expected.tobytes()
            assert image.info["icc_profile"] == profile
    refused = gan("sample", enlarger, "-i", "clear.png", "-o", "large.jpg")
    assert refused.code == 2
    assert "transparency" in refused.err


@pytest.mark.parametrize("mode", ["LA", "P", "CMYK", "I;16"])
def test_every_kind_of_picture_is_enlarged(gan: Gan, enlarger: Path, mode: str) -> None:
    name = "photo.tif" if mode in ("CMYK", "I;16") else "photo.png"
    (noise("L", (9, 6)).convert("I").convert("I;16") if mode == "I;16" else noise("L", (9, 6)).convert(mode)).save(name)
    assert gan("sample", enlarger, "-i", name, "-o", "large.png").code == 0
    with Image.open("large.png") as image:
        assert image.size == (36, 24)
        assert image.mode == ("LA" if mode == "LA" else "RGB" if mode in ("P", "CMYK") else "L")


def test_a_folder_keeps_its_subfolders_and_names(gan: Gan, enlarger: Path, album: Path, tmp_path: Path) -> None:
    flat = gan("sample", enlarger, "-i", album)
    assert (flat.code, flat.out) == (0, f"{album}_x4\n")
    assert files(tmp_path / "album_x4") == ["a.jpg.png", "a.png.png", "b.png"]
    deep = gan("sample", enlarger, "-i", album, "-o", album / "out", "--recursive")
    assert deep.code == 0, deep.err
    assert files(album / "out") == ["a.jpg.png", "a.png.png", "b.png", "deep/c.png", "deep/er/d.png"]
    assert "5/5" in deep.err


def test_what_is_there_is_skipped_or_refused_and_never_overwritten(gan: Gan, enlarger: Path, album: Path) -> None:
    assert gan("sample", enlarger, "-i", album, "-o", "out").code == 0
    Path("out/b.png").write_bytes(b"mine")
    refused = gan("sample", enlarger, "-i", album, "-o", "out")
    assert refused.code == 2
    assert "--skip-existing" in refused.err
    more = gan("sample", enlarger, "-i", album, "-o", "out", "--recursive", "--skip-existing", "--json")
    assert more.code == 0
    document = json.loads(more.out)
    assert [Path(one["output"]).name for one in document["files"]] == ["c.png", "d.png"]
    assert len(document["skipped"]) == 3
    assert Path("out/b.png").read_bytes() == b"mine"


def test_a_bad_file_does_not_stop_the_rest(gan: Gan, enlarger: Path, album: Path) -> None:
    (album / "a.jpg").write_bytes((album / "a.jpg").read_bytes()[:200])
    outcome = gan("sample", enlarger, "-i", album, "-o", "out", "--json")
    assert outcome.code == 3
    assert "1 of 3 images failed" in outcome.err
    assert "a.jpg" in outcome.err
    document = json.loads(outcome.out)
    assert (len(document["files"]), list(document["failed"])) == (2, [str(album / "a.jpg")])
    assert files(Path("out")) == ["a.png.png", "b.png"]


def test_usage_is_explained(gan: Gan, enlarger: Path, trained: Path, album: Path) -> None:
    for args, word in (
        (("sample", enlarger, "-n", 4), "-i FILE"),
        (("sample", trained, "-i", album), "reads none"),
        (("sample", enlarger, "-i", "albun"), "did you mean album"),
        (("sample", enlarger, "-i", album, "--label", "3"), "--label 3"),
        (("sample", enlarger, "-i", album, "-o", album), "originals"),
        (("sample", enlarger, "-i", album / "b.png", "-o", "x.npz"), "must end in"),
        (("sample", enlarger, "-i", album, "--tile", 0), "--tile 0"),
    ):
        outcome = gan(*args)
        assert outcome.code == 2, args
        assert word in outcome.err
        assert outcome.err.count("\n") == 1
    (album / "only").mkdir()
    empty = gan("sample", enlarger, "-i", album / "only")
    assert empty.code == 1
    assert "--recursive" in empty.err


def test_a_slow_picture_shows_how_far_it_is_and_a_quick_one_does_not(
    gan: Gan, enlarger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain("a.png", (64, 64))
    quick = gan("sample", enlarger, "-i", "a.png", "-o", "x.png", "--tile", "32")
    assert (quick.code, quick.err) == (0, "")
    monkeypatch.setattr(cli, "QUIET_S", 0.0)
    slow = gan("sample", enlarger, "-i", "a.png", "-o", "y.png", "--tile", "32")
    assert "enlarging a.png: 1 of 4 tiles" in slow.err
    assert "writing y.png" in slow.err
    assert sha256(Path("x.png")) == sha256(Path("y.png"))


def test_what_is_said_of_a_picture_is_kept_and_what_is_lost_is_told(gan: Gan, enlarger: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Canon", 6
    profile = (1_500_000).to_bytes(4, "big") + ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()[4:]
    noise("RGB", (8, 6)).save("a.jpg", exif=exif, dpi=(300, 300), icc_profile=profile.ljust(1_500_000, b"\0"))
    outcome = gan("sample", enlarger, "-i", "a.jpg", "-o", "large.png")
    assert (outcome.code, outcome.out) == (0, "large.png\n")
    assert "warning: 1 image with a colour profile that does not fit: it is left out (a.jpg)" in outcome.err
    with Image.open("large.png") as image:
        image.load()
        assert image.size == (24, 32)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert (image.getexif()[0x010F], image.getexif()[0x0112]) == ("Canon", 1)
        assert "icc_profile" not in image.info
