"""Data sets that are arrays in a file."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.data.arrays import open_arrays
from gancli.data.dataset import Dataset
from gancli.data.decode import make_square
from gancli.errors import DataError
from gancli.events import ignore
from gancli.metrics.entrants import open_images
from tests.conftest import SMALL, TINY, Gan, warned

RNG = np.random.default_rng(0)


def some(*shape: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return RNG.integers(0, 256, shape, np.uint8)


def opened(path: Path, size: int | None = None, split: Any = "train") -> Dataset:
    return open_arrays(path, size, split, "crop", ignore)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 1), (5, 1, 8, 8), (5, 8, 8, 3), (5, 3, 8, 8), (20, 20, 3)])
def test_images_in_any_usual_order(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = some(*shape)
    np.save(tmp_path / "x.npy", array)
    found = opened(tmp_path / "x.npy")
    last = array if array.ndim == 4 else array[None] if shape[2] == 3 else array[..., None]
    first = last if last.shape[1] in (1, 3) else last.transpose(0, 3, 1, 2)
    assert torch.equal(found.images, torch.from_numpy(first.copy()))
    assert (found.class_names, found.labels.tolist()) == ((), [0] * len(last))


HALVES = np.arange(6) % 2


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array(["dog", "cat 10", "cat 2"] * 2), ("cat 2", "cat 10", "dog")),
        (np.array([b"dog", b"cat"] * 3), ("cat", "dog")),
        (np.eye(3, dtype=np.float32)[[0, 2, 1, 0, 2, 1]], ("0", "1", "2")),
        (np.array([3, 7, 3, 12, 7, 3]), ("3", "7", "12")),
        (HALVES.astype(np.float64), ("0", "1")),
        (HALVES.astype(bool)[:, None], ("0", "1")),
    ],
)
@pytest.mark.parametrize("called", ["labels", "y_train", "trainTargets", "class", "arr_1"])
def test_labels_of_every_usual_kind_are_classes(
    called: str, labels: Any, names: tuple[str, ...], tmp_path: Path
) -> None:
    images = "x_train" if "train" in called else "images"
    np.savez(tmp_path / "x.npz", **{images: some(6, 8, 8), called: labels})
    found, said = warned(open_arrays, tmp_path / "x.npz", None, "train", "crop")
    given = labels.argmax(1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(-1)
    as_text = [each.decode() if isinstance(each, bytes) else str(each) for each in given.tolist()]
    own = [found.class_names[index] for index in found.labels.tolist()]
    assert (found.class_names, said) == (names, [])
    assert own == as_text or [float(name) for name in own] == [float(each) for each in given]


def test_class_names_are_those_of_one_hot_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=some(6, 8, 8), y=np.eye(2)[HALVES], class_names=np.array(["cat", "dog"]))
    assert opened(tmp_path / "x.npz").class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"id": np.arange(6)}, "no array is called labels, .* not used: id "),
        ({"quality": np.arange(6)}, "not used: quality "),
        ({"labels": RNG.integers(0, 2, (6, 14)) + 1}, "labels .* neither one label per image nor one-hot"),
        ({"y": RNG.random(6)}, "y .* whole numbers or text"),
        ({"labels": np.arange(5)}, "labels .* one label for each of the 6 images"),
        ({"labels": np.array(["a", None] * 3, dtype=object)}, "labels .* Python objects"),
        ({"labels": np.array(["a" * 200, "b"] * 3)}, "labels .* not a class name"),
    ],
)
def test_arrays_that_are_not_labels_are_named_in_one_line(arrays: Any, said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=some(6, 8, 8), **arrays)
    found, (line,) = warned(open_arrays, tmp_path / "x.npz", None, "train", "crop")
    assert re.search(said, line)
    assert (found.class_names, found.labels.tolist()) == ((), [0] * 6)


@pytest.mark.parametrize("size", [8, 4])
def test_notes_are_told_once_where_arrays_are_measured_at_another_size(size: int, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=RNG.random((6, 8, 8)), id=np.arange(6))
    like = Dataset("like", torch.zeros(1, 1, size, size, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), ())
    _, said = warned(open_images, tmp_path / "x.npz", like, "like", tmp_path, "crop")
    assert (
        len([line for line in said if "no classes" in line]) == len([line for line in said if "read as" in line]) == 1
    )


@pytest.mark.parametrize(
    ("black", "white", "kind"),
    [(0, 1, "f4"), (-1, 1, "f8"), (0, 255, "f4"), (0, 255, "i8"), (0, 65535, "u2"), (0, 65535, ">u2"), (0, 1, "u1")],
)
def test_numbers_of_every_usual_range_are_pixels_and_a_note_says_how(
    black: int, white: int, kind: str, tmp_path: Path
) -> None:
    array = np.full((2, 4, 4), black, kind)
    array[1] = white
    np.save(tmp_path / "x.npy", array)
    found, (line,) = warned(open_arrays, tmp_path / "x.npy", None, "train", "crop")
    assert f"read as {black} (black) to {white} (white)" in line
    assert set(found.images.flatten().tolist()) == {0, 255}
    assert found.images[1].min() == 255


def test_splits_of_one_file_have_the_same_classes(tmp_path: Path) -> None:
    train, test = some(4, 8, 8), some(3, 8, 8)
    labels: dict[str, Any] = {"y_train": np.array([0, 5, 7, 5]), "y_test": np.array([7, 0, 7])}
    np.savez_compressed(tmp_path / "x.npz", x_train=train, x_test=test, **labels)
    for split, images, numbers in (("train", train, [0, 1, 2, 1]), ("test", test, [2, 0, 2])):
        found = opened(tmp_path / "x.npz", split=split)
        assert torch.equal(found.images[:, 0], torch.from_numpy(images))
        assert (found.class_names, found.labels.tolist()) == (("0", "5", "7"), numbers)


def test_another_size_is_that_of_a_folder(tmp_path: Path) -> None:
    array = some(3, 20, 30, 3)
    np.save(tmp_path / "x.npy", array)
    found = opened(tmp_path / "x.npy", 8)
    expected = np.stack([np.asarray(make_square(Image.fromarray(each), 8)) for each in array]).transpose(0, 3, 1, 2)
    assert torch.equal(found.images, torch.from_numpy(expected.copy()))
    assert opened(tmp_path / "x.npy").spec.size == 20


def pickled(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def cut_short(path: Path) -> None:
    np.save(path, some(50, 8, 8))
    path.write_bytes(path.read_bytes()[:-1000])


def liar(path: Path) -> None:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 64, 64, 3)})
    path.write_bytes(data.getvalue())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pickled, "Python objects"),
        (cut_short, "cannot be read"),
        (liar, "cannot be read"),
        (lambda path: path.write_bytes(b"nothing"), "cannot be read"),
        (lambda path: np.save(path, RNG.normal(size=(5, 8, 8))), "clip or scale them"),
        (lambda path: np.save(path, np.full((5, 8, 8), np.nan)), "clip or scale them"),
        (lambda path: np.save(path, some(5, 8, 8, 4)), "without alpha"),
        (lambda path: np.save(path, some(5, 64)), "must be numbers"),
        (lambda path: np.save(path, some(5, 8, 8, 2)), "1 or 3 channels"),
        (lambda path: np.save(path, some(0, 8, 8)), "no images"),
    ],
)
def test_what_is_none_is_one_line(make: Any, said: str, tmp_path: Path) -> None:
    make(tmp_path / "x.npy")
    with pytest.raises(DataError, match=said):
        opened(tmp_path / "x.npy")


def test_what_is_none_in_an_archive_is_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=some(5, 8, 8), b=some(5, 8, 8))
    with pytest.raises(DataError, match="must have one array of images"):
        opened(tmp_path / "two.npz")
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match="must have one array of images"):
        opened(tmp_path / "odd.npz")


def test_srgan_trains_on_arrays(gan: Gan, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", some(20, 16, 16, 3))
    small = ("--image-size", "16", "--width", "4", "--blocks", "1", "--d-width", "4", "--steps", "2")
    done = gan("train", "-v", "srgan", "-d", tmp_path / "x.npy", *TINY, *small, "--out", "run")
    assert done.code == 0, done.err


def test_a_run_trains_on_it_and_goes_on(gan: Gan, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=some(40, 8, 8), labels=np.arange(40) % 2)
    args = ("train", "-v", "cgan", "-d", str(tmp_path / "x.npz"), *SMALL)
    assert gan(*args, "--steps", "4", "--out", "run").code == 0
    assert gan("train", "--resume", "run", "--steps", "6").code == 0
    assert gan("sample", "run", "--label", "1", "-n", "4", "-o", "grid.png").code == 0
