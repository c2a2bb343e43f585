"""`gan sample --captions`: the class and the seed under each image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from gancli.sampling.captions import GAP, drawable_name, shortened
from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan, sha256

FONT = ImageFont.load_default(12)


@pytest.mark.parametrize("zoom", [1, 4, 20])
def test_the_images_are_those_of_the_plain_grid_above_their_captions(gan: Gan, trained: Path, zoom: int) -> None:
    assert gan("sample", trained, "-n", 3, "--zoom", zoom, "--columns", 3, "-o", "plain.png").code == 0
    for name in ("a.png", "b.png"):
        assert gan("sample", trained, "-n", 3, "--zoom", zoom, "--columns", 3, "--captions", "-o", name).code == 0
    assert sha256(Path("a.png")) == sha256(Path("b.png"))
    with Image.open("plain.png") as plain, Image.open("a.png") as captioned:
        side, cell = 8 * zoom, (captioned.width - 4 * GAP) // 3
        assert cell >= max(side, 36)  # "seed 0" has room
        for index in range(3):
            left, start = GAP + index * (cell + GAP) + (cell - side) // 2, index * (8 + 2) * zoom
            tile = captioned.crop((left, GAP, left + side, GAP + side))
            assert tile.tobytes() == plain.crop((start, 0, start + side, side)).tobytes()
        below = np.asarray(captioned)[GAP + side :]
        columns = [below[:, GAP + index * (cell + GAP) :][:, :cell] for index in range(3)]
        assert all((column < 80).any() for column in columns), "a caption under each image"
        assert not np.array_equal(columns[0], columns[1]), "of its own seed"


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_other_grids_have_captions_too(gan: Gan, trained: Path, name: str) -> None:
    assert gan("sample", trained, "-n", 1, "--captions", "-o", name).code == 0
    with Image.open(name) as image:
        assert image.width > 8


def test_the_longest_seed_fits(gan: Gan, trained: Path) -> None:
    assert gan("sample", trained, "--seeds", f"{2**63 - 1}", "--captions", "-o", "a.png").code == 0
    with Image.open("a.png") as image:
        assert image.width >= FONT.getlength(f"seed {2**63 - 1}") + 2 * GAP
        columns = np.asarray(image)[GAP + 8 :].min(0)
        assert columns.min() < 80
        assert min(*columns[:GAP], *columns[-GAP:]) > 200


def test_names_are_shown_as_the_font_can() -> None:
    assert drawable_name("automobile", 1, FONT) == "automobile"
    assert drawable_name("café", 1, FONT) == drawable_name("cafe\u0301", 1, FONT) == "cafe"
    for odd in ("猫", "cat 🐱", "straße", "", " ", "a\nb", "caf\udce9", "\u202egnp"):
        assert drawable_name(odd, 3, FONT) == "class 3"
    assert shortened("cat", 100, FONT) == "cat"
    short = shortened("a very long name of a class", 80, FONT)
    assert short.endswith("…")
    assert short[:-1] in "a very long name of a class"
    assert 60 < FONT.getlength(short) <= 80


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-o", "out/"), ("--captions", "no grid")),
        (("-o", "a.npz"), ("--captions", "no grid")),
        (("-o", "a.gif", "--walk", 2), ("--captions", "--walk")),
        (("-o", "a.webp", "-n", 2000, "--columns", 500), ("--captions", "16383", "--columns")),
        (("-i", "x.png"), ("--captions", "-i enlarges")),
    ],
)
def test_captions_without_effect_or_room_are_refused_before_anything_is_drawn(
    gan: Gan, trained: Path, args: tuple[object, ...], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gancli.sampling.generate.generate", None)
    assert_one_line(gan("sample", trained, "--captions", *args), 2, *words)
