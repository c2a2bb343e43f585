"""`gan evaluate` of images that other programs made: one more column of the table."""

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gancli.cli.app import main
from gancli.metrics import classifier
from tests.cli.test_evaluate import figures
from tests.conftest import TINY, Finished, Gan

FEW = ("--metrics", "frechet,prdc,swd,labels,nearest")
COUNT = 60


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)


@pytest.fixture(scope="module")
def cgan(tmp_path_factory: pytest.TempPathFactory, finished: Finished) -> Path:
    """A tiny finished cgan with the 60 images of its first seeds beside it: `made/`, `made.npz`. Tests only read them."""
    folder = tmp_path_factory.mktemp("cgan")
    (folder / "run").symlink_to(finished("train", "-v", "cgan", *TINY, "--width", 16, "--latent-dim", 8, "--steps", 10))
    for place in ("made/", "made.npz"):
        args = ("sample", folder / "run", "-n", COUNT, "--device", "cpu", "-o", f"{folder}/{place}")
        assert main([str(word) for word in args]) == 0
    return folder


def values(document: dict[str, Any], which: int) -> dict[str, float]:
    return {name: figure["model"]["value"] for name, figure in figures(document, which).items()}


def test_images_of_a_checkpoint_score_what_it_does(gan: Gan, cgan: Path) -> None:
    """In a folder, an archive, an array: the same images, the same figures; labels where there are some."""
    with zipfile.ZipFile("made.zip", "w") as zipped, tarfile.open("classes.tar", "w") as tar:
        for path in sorted((cgan / "made").iterdir()):
            zipped.write(path, f"inside/{path.name}")
            label = path.stem.rpartition("-")[2]
            tar.add(path, f"{label}/{path.name}")
    words = (cgan / "run", cgan / "made", "made.zip", cgan / "made.npz", "classes.tar")
    outcome = gan("evaluate", *words, "-n", COUNT, "--json", *FEW)
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    own, *others = (values(document, which) for which in range(len(words)))
    assert "gan-test" in own
    without = {name: value for name, value in own.items() if name != "gan-test"}
    assert others[0] == others[1] == pytest.approx(without, rel=1e-6), "flat: labels are not known"
    assert others[2] == pytest.approx(own, rel=1e-6)
    assert others[3]["gan-test"] == own["gan-test"], "in another order, by class"
    assert [row["variant"] for row in document["checkpoints"]] == ["cgan", None, None, None, None]
    shown = gan("evaluate", cgan / "made", "-d", "digits", "-n", 50, "--metrics", "diversity")
    assert shown.code == 0, shown.err
    assert "made" in shown.out.splitlines()[0]
    assert not (cgan / "made" / "metrics.jsonl").exists()


def saved(folder: str, count: int, mode: str, size: tuple[int, int]) -> Path:
    Path(folder).mkdir()
    for index in range(count):
        Image.effect_noise(size, 60).convert(mode).save(Path(folder, f"{index}.png"))
    return Path(folder)


def test_other_sizes_and_grey_images_in_colour_are_fitted_with_a_word(gan: Gan, cgan: Path) -> None:
    saved("rgb", 12, "RGB", (16, 16))
    outcome = gan("evaluate", cgan / "run", "rgb", "-n", 12, "--metrics", "diversity")
    assert outcome.code == 0, outcome.err
    assert "rgb: its images are 16×16 pixels; they are resized to 8×8 as in digits" in outcome.err
    assert "rgb: its images are grey with three equal channels; one channel is used" in outcome.err


def test_labels_are_matched_by_name_or_by_number_or_left_out(gan: Gan, cgan: Path) -> None:
    """An array of a sample has the names of its classes with it."""
    with np.load(cgan / "made.npz") as made:
        pixels, labels = made["images"], made["labels"]
    names = np.array([f"no {label}" for label in range(10)])
    np.savez("strange.npz", images=pixels, labels=labels, class_names=names)
    np.savez("plain.npz", arr_0=pixels, arr_1=labels)
    outcome = gan(
        "evaluate", "strange.npz", "plain.npz", "-d", "digits", "-n", COUNT, "--metrics", "labels,diversity", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert "strange.npz: its classes (no 0, no 1, no 2, …) are not those of digits" in outcome.err
    strange, plain = (values(json.loads(outcome.out), which) for which in range(2))
    assert "gan-test" not in strange
    assert "gan-test" in plain


@pytest.mark.slow
def test_errors_are_one_line_with_numbers(gan: Gan, cgan: Path, enlarger: Path) -> None:
    saved("colour", 12, "RGB", (8, 8))
    Image.new("RGB", (8, 8), (255, 0, 0)).save("colour/red.png")
    saved("few", 5, "L", (8, 8))
    np.savez("floats.npz", images=np.full((12, 8, 8), -7, dtype=np.float32))
    digits, apart = ("-d", "digits"), "generated images and models that enlarge images cannot be compared"
    cases: list[tuple[tuple[object, ...], int, str]] = [
        (("made.npz", "-n", 100, *digits), 2, "-n 100: made.npz contains 60 images; use -n 60"),
        (("few", *digits), 2, "few: contains 5 images; at least 10 are needed"),
        (("made.npz",), 2, "--dataset: use -d to name the dataset to compare the images of made.npz with"),
        (("colour", *digits, "-n", 12), 2, "colour: its images are in colour, those of digits are grey"),
        (("floats.npz", *digits), 1, "floats.npz: float32 values from -7 to -7; clip or scale them"),
        (("few", enlarger, *digits), 2, f"CKPT: {apart}"),
        (("made", *digits, "-n", 20, "--gan-train"), 2, "--gan-train: the images of made have no labels"),
    ]
    Path("made.npz").symlink_to(cgan / "made.npz")
    Path("made").symlink_to(cgan / "made")
    for args, code, words in cases:
        outcome = gan("evaluate", *args)
        last = outcome.err.splitlines()[-1]
        assert (outcome.code, outcome.out) == (code, ""), (args, outcome.err)
        assert last.startswith(f"gan: {words}"), (args, last)
        assert "Traceback" not in outcome.err
