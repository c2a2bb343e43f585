"""`leaves`: generated dead leaves with textures, strokes, contours and lettering."""

import dataclasses
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gancli.data import generated
from gancli.data.dataset import Dataset, digest
from gancli.data.leaf_pile import GROUND, power_law, random_pile
from gancli.data.leaves import CANVAS, draw_leaves, num_leaves
from gancli.data.names import GENERATED, Split, dataset_names
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from gancli.data.photographs import PhotoDataset, open_photographs
from gancli.events import ignore
from tests.conftest import ROOT, Gan, warned

PRINT_DIGEST = """
import torch
from gancli.data.dataset import digest
from gancli.data.leaves import draw_leaves
print(digest(torch.cat([images for images, _ in draw_leaves(4, 320, 3)])))
"""


def generated_images(count: int, size: int, seed: int) -> Tensor:
    return torch.cat([images for images, _ in draw_leaves(count, size, seed)])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two canvases for training and one for testing."""
    fewer = dataclasses.replace(generated.GENERATED_SETS["leaves"], counts={"train": 2, "test": 1})
    monkeypatch.setitem(generated.GENERATED_SETS, "leaves", fewer)


def opened(root: Path, split: Split = "train", size: int | None = None) -> tuple[Dataset, list[str]]:
    return warned(open_dataset, "leaves", DatasetOptions(root, size, split=split))


def photographs(root: Path, crop: int | None) -> PhotoDataset:
    return open_photographs("leaves", DatasetOptions(root, crop), ignore)


def test_equal_seeds_give_equal_images_with_any_number_of_threads() -> None:
    threads = torch.get_num_threads()
    first, other = generated_images(30, 64, 5), generated_images(30, 64, 6)
    torch.set_num_threads(3 - min(2, threads))  # `conftest` resets it
    assert torch.equal(first, generated_images(30, 64, 5))
    assert (first != other).float().mean() > 0.9


@pytest.mark.slow
def test_a_processor_without_wide_registers_generates_the_same() -> None:
    plain = {"ATEN_CPU_CAPABILITY": "default", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "OMP_NUM_THREADS": "1"}
    if "x86" not in os.uname().machine:
        plain.pop("NPY_DISABLE_CPU_FEATURES")
    command = [sys.executable, "-W", "ignore", "-c", PRINT_DIGEST]
    done = subprocess.run(command, env=os.environ | plain, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(generated_images(4, 320, 3))


@pytest.mark.parametrize(
    ("canvases", "size", "count"), [(2, 12, 50), (2, 64, 50), (2, 96, 18), (1, 320, 1), (33, CANVAS + 80, 32)]
)
def test_images_of_any_size_are_tiles_or_canvases(canvases: int, size: int, count: int) -> None:
    assert num_leaves(canvases, size) == count
    some = min(count, 50 if size <= CANVAS else 1)
    assert generated_images(some, size, 1).shape == (some, 3, size, size)


def test_shapes_cover_the_canvas() -> None:
    rng = torch.Generator().manual_seed(2)
    maps = [random_pile(400, rng).visible_items() for _ in range(8)]
    assert min(seen.min() for seen in maps) >= GROUND
    assert sum((seen == GROUND).mean() for seen in maps) / len(maps) < 0.25
    assert min(len(np.unique(seen)) for seen in maps) > 20


def test_the_spectrum_and_the_colours_are_like_those_of_photographs() -> None:
    """The power of photographs falls about as 1/f²: over 40 of BSD200's, this measure is -2.4 (10 % below -2.9, 10 % above
    -1.9)."""
    images = generated_images(12, CANVAS, 4).double()
    grey = images.mean(1)
    window = torch.hann_window(CANVAS, dtype=torch.float64)
    power = torch.fft.fft2((grey - grey.mean((1, 2), keepdim=True)) * window * window[:, None]).abs().square()
    frequency = torch.fft.fftfreq(CANVAS, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency)
    edges = torch.logspace(math.log10(0.02), math.log10(0.45), 12)
    rings = [(radius >= low) & (radius < high) for low, high in itertools.pairwise(edges)]
    x = torch.stack([radius[ring].log().mean() for ring in rings])
    y = torch.stack([power[:, ring].mean(1).log().mean() for ring in rings])
    x, y = x - x.mean(), y - y.mean()
    assert -2.8 < float((x * y).sum() / (x * x).sum()) < -2.1
    means = images.mean((1, 2, 3))
    assert means.max() - means.min() > 30
    assert 60 < means.mean() < 190
    assert images.std((2, 3)).min() > 10
    assert (images[:, 0] - images[:, 2]).abs().mean() > 5


def test_sizes_follow_a_power_law() -> None:
    """Of the density r^-(1+a), the share above r is (r^-a - most^-a) / (least^-a - most^-a)."""
    radii = power_law(torch.Generator().manual_seed(1), 20_000, 4, 320, 1.5)
    assert 4 <= float(radii.min()) < 4.2
    assert 260 < float(radii.max()) <= 320
    expected = (16**-1.5 - 320**-1.5) / (4**-1.5 - 320**-1.5)
    assert float((radii > 16).double().mean()) == pytest.approx(expected, abs=0.01)


@pytest.mark.usefixtures("few")
def test_splits_differ_have_no_classes_and_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = opened(tmp_path)[0], opened(tmp_path, "test")[0]
    assert (len(train.images), len(test.images)) == (50, 25)
    assert not torch.equal(train.images[:25], test.images)
    assert (train.class_names, set(train.labels.tolist())) == ((), {0})
    nobody = dataclasses.replace(generated.GENERATED_SETS["leaves"], draw=lambda *_: pytest.fail("generated again"))
    monkeypatch.setitem(generated.GENERATED_SETS, "leaves", nobody)
    again, warnings = opened(tmp_path)
    assert torch.equal(again.images, train.images)
    assert (again.fingerprint, warnings) == (train.fingerprint, [])


@pytest.mark.usefixtures("few")
def test_without_a_cache_they_are_generated_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    source, (warning,) = opened(tmp_path, size=32)
    assert len(source.images) == 50
    assert "the images are prepared again each time" in warning


@pytest.mark.usefixtures("few")
def test_super_resolution_takes_crops_of_whole_canvases(tmp_path: Path) -> None:
    usual, larger = photographs(tmp_path, None), photographs(tmp_path, 336)
    assert (usual.crop, usual.heights.tolist(), usual.widths.tolist()) == (96, [CANVAS] * 2, [CANVAS] * 2)
    assert (larger.crop, set(larger.heights.tolist())) == (336, {336})


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "variant",
    [
        ("srgan", "--image-size", 32, "--width", 4, "--blocks", 1, "--d-width", 4),
        ("dcgan", "--image-size", 8, "--width", 4, "--latent-dim", 4),
    ],
)
def test_variants_train_on_leaves(variant: tuple[object, ...], gan: Gan, tmp_path: Path) -> None:
    common = ("-d", "leaves", "--data-root", tmp_path, "--steps", 2, "--batch-size", 2, "--out", "run", "--threads", 1)
    outcome = gan("train", "-v", *variant, *common)
    assert outcome.code == 0, outcome.err
    assert 'dataset = "leaves"' in Path("run", "config.toml").read_text("utf-8")


def test_every_named_set_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "data.md").read_text("utf-8")
    assert [name for name in dataset_names() if f"`{name}`" not in text] == []
    assert tuple(generated.GENERATED_SETS) == GENERATED
