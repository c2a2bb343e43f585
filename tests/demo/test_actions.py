"""What the page of `gan demo` shows, without Gradio and without a browser."""

import shlex
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli.demo import actions
from gancli.demo.actions import ALL_LABELS, PageModel, Point, Settings
from gancli.errors import GancliError
from tests.conftest import SMALL, Finished, Gan


def shown(run: Path) -> PageModel:
    (one,) = actions.load_all([run])
    return one


@pytest.fixture
def models(finished: Finished) -> dict[str, PageModel]:
    words = {"vanilla": SMALL, "cgan": SMALL, "lapgan": (*SMALL, "--image-size", 16)}
    return {name: shown(finished("train", "-v", name, *more, "--steps", 4)) for name, more in words.items()}


def equal(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode and np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    ("name", "look", "seed", "number"),
    [
        ("vanilla", Settings(), 0, 16),
        ("vanilla", Settings(truncation=0.5), 77, 3),
        ("cgan", Settings(), 5, 16),
        ("cgan", Settings(label=7, truncation=1.0), 99_999, 1),
        ("lapgan", Settings(levels=True), 1, 5),
        ("vanilla", Settings(label=3, levels=True), 0, 2),  # widgets of another model on the page
    ],
)
def test_a_grid_is_that_of_the_command_line_shown_with_it(
    gan: Gan, models: dict[str, PageModel], name: str, look: Settings, seed: int, number: int
) -> None:
    words = shlex.split(actions.command(models[name], look, seed, number))[1:]
    outcome = gan(*words, "-o", "grid.png")
    assert outcome.code == 0, outcome.err
    with Image.open("grid.png") as expected:
        assert equal(actions.grid(models[name], look, seed, number), expected)


def tiles(model: PageModel, image: Image.Image, rows: int, columns: int) -> list[list[int]]:
    """The pixels of the images of a grid, one after the other."""
    side = model.model.facts.images.size + actions.GAP
    zoom = image.height // (rows * side - actions.GAP)
    small = np.asarray(image)[::zoom, ::zoom].astype(int)
    return [
        small[row * side :, column * side :][: side - actions.GAP, : side - actions.GAP].flatten().tolist()
        for row in range(rows)
        for column in range(columns)
    ]


@pytest.mark.parametrize(
    ("name", "look"),
    [("cgan", Settings()), ("cgan", Settings(label=3)), ("lapgan", Settings(levels=True))],
)
def test_a_click_finds_the_image_under_it_and_no_image_in_a_gap(
    models: dict[str, PageModel], name: str, look: Settings
) -> None:
    model, count = models[name], 13
    grid = actions.grid(model, look, 100, count)
    pixels = [(x, y) for x in range(0, grid.width, 5) for y in range(0, grid.height, 5)]
    found = {point: pixel for pixel in pixels if (point := actions.at(model, look, 100, count, pixel))}
    assert sorted(point.seed for point in found) == list(range(100, 100 + count))
    if name == "cgan":
        for point, (x, y) in found.items():
            kept = tiles(model, actions.around(model, look, point, 0.5, 0), 4, 4)[0]
            assert kept == tiles(model, actions.grid(model, Settings(int(point.label or 0)), point.seed, 1), 1, 1)[0]
            assert point.label == str(3 if look.label == 3 else (point.seed - 100) % 10)
            assert grid.getpixel((x, y)) in {*kept}
    assert actions.at(model, look, 100, count, (grid.width - 1, grid.height - 1)) is None
    assert actions.at(model, look, 100, count, (-1, 10**9)) is None


def test_the_ends_of_the_way_between_two_seeds_are_the_images_of_the_seeds(models: dict[str, PageModel]) -> None:
    for name, model in models.items():
        look = Settings(label=0 if name == "cgan" else ALL_LABELS)
        first, second = (tiles(model, actions.grid(model, look, seed, 1), 1, 1)[0] for seed in (3, 40))
        ways = [tiles(model, actions.between(model, Settings(), 3, 40, share), 1, 3) for share in (0.0, 0.5, 1.0)]
        assert [way[0] for way in ways] == [first] * 3
        assert [way[2] for way in ways] == [second] * 3
        assert (ways[0][1], ways[2][1]) == (first, second)
        assert ways[1][1] not in (first, second)


def test_one_can_wander_from_neighbour_to_neighbour(models: dict[str, PageModel]) -> None:
    model, point = models["cgan"], Point(7, "7")

    def around(point: Point, distance: float, directions: int = 0, look: Settings = Settings()) -> list[list[int]]:  # noqa: B008
        return tiles(model, actions.around(model, look, point, distance, directions), 4, 4)

    near, far = around(point, 0.2), around(point, 0.8)
    assert near[0] == far[0]
    assert all(one != other for one, other in zip(near[1:], far[1:], strict=True))
    assert all(one != other for one, other in zip(near[1:], around(point, 0.2, 1)[1:], strict=True))
    assert near == around(Point(7), 0.2, 0, Settings(label=7)), "the label that was kept"
    assert around(point, 0) == [near[0]] * 16
    second = actions.at_around(model, Settings(), point, 0.2, 0, (0, 0))
    assert second == point
    width = actions.around(model, Settings(), point, 0.2, 0).width
    moved = actions.at_around(model, Settings(), point, 0.2, 0, (width - 1, 0))
    assert moved == actions.neighbour(point, 0.2, 0, 3)
    assert len(moved.moves) == 1
    # The neighbour that was clicked is the first image now, but for the rounding of another row of its block.
    assert np.abs(np.subtract(around(moved, 0.5)[0], near[3])).max() <= 1
    assert len(actions.neighbour(moved, 0.5, 3, 4).moves) == 2


def test_values_that_no_widget_has_are_one_line(models: dict[str, PageModel]) -> None:
    for seed, number in ((0, 0), (0, 10**6), (-1, 1), (2**63, 1)):
        with pytest.raises(GancliError):
            actions.grid(models["vanilla"], Settings(), seed, number)
    with pytest.raises(GancliError):
        actions.between(models["vanilla"], Settings(), -1, 0, 0.5)


def test_models_of_equal_names_are_told_apart(finished: Finished, tmp_path: Path) -> None:
    run = finished("train", "-v", "vanilla", *SMALL, "--steps", 4)
    for place in ("a/run", "b/run"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).symlink_to(run)
    names = [one.name for one in actions.load_all([tmp_path / "a" / "run", tmp_path / "b" / "run"])]
    assert len(set(names)) == 2


def test_an_enlarged_image_is_that_of_gan_sample(gan: Gan, enlarger: Path) -> None:
    Image.effect_noise((20, 13), 60).convert("RGB").save("photo.png")
    assert gan("sample", enlarger, "-i", "photo.png", "-o", "large.png").code == 0
    found = actions.enlarge(shown(enlarger), Path("photo.png"))
    with Image.open("large.png") as expected:
        assert equal(found.model, expected)
    assert found.bicubic.size == found.model.size == (80, 52)
    assert found.note == "photo.png: 20×13 pixels enlarged to 80×52"


def png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("text.txt", b"hello", "text.txt: not an image"),
        ("text.png", b"hello", "text.png: not an image"),
        ("empty.jpg", b"", "empty.jpg: not an image"),
        ("cut.png", png(4, 4)[:45], "cut.png: "),
        ("bomb.png", png(60_000, 60_000), "60000×60000 pixels are over the limit"),
        ("bomb.png", png(11_000, 11_000), "empty, or damaged"),
        ("\x1b[2J\n.png", b"hello", r"\x1b[2J\n.png: not an image"),
    ],
    ids=["text", "text as png", "empty", "cut", "too large", "bomb", "escape codes"],
)
def test_a_file_that_is_no_image_is_one_line(enlarger: Path, name: str, data: bytes, words: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(GancliError) as caught:
        actions.enlarge(shown(enlarger), Path(name))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(enlarger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("large.png").write_bytes(b"\0" * 1001)
    monkeypatch.setattr(actions, "MAX_UPLOAD", 1000)
    with pytest.raises(GancliError, match=r"large\.png: is a file of 1001 bytes, over the limit of 1000"):
        actions.enlarge(shown(enlarger), Path("large.png"))
    with pytest.raises(GancliError, match=r"gone\.png: cannot be read"):
        actions.enlarge(shown(enlarger), Path("gone.png"))
