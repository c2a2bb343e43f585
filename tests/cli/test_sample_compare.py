"""`gan sample CKPT -i … --compare`: input, bicubic, model and the true picture side by side, with PSNR and SSIM."""

import json
from pathlib import Path

import pytest
from PIL import Image

import gancli
from gancli import images
from gancli.metrics.super_resolution import bicubic, similarity
from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan
from tests.pictures import files, noise


@pytest.fixture
def pairs() -> Path:
    """Two true pictures, and their quarters as inputs."""
    for name, size in (("a", (64, 48)), ("b", (48, 48))):
        Path("true/deep").mkdir(parents=True, exist_ok=True)
        Path("low/deep").mkdir(parents=True, exist_ok=True)
        whole = noise("RGB", size).resize(size)
        whole.save(f"true/{name}.png")
        whole.resize((size[0] // 4, size[1] // 4), Image.Resampling.BICUBIC).save(f"low/{name}.jpg", quality=95)
    Image.open("true/a.png").save("true/deep/c.png")
    Image.open("low/a.jpg").save("low/deep/c.png")
    return Path("low")


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_picture_is_compared_and_measured_as_evaluate_does(gan: Gan, enlarger: Path, pairs: Path) -> None:
    done = gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare", "--true", "true/a.png", "-o", "c.png", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    (figures,) = document["figures"].values()
    assert document["files"][0]["output"] == "c.png"
    with Image.open("true/a.png") as true, Image.open(pairs / "a.jpg") as low:
        plain = similarity(bicubic(images.from_pil(low), 4), images.from_pil(true), 4)
        assert (figures["bicubic"]["psnr"], figures["bicubic"]["ssim"]) == pytest.approx(plain)
        ours = similarity(images.from_pil(gancli.load(enlarger).enlarge(low)), images.from_pil(true), 4)
        assert (figures["model"]["psnr"], figures["model"]["ssim"]) == pytest.approx(ours)
    assert f"bicubic {plain.psnr:.2f} dB" in done.err
    Path("t").mkdir()
    Path("l").mkdir()
    Path("true/a.png").rename("t/a.png")
    (pairs / "a.jpg").rename("l/a.jpg")
    measured = json.loads(gan("evaluate", enlarger, "-d", "t", "--low-res", "l", "--json").out)["checkpoints"][0][
        "figures"
    ]
    assert measured[0]["model"]["value"] == pytest.approx(figures["model"]["psnr"])
    assert measured[1]["real"]["value"] == pytest.approx(figures["bicubic"]["ssim"])


def test_panels_stand_side_by_side_under_captions(gan: Gan, enlarger: Path, pairs: Path) -> None:
    assert gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare").out == "low/a_x4_compared.png\n"
    width, height = size_of("low/a_x4_compared.png")
    assert height >= 48
    assert width >= 3 * 64
    assert gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare", "--true", "true", "-o", "four.webp").code == 0
    assert size_of("four.webp")[0] > width
    with Image.open("four.webp") as four, Image.open("true/a.png") as true:
        right = four.convert("RGB").crop((0, 0, four.width, four.height - 8))
        found = [right.crop((x, right.height - 48, x + 64, right.height)).tobytes() for x in range(right.width - 63)]
        assert true.convert("RGB").tobytes() in found, "the true picture is there as it is"


def test_a_folder_is_compared_picture_by_picture(gan: Gan, enlarger: Path, pairs: Path) -> None:
    done = gan("sample", enlarger, "-i", pairs, "--compare", "--true", "true", "--recursive", "--json")
    assert done.code == 0, done.err
    assert files(Path("low_x4_compared")) == ["a.png", "b.png", "deep/c.png"]
    document = json.loads(done.out)
    values = [each["model"]["psnr"] for each in document["figures"].values()]
    assert len(values) == 3
    assert document["mean"]["model"]["psnr"] == pytest.approx(sum(values) / 3)
    assert "mean of 3: bicubic " in done.err


def test_a_true_picture_that_is_missing_or_of_another_size_is_named_and_the_rest_is_done(
    gan: Gan, enlarger: Path, pairs: Path
) -> None:
    Path("true/a.png").unlink()
    done = gan("sample", enlarger, "-i", pairs, "--compare", "--true", "true", "-o", "out", "--json")
    assert done.code == 3
    assert "--true true: has no picture named a" in done.err
    assert files(Path("out")) == ["b.png"]
    Image.new("RGB", (64, 40)).save("true/a.png")
    wrong = gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare", "--true", "true/a.png", "-o", "x.png")
    assert_one_line(wrong, 1, "--true true/a.png", "64×40", "64×48")
    Image.new("RGB", (67, 51)).save("true/a.png")  # rows and columns that are no multiple of 4 are left out
    assert gan("sample", enlarger, "-i", pairs / "a.jpg", "--compare", "--true", "true", "-o", "x.png").code == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-i", "low/a.jpg", "--true", "true/a.png"), ("--true true/a.png", "--compare")),
        (("-i", "low/a.jpg", "--compare", "--true", "nowhere"), ("--true nowhere", "does not exist")),
        (("-i", "low", "--compare", "--true", "true/a.png"), ("--true true/a.png", "must be a folder")),
        (("--compare",), ("--compare", "-i")),
    ],
    ids=str,
)
def test_what_has_no_effect_or_is_not_there_is_refused(
    gan: Gan, enlarger: Path, pairs: Path, args: tuple[object, ...], words: tuple[str, ...]
) -> None:
    assert pairs.is_dir()
    assert_one_line(gan("sample", enlarger, *args), 2, *words)
