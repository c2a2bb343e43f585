"""How many of the thousand modes of `stacked-mnist` a model reaches, and how evenly."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancli.data.dataset import Dataset
from gancli.data.names import Split
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from gancli.events import ignore
from gancli.metrics import classifier, compare, reference
from gancli.metrics.classifier import Classifier
from gancli.metrics.distances import modes
from tests.conftest import SMALL, TINY, Gan
from tests.pictures import tiny_digits, write_tiny_mnist


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 60)


@pytest.fixture(scope="module")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a made-up MNIST, and in time what is learnt of it."""
    root = tmp_path_factory.mktemp("tiny")
    write_tiny_mnist(root)
    return root


def opened(root: Path, split: Split) -> Dataset:
    return open_dataset("stacked-mnist", DatasetOptions(root, split=split), ignore)


class Perfect(Classifier):
    """A classifier of tiny MNIST that is never wrong."""

    def extract(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        digits = tiny_digits(pixels)
        return digits.float(), 100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2]


@pytest.mark.parametrize(
    ("counts", "found", "kl"),
    [
        ([5, 5, 5, 5], 4, 0.0),
        ([20, 0, 0, 0], 1, math.log(4)),
        ([10, 10, 0, 0], 2, math.log(2)),
        ([6, 3, 1, 0], 3, 0.6 * math.log(2.4) + 0.3 * math.log(1.2) + 0.1 * math.log(0.4)),
    ],
)
def test_modes_and_their_divergence_are_those_worked_out_by_hand(counts: list[int], found: int, kl: float) -> None:
    measured = modes(torch.tensor(counts))
    assert measured.num_found == found
    assert measured.kl == pytest.approx(kl, abs=1e-12)


def test_evenly_drawn_images_have_the_divergence_that_their_number_gives() -> None:
    """(K - 1) / 2n: what docstring and README tell of few images."""
    drawn = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    assert modes(torch.bincount(drawn, minlength=1000)).kl == pytest.approx(999 / 52_000, rel=0.1)


def test_the_yardstick_counts_the_modes_of_what_it_is_shown(tiny_root: Path) -> None:
    train, test = opened(tiny_root, "train"), opened(tiny_root, "test")
    perfect = Perfect(1, 4, 10, stacked=True)
    statistics = reference.ReferenceStatistics(train, test, perfect, 26_000, ("modes",))
    seven = test.images[test.labels % 100 == 77]  # 077, 177, … 977
    wanted = modes(torch.bincount(test.labels[test.labels % 100 == 77], minlength=1000))
    found = {figure.name: figure for figure in statistics.compute_metrics(statistics.with_features(seven, None))}
    assert set(found) == {"modes", "modes kl"}
    assert (found["modes"].model.value, found["modes"].unit, found["modes"].count) == (10, "of 1,000", len(seven))
    assert found["modes kl"].model.value == pytest.approx(wanted.kl, abs=1e-12)
    assert found["modes"].real is not None
    assert found["modes kl"].real is not None
    assert found["modes"].real.value == 1000, "as many training images reach all"
    assert 0.01 < found["modes kl"].real.value < 0.03


@pytest.mark.parametrize("variant", ["vanilla", "cgan"])
def test_a_model_of_stacks_is_trained_and_its_modes_are_counted(
    gan: Gan, tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    monkeypatch.setenv("GAN_DATA", str(tiny_root))
    monkeypatch.setattr(compare, "NUM_STACKED", 300)
    own = ("--width", 4) if variant == "dcgan" else ("--width", 16)
    run = tmp_path / "run"
    done = gan("train", "-v", variant, "-d", "stacked-mnist", "--out", run, "--steps", 4, *TINY, *own)
    assert done.code == 0, done.err
    more = ("--gan-train",) if variant == "cgan" else ()
    outcome = gan("evaluate", run, "--metrics", "modes,labels", "--json", *more)
    assert outcome.code == 0, outcome.err
    found = {figure["name"]: figure for figure in json.loads(outcome.out)["checkpoints"][0]["figures"]}
    assert {"gan-test", "gan-train"} & set(found) == ({"gan-test", "gan-train"} if variant == "cgan" else set())
    assert 1 <= found["modes"]["model"]["value"] <= 300
    assert 0 <= found["modes kl"]["model"]["value"] <= math.log(1000)
    assert found["modes"]["count"] == 300, "unless -n says another number"
    assert 100 < found["modes"]["real"]["value"] <= 300
    table = gan("evaluate", run, "-n", 20, "--metrics", "modes")
    assert "modes of 1,000" in table.out
    assert table.out.splitlines()[1].endswith(" 20")
    if variant == "cgan":
        assert gan("sample", run, "-n", 2, "--label", "007", "--label", "999", "-o", tmp_path / "a.png").code == 0


def test_a_run_may_keep_the_model_with_most_modes(gan: Gan, tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_DATA", str(tiny_root))
    monkeypatch.setattr("gancli.engine.evaluate.COUNT", 200)
    for metric, best_of in (("modes", max), ("kl", min)):
        run = Path(metric)
        own = ("--steps", 4, "--eval-every", 2, "--eval-metric", metric, *SMALL)
        outcome = gan("train", "-v", "vanilla", "-d", "stacked-mnist", "--out", run, *own)
        assert outcome.code == 0, outcome.err
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        figures = {row["step"]: row["figures"] for row in rows if "figures" in row}
        assert all({"frechet", "coverage", "density", "modes", "kl"} == set(found) for found in figures.values())
        best = best_of(figures, key=lambda step: figures[step][metric])
        assert json.loads(gan("inspect", run / "best.safetensors", "--json").out)["step"] == best
    refused = gan("train", "--out", "r", "--steps", 4, "--eval-every", 2, "--eval-metric", "modes", *SMALL)
    assert refused.code == 2
    assert "--eval-metric modes: vanilla on digits is measured by" in refused.err
