"""Clusters in place of classes: what vanilla, dcgan and lapgan do with them, from data to samples."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from gancli import catalogue
from gancli.data.digits import draw_digits
from gancli.images import to_float
from gancli.spec import ImageSpec
from gancli.store.facts import command_from_config
from tests.conftest import SMALL, Gan, gan_process
from tests.variants.test_alike import DIGITS, built

VARIANTS = ("vanilla", "dcgan", "lapgan")


def recorded(run: str) -> int:
    """The number of clusters in a run's config.toml."""
    config = tomllib.loads(Path(run, "config.toml").read_text())
    (own,) = (table for name, table in config.items() if name in VARIANTS)
    return int(own["self_conditioned"])


def shares(run: str) -> Tensor:
    """The share of each cluster in a run's model."""
    (found,) = (t.exp() for key, t in load_file(f"{run}/ckpt.safetensors").items() if key.endswith("log_shares"))
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_a_run_finds_clusters_and_keeps_their_shares_with_the_model(gan: Gan, name: str) -> None:
    outcome = gan("train", "-v", name, *SMALL, "--self-conditioned", 5, "--steps", 2, "--out", "run")
    assert outcome.code == 0, outcome.err
    found = shares("run")
    assert len(found) == 5
    assert float(found.sum()) == pytest.approx(1)
    assert 0.02 < float(found.min()) < float(found.max()) < 0.8
    sampled = gan("sample", "run", "-n", 4, "-o", "grid.png")
    assert sampled.code == 0, sampled.err


@pytest.mark.parametrize("name", ["dcgan", "lapgan"])
def test_clusters_and_classes_exclude_each_other(gan: Gan, name: str) -> None:
    outcome = gan("train", "-v", name, *SMALL, "--conditional", "--self-conditioned", 5, "--steps", 2, "--out", "run")
    assert (outcome.code, outcome.err) == (2, "gan: --self-conditioned 5: only applies with --no-conditional\n")
    assert not Path("run").exists()


@pytest.mark.parametrize("name", VARIANTS)
def test_clusters_are_of_the_size_that_they_condition(name: str) -> None:
    config_class: Any = catalogue.variant_info(name).config_class
    variant: Any = catalogue.load(name)(config_class(self_conditioned=4), ImageSpec(1, 16))
    images, _ = next(iter(draw_digits(400, 16, 0)))
    with torch.no_grad():
        variant.fit_to_images(images)
    floats = to_float(images)
    found = variant.clusters.labels(F.avg_pool2d(floats, 2) if name == "lapgan" else floats)
    assert torch.bincount(found, minlength=4).min() > 0
    assert variant.d_logits(floats[:3], torch.zeros(3, dtype=torch.long)).shape == (3, 1)


def test_few_images_use_few_clusters_and_classes_take_their_place(gan: Gan) -> None:
    assert gan("train", *SMALL, "--steps", 2, "--out", "painter").code == 0
    assert recorded("painter") == 100
    assert gan("sample", "painter", "-n", 210, "-o", "pictures").code == 0
    few = ("train", "-v", "vanilla", "-d", "pictures", *SMALL, "--steps", 2)
    for words in ((), ("--held-out", 200)):
        assert gan(*few, *words, "--out", f"few{len(words)}").code == 0
    assert [sum(shares("few0") > 1e-9), sum(shares("few2") > 1e-9)] == [1, 1]  # 13 and 200 are held out
    assert gan("train", "-v", "dcgan", *SMALL, "--conditional", "--steps", 2, "--out", "labelled").code == 0
    assert gan("sample", "labelled", "--label", 3, "-n", 4, "-o", "threes.png").code == 0
    assert not any(key.endswith("log_shares") for key in load_file("labelled/ckpt.safetensors"))


def test_a_run_from_another_model_has_its_clusters_and_its_own_shares(gan: Gan) -> None:
    for name, clusters in (("clustered", 7), ("plain", 0)):
        assert gan("train", *SMALL, "--self-conditioned", clusters, "--steps", 2, "--out", name).code == 0
    assert gan("sample", "clustered", "-n", 150, "-o", "pictures").code == 0
    own = ("train", "-v", "vanilla", "-d", "pictures", *SMALL, "--steps", 2)
    tuned = gan(*own, "--init-from", "clustered", "--out", "tuned")
    assert (tuned.code, "new:" in tuned.err) == (0, False), tuned.err
    before, after = (load_file(f"{run}/ckpt.safetensors")["generator.centres"] for run in ("clustered", "tuned"))
    assert torch.equal(before, after)
    assert not torch.allclose(shares("clustered"), shares("tuned"), atol=0.01)
    plain = gan("train", *SMALL, "--steps", 2, "--init-from", "plain", "--out", "on")
    assert plain.code == 0, plain.err
    assert recorded("on") == 0


def test_the_command_of_an_older_run_has_no_clusters() -> None:
    """Older files lack the option, and have what the defaults of that day were."""
    older = {"variant": "dcgan", "dataset": "digits", "steps": 4, "ema": 0.999, "dcgan": {"lr_decay": 0.0, "width": 4}}
    words = command_from_config(older).split()
    olden = (("--self-conditioned", "0"), ("--lr-decay", "0.0"), ("--ema", "0.999"), ("--label-scale", "1.0"))
    for flag, value in olden:
        assert words[words.index(flag) + 1] == value


def test_dcgan_has_clusters_for_grey_images_by_default(gan: Gan) -> None:
    found = []
    for words in ((), ("-d", "shapes"), ("--preset", "paper")):
        shown = gan("train", "-v", "dcgan", *words, "--dry-run").out
        found += [line.split()[1] for line in shown.splitlines() if "--self-conditioned" in line]
    assert found == ["100", "0", "0"]


@pytest.mark.parametrize(("name", "most"), [("dcgan", 0.001), ("lapgan", 0.25)])
def test_noise_counts_for_more_than_a_label_at_first(name: str, most: float) -> None:
    """Where the label counted for as much, G learned one image per class."""
    variant = built(name, ImageSpec(1, 16, DIGITS), conditional=True)
    variant.generator.eval()
    labels = torch.arange(10).repeat(20)
    with torch.no_grad():
        inputs = variant.sample_inputs(labels)
        images = variant.generator(*inputs).flatten(1)
        same_noise = variant.generator(*(z[:1].expand(200, *z.shape[1:]) for z in inputs[:-1]), labels).flatten(1)
    assert same_noise.var(0).mean() < most * images.var(0).mean()


def test_a_run_of_two_processes_has_the_clusters_of_one() -> None:
    line = ("train", *SMALL, "--self-conditioned", 5, "--steps", 2, "--no-compile")
    for out, processes in (("one", 1), ("two", 2)):
        done = gan_process(*line, "--processes", processes, "--out", out)
        assert done.returncode == 0, done.stderr
    assert torch.equal(shares("one"), shares("two"))
