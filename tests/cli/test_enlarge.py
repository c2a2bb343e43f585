"""`gan sample CKPT -i …`: images and folders enlarged, and with --compare their comparison with bicubic and originals."""

import json
from pathlib import Path

import pytest
from PIL import Image, ImageCms

import gancli
from gancli import images
from gancli.cli import sample as cli
from gancli.metrics.super_resolution import bicubic, similarity
from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan, sha256
from tests.pictures import files, noise, plain


def test_the_default_name_is_next_to_the_input_and_overwrites_nothing(gan: Gan, enlarger: Path) -> None:
    noise("L", (8, 8)).save("photo.png")
    assert gan("sample", enlarger, "-i", "photo.png").out == "photo_x4.png\n"
    before = sha256(Path("photo_x4.png"))
    again = gan("sample", enlarger, "-i", "photo.png")
    assert_one_line(again, 2, "photo_x4.png: already exists; name the output file with -o")
    assert sha256(Path("photo_x4.png")) == before
    assert gan("sample", enlarger, "-i", "photo.png", "-o", "photo.png").code == 2
    Path("named.png").write_bytes(b"mine")
    assert gan("sample", enlarger, "-i", "photo.png", "-o", "named.png").code == 0
    assert sha256(Path("named.png")) == before


def test_transparency_and_metadata_are_kept_and_losses_are_reported(gan: Gan, enlarger: Path) -> None:
    image = noise("RGB", (10, 10))
    alpha = Image.linear_gradient("L").resize((10, 10))
    image.putalpha(alpha)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save("clear.png", icc_profile=profile, dpi=(300, 300))
    for name in ("large.png", "large.webp"):
        assert gan("sample", enlarger, "-i", "clear.png", "-o", name).code == 0
        with Image.open(name) as large:
            assert (large.size, large.mode, large.info["icc_profile"]) == ((40, 40), "RGBA", profile)
            expected = alpha.resize((40, 40), Image.Resampling.BICUBIC)
            assert large.getchannel("A").tobytes() == expected.tobytes()
    assert_one_line(gan("sample", enlarger, "-i", "clear.png", "-o", "large.jpg"), 2, "transparency")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Canon", 6
    odd = (1_500_000).to_bytes(4, "big") + profile[4:].ljust(1_499_996, b"\0")
    noise("RGB", (8, 6)).save("a.jpg", exif=exif, icc_profile=odd)
    outcome = gan("sample", enlarger, "-i", "a.jpg", "-o", "large.png")
    assert "warning: 1 image with a colour profile that does not fit: it is left out (a.jpg)" in outcome.err
    with Image.open("large.png") as large:
        assert large.size == (24, 32), "upright"
        assert (large.getexif()[0x010F], large.getexif()[0x0112]) == ("Canon", 1)
        assert "icc_profile" not in large.info


@pytest.mark.parametrize(("mode", "found"), [("LA", "LA"), ("P", "RGB"), ("CMYK", "RGB"), ("I;16", "L")])
def test_every_kind_of_image_is_enlarged(gan: Gan, enlarger: Path, mode: str, found: str) -> None:
    name = "photo.tif" if mode in ("CMYK", "I;16") else "photo.png"
    (noise("L", (9, 6)).convert("I").convert("I;16") if mode == "I;16" else noise("L", (9, 6)).convert(mode)).save(name)
    assert gan("sample", enlarger, "-i", name, "-o", "large.png").code == 0
    with Image.open("large.png") as image:
        assert (image.size, image.mode) == ((36, 24), found)


def test_a_folder_keeps_its_subfolders_and_skips_or_refuses_what_exists(gan: Gan, enlarger: Path, album: Path) -> None:
    flat = gan("sample", enlarger, "-i", album)
    assert (flat.code, flat.out) == (0, f"{album}_x4\n")
    assert files(album.with_name("album_x4")) == ["a.jpg.png", "a.png.png", "b.png"]
    assert gan("sample", enlarger, "-i", album, "-o", "out").code == 0
    Path("out/b.png").write_bytes(b"mine")
    assert_one_line(gan("sample", enlarger, "-i", album, "-o", "out"), 2, "--skip-existing")
    more = gan("sample", enlarger, "-i", album, "-o", "out", "--recursive", "--skip-existing", "--json")
    document = json.loads(more.out)
    assert [Path(one["output"]).name for one in document["files"]] == ["c.png", "d.png"]
    assert len(document["skipped"]) == 3
    assert Path("out/b.png").read_bytes() == b"mine"
    deep = gan("sample", enlarger, "-i", album, "-o", album / "out", "--recursive")
    assert (deep.code, "5/5" in deep.err) == (0, True), deep.err
    assert files(album / "out") == ["a.jpg.png", "a.png.png", "b.png", "deep/c.png", "deep/er/d.png"]


def test_usage_is_explained(gan: Gan, enlarger: Path, trained: Path, album: Path) -> None:
    for args, message in (
        (("sample", enlarger, "-n", 4), "-i FILE"),
        (("sample", trained, "-i", album), "does not enlarge"),
        (("sample", enlarger, "-i", "albun"), "did you mean album"),
        (("sample", enlarger, "-i", album, "-o", album), "originals"),
        (("sample", enlarger, "-i", album / "b.png", "-o", "x.npz"), "must end in"),
        (("sample", enlarger, "-i", album, "--tile", 0), "--tile 0"),
        (("sample", enlarger, "-i", album / "b.png", "--true", album / "b.png"), "--compare"),
        (
            ("sample", enlarger, "-i", album / "b.png", "--compare", "--true", "nowhere"),
            "--true nowhere: does not exist",
        ),
        (("sample", enlarger, "-i", album, "--compare", "--true", album / "b.png"), "must be a folder"),
        (("sample", enlarger, "--compare"), "-i"),
    ):
        assert_one_line(gan(*args), 2, message)
    (album / "only").mkdir()
    assert_one_line(gan("sample", enlarger, "-i", album / "only"), 1, "--recursive")


def test_a_slow_image_shows_progress_and_a_quick_one_does_not(
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


@pytest.fixture
def pairs() -> Path:
    """Three originals in `true`, and their quarters as inputs."""
    for name, size in (("a.png", (64, 48)), ("b.png", (48, 48)), ("deep/c.png", (64, 48))):
        for folder in ("true", "low"):
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
        whole = noise("RGB", size)
        whole.save(f"true/{name}")
        low = Path("low", name).with_suffix(".png" if "deep" in name else ".jpg")
        whole.resize((size[0] // 4, size[1] // 4), Image.Resampling.BICUBIC).save(low)
    return Path("low")


def test_a_comparison_is_measured_as_by_evaluate(gan: Gan, enlarger: Path, pairs: Path) -> None:
    done = gan("sample", enlarger, "-i", pairs, "--compare", "--true", "true", "-o", "out", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    found = document["figures"]["low/a.jpg"]
    with Image.open("true/a.png") as true, Image.open("low/a.jpg") as low:
        plain = similarity(bicubic(images.from_pil(low), 4), images.from_pil(true), 4)
        assert (found["bicubic"]["psnr"], found["bicubic"]["ssim"]) == pytest.approx(plain)
        model = similarity(images.from_pil(gancli.load(enlarger).enlarge(low)), images.from_pil(true), 4)
        assert (found["model"]["psnr"], found["model"]["ssim"]) == pytest.approx(model)
    assert f"bicubic {plain.psnr:.2f} dB" in done.err
    evaluated = json.loads(gan("evaluate", enlarger, "-d", "true", "--low-res", "low", "--json").out)
    psnr, ssim = evaluated["checkpoints"][0]["figures"]
    assert psnr["model"]["value"] == pytest.approx(document["mean"]["model"]["psnr"])
    assert ssim["real"]["value"] == pytest.approx(document["mean"]["bicubic"]["ssim"])


def test_panels_are_side_by_side_below_captions(gan: Gan, enlarger: Path, pairs: Path) -> None:
    assert gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare").out == "low/a_x4_compared.png\n"
    assert gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare", "--true", "true", "-o", "four.webp").code == 0
    with (
        Image.open("low/a_x4_compared.png") as three,
        Image.open("four.webp") as four,
        Image.open("true/a.png") as true,
    ):
        assert four.width > three.width >= 3 * 64
        right = four.convert("RGB").crop((0, 0, four.width, four.height - 8))
        found = [right.crop((x, right.height - 48, x + 64, right.height)).tobytes() for x in range(right.width - 63)]
        assert true.convert("RGB").tobytes() in found, "the original is shown as it is"


def test_a_folder_is_compared_image_by_image(gan: Gan, enlarger: Path, pairs: Path) -> None:
    done = gan("sample", enlarger, "-i", pairs, "--compare", "--true", "true", "--recursive", "--json")
    assert done.code == 0, done.err
    assert files(Path("low_x4_compared")) == ["a.png", "b.png", "deep/c.png"]
    assert len(json.loads(done.out)["figures"]) == 3
    assert "mean of 3: bicubic " in done.err


def test_an_original_that_is_missing_or_of_another_size_is_named(gan: Gan, enlarger: Path, pairs: Path) -> None:
    Path("true/a.png").unlink()
    done = gan("sample", enlarger, "-i", pairs, "--compare", "--true", "true", "-o", "out", "--json")
    assert done.code == 3
    assert "--true true: has no image named a" in done.err
    assert files(Path("out")) == ["b.png"]
    Image.new("RGB", (64, 40)).save("true/a.png")
    wrong = gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare", "--true", "true/a.png", "-o", "x.png")
    assert_one_line(wrong, 1, "--true true/a.png", "64×40", "64×48")
    Image.new("RGB", (67, 51)).save("true/a.png")  # the rows and columns beyond a multiple of 4 are cropped
    assert gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare", "--true", "true", "-o", "x.png").code == 0
