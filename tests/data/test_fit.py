"""`--fit`: how images that are not square become squares, the same from folders, zips and arrays."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gancli.data.dataset import Dataset
from gancli.data.decode import make_square
from gancli.data.opening import open_dataset
from gancli.data.options import CropMode, DatasetOptions
from gancli.errors import DataError
from gancli.metrics import compare
from tests.conftest import SMALL, TINY, Gan, warned

FITS: tuple[CropMode, ...] = ("crop", "pad", "stretch")


def columns(*greys: int, height: int = 8, mode: str = "L") -> Image.Image:
    return Image.fromarray(np.tile(np.array(greys, dtype=np.uint8), (height, 1))).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_wide_image_is_cropped_padded_or_stretched(mode: str) -> None:
    wide = columns(*[10] * 4, *[100] * 8, *[250] * 4, mode=mode)
    assert set(np.asarray(make_square(wide, 8, "crop")).flat) == {100}
    padded = np.asarray(make_square(wide, 16, "pad").convert("L"))
    assert np.array_equal(padded[4:12], np.asarray(wide.convert("L")))
    assert set(padded[:4].flat) == set(padded[12:].flat) == {round((4 * 10 + 8 * 100 + 4 * 250) / 16)}
    stretched = np.asarray(make_square(wide, 8, "stretch").convert("L")).astype(int)
    assert abs(stretched[0, [0, -1]] - [10, 250]).max() < 12


def test_each_bar_has_the_mean_colour_of_its_edge() -> None:
    padded = np.asarray(make_square(columns(30, *[0] * 2, 200), 8, "pad"))
    assert padded.shape == (8, 8)
    assert (set(padded[:, :2].flat), set(padded[:, 6:].flat)) == ({30}, {200})


@pytest.mark.parametrize("fit", FITS)
def test_any_shape_becomes_a_square_and_a_square_is_the_same_whatever_the_fit(fit: CropMode) -> None:
    for size in [(1, 1), (1, 5000), (5000, 1), (7, 8), (8, 7), (9, 4), (8, 8)]:
        assert make_square(Image.new("RGB", size, (9, 8, 7)), 8, fit).tobytes() == bytes((9, 8, 7)) * 64, size
    image = Image.effect_noise((20, 20), 50)
    assert make_square(image, 8, fit).tobytes() == make_square(image, 8).tobytes()


def opened(place: Path, root: Path, fit: CropMode) -> tuple[Tensor, list[str]]:
    source, notes = warned(open_dataset, str(place), DatasetOptions(root, 8, fit=fit))
    return source.images, notes


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """The same images, 12 by 9, as a folder, a zip and an array."""
    pictures = [Image.effect_noise((12, 9), 60 + number).convert("RGB") for number in range(3)]
    folder = tmp_path / "folder"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number, picture in enumerate(pictures):
            picture.save(folder / f"{number}.png")
            archive.write(folder / f"{number}.png", f"{number}.png")
    np.save(tmp_path / "set.npy", np.stack([np.asarray(picture) for picture in pictures]))
    return [folder, tmp_path / "set.zip", tmp_path / "set.npy"]


def test_folders_zips_and_arrays_agree_and_the_cache_knows_them_apart(places: list[Path], tmp_path: Path) -> None:
    root, found = tmp_path / "root", []
    for fit in (*FITS, *FITS):  # the second time from the cache
        images = [opened(place, root, fit) for place in places]
        assert all(torch.equal(images[0][0], other) and not notes for other, notes in images), fit
        found.append(images[0][0])
    assert torch.equal(torch.stack(found[:3]), torch.stack(found[3:]))
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


def test_if_all_images_are_square_a_warning_says_that_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "squares").mkdir()
    for number in range(3):
        Image.effect_noise((9, 9), 50).save(tmp_path / "squares" / f"{number}.png")
    np.save(tmp_path / "squares.npy", np.zeros((3, 9, 9), dtype=np.uint8))
    for place in ("squares", "squares", "squares.npy"):
        assert opened(tmp_path / place, tmp_path / "root", "crop")[1] == []
        assert opened(tmp_path / place, tmp_path / "root", "pad")[1] == [
            "--fit pad: changes nothing, as all the images are square"
        ]


def test_it_is_refused_if_it_has_no_effect(gan: Gan, places: list[Path]) -> None:
    named = gan("train", "-d", "digits", *SMALL, "--steps", 1, "--fit", "crop")
    assert (named.code, named.err) == (2, "gan: --fit crop: has no effect: the images of digits are square\n")
    crops = gan("train", "-v", "srgan", "-d", places[0], *TINY, "--steps", 1, "--fit", "pad", "--dry-run")
    assert (crops.code, crops.err) == (
        2,
        "gan: --fit pad: has no effect: srgan trains on crops of the original images\n",
    )


def test_a_run_keeps_its_fit_and_is_measured_with_it(
    gan: Gan, places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ("train", "-v", "vanilla", "-d", places[0], *SMALL)
    assert gan(*train, "--steps", 2, "--fit", "pad", "--out", "pad").code == 0
    assert gan(*train, "--steps", 2, "--out", "usual").code == 0
    assert gan(*train, "--steps", 3, "--fit", "pad", "--out", "pad", "--resume", "auto").code == 0
    assert gan(*train, "--steps", 3, "--fit", "crop", "--out", "usual", "--resume", "auto").code == 0
    other = gan(*train, "--steps", 4, "--fit", "stretch", "--out", "pad", "--resume", "auto")
    assert (other.code, other.err.count("gan: --fit stretch (flag): the run to resume has pad")) == (2, 1)

    def opening(_: str, options: DatasetOptions, *__: object) -> Dataset:
        raise DataError(f"opened with {options.fit}")

    monkeypatch.setattr(compare, "open_dataset", opening)
    for run, fit in (("pad", "pad"), ("usual", "crop")):
        assert gan("evaluate", run).err == f"gan: opened with {fit}\n"
    mixed = gan("evaluate", "pad", "usual", "-d", places[0])
    assert (mixed.code, mixed.err.count("gan: CKPT: models trained with different --fit")) == (2, 1)
