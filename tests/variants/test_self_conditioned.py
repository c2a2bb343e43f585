"""Clusters in place of classes: what vanilla, dcgan and lapgan do with them, from data to samples."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from gancli import catalogue
from gancli.data.digits import draw_digits
from gancli.images import to_float
from gancli.spec import ImageSpec
from tests.conftest import SMALL, Gan, gan_process
from tests.variants.test_alike import DIGITS, built

VARIANTS = ("vanilla", "dcgan", "lapgan")


def recorded(run: str) -> int:
    """The number of clusters in a run's config.toml."""
    config = tomllib.loads(Path(run, "config.toml").read_text())
    (own,) = (table for name, table in config.items() if name in VARIANTS)
    return int(own["self_conditioned"])


@pytest.mark.parametrize("name", VARIANTS)
def test_a_run_finds_clusters_and_keeps_their_shares_with_the_model(gan: Gan, name: str) -> None:
    outcome = gan("train", "-v", name, *SMALL, "--self-conditioned", 5, "--steps", 2, "--out", "run")
    assert outcome.code == 0, outcome.err
    (shares,) = (t.exp() for key, t in load_file("run/ckpt.safetensors").items() if key.endswith("log_shares"))
    assert len(shares) == 5
    assert float(shares.sum()) == pytest.approx(1)
    assert 0.02 < float(shares.min()) < float(shares.max()) < 0.8
    sampled = gan("sample", "run", "-n", 4, "-o", "grid.png")
    assert sampled.code == 0, sampled.err


@pytest.mark.parametrize("name", VARIANTS)
def test_clusters_are_of_the_size_that_they_condition(name: str) -> None:
    config_class: Any = catalogue.variant_info(name).config_class
    variant: Any = catalogue.load(name)(config_class(self_conditioned=5), ImageSpec(1, 16))
    images, _ = next(iter(draw_digits(400, 16, 0)))
    with torch.no_grad():
        variant.fit(images)
    floats = to_float(images)
    found = variant.clusters(F.avg_pool2d(floats, 2) if name == "lapgan" else floats)
    assert torch.bincount(found, minlength=5).min() > 0
    assert variant.d_logits(floats[:3], torch.zeros(3, dtype=torch.long)).shape == (3, 1)


def test_few_images_have_no_clusters_and_a_label_takes_their_place(gan: Gan) -> None:
    """Also where the preset has clusters: vanilla's default, and dcgan's for grey images."""
    assert gan("train", *SMALL, "--steps", 2, "--out", "painter").code == 0
    assert recorded("painter") == 100
    assert gan("sample", "painter", "-n", 150, "-o", "pictures").code == 0
    assert gan("train", "-v", "vanilla", "-d", "pictures", *SMALL, "--steps", 2, "--out", "few").code == 0
    assert not any(key.endswith("log_shares") for key in load_file("few/ckpt.safetensors"))
    assert gan("train", "-v", "dcgan", *SMALL, "--conditional", "--steps", 2, "--out", "labelled").code == 0
    assert gan("sample", "labelled", "--label", 3, "-n", 4, "-o", "threes.png").code == 0


def test_dcgan_has_clusters_for_grey_images_by_default(gan: Gan) -> None:
    found = []
    for words in ((), ("-d", "shapes"), ("--preset", "paper")):
        shown = gan("train", "-v", "dcgan", *words, "--dry-run").out
        found += [line.split()[1] for line in shown.splitlines() if "--self-conditioned" in line]
    assert found == ["64", "0", "0"]  # `digits` has 6,400 images


@pytest.mark.parametrize("name", ["dcgan", "lapgan"])
def test_noise_counts_for_more_than_a_label_at_first(name: str) -> None:
    """Where the label counted for as much, G learned one image per class."""
    variant = built(name, ImageSpec(1, 16, DIGITS), conditional=True)
    variant.generator.eval()
    labels = torch.arange(10).repeat(20)
    with torch.no_grad():
        inputs = variant.sample_inputs(labels)
        images = variant.generator(*inputs).flatten(1)
        same_noise = variant.generator(*(z[:1].expand(200, *z.shape[1:]) for z in inputs[:-1]), labels).flatten(1)
    assert same_noise.var(0).mean() < images.var(0).mean() / 4


def test_a_run_of_two_processes_has_the_clusters_of_one() -> None:
    line = ("train", *SMALL, "--self-conditioned", 5, "--steps", 2, "--no-compile")
    for out, processes in (("one", 1), ("two", 2)):
        done = gan_process(*line, "--processes", processes, "--out", out)
        assert done.returncode == 0, done.stderr
    one, two = (load_file(f"{out}/ckpt.safetensors") for out in ("one", "two"))
    (name,) = (key for key in one if key.endswith("log_shares"))
    assert torch.equal(one[name], two[name])
