"""The evaluation classifier, and the metrics of a dataset together."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.data.dataset import Dataset
from gancli.events import Event, ignore
from gancli.metrics import classifier, reference
from gancli.metrics.classifier import Classifier, evaluation_classifier, fit

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 60)


def bright_and_dark(count: int = 400, names: tuple[str, ...] = ("dark", "bright"), seed: int = 0) -> Dataset:
    """Two classes that a classifier learns at once: dark and bright noise, lighter at the top."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 60, (count, 1, 8, 8), generator=rng)
    slope = torch.arange(8).flip(0)[:, None] * 10
    return Dataset("toy", (noise + slope + 120 * labels[:, None, None, None]).to(torch.uint8), labels, names)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 28), (1, 128)])
def test_the_classifier_takes_every_size(channels: int, size: int) -> None:
    network = Classifier(channels, size, 5)
    images = torch.zeros(2, channels, size, size)
    assert network.features(images).shape == (2, 128)
    assert network(images).shape == (2, 5)


def test_the_classifier_learns_the_labels_and_repeats_bit_for_bit() -> None:
    source = bright_and_dark()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, two = (fit(source.images, source.labels, 2, CPU, False, ignore) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before), "training's random numbers are left alone"
    assert torch.equal(one.extract(source.images)[0], two.extract(source.images)[0])
    assert (one.extract(source.images)[1] == source.labels).double().mean() > 0.99


def test_without_labels_the_classifier_learns_which_way_is_up() -> None:
    source = bright_and_dark(names=())
    extractor = fit(source.images, source.labels, 0, CPU, False, ignore)
    turned = source.images.rot90(2, (2, 3))
    assert not extractor.labelled
    assert (extractor.extract(source.images)[1] == 0).double().mean() > 0.9
    assert (extractor.extract(turned)[1] == 2).double().mean() > 0.9


def test_the_classifier_is_kept_beside_the_data_and_made_again_if_damaged(tmp_path: Path) -> None:
    source = bright_and_dark()
    first = evaluation_classifier(source, tmp_path, CPU, ignore)
    (kept,) = (tmp_path / "cache").iterdir()
    sound, events = kept.read_bytes(), list[Event]()
    again = evaluation_classifier(source, tmp_path, CPU, events.append)
    assert not events, "nothing is trained"
    assert torch.equal(again.extract(source.images)[0], first.extract(source.images)[0])
    kept.write_bytes(sound[: len(sound) // 2])
    evaluation_classifier(source, tmp_path, CPU, ignore)
    assert kept.read_bytes() == sound


def test_other_data_gets_another_classifier(tmp_path: Path) -> None:
    evaluation_classifier(bright_and_dark(), tmp_path, CPU, ignore)
    evaluation_classifier(bright_and_dark(seed=1), tmp_path, CPU, ignore)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def figures(statistics: reference.ReferenceStatistics, pixels: Any, labels: Any = None) -> dict[str, float]:
    return {
        figure.name: figure.model.value
        for figure in statistics.compute_metrics(statistics.with_features(pixels, labels))
    }


def test_real_images_score_as_their_floor_and_worse_ones_worse(tmp_path: Path) -> None:
    train, test = bright_and_dark(600), bright_and_dark(300, seed=1)
    statistics = reference.make_reference(train, test, tmp_path, CPU, 200, ignore)
    fresh = bright_and_dark(200, seed=2)
    real = figures(statistics, fresh.images, fresh.labels)
    dark_only = figures(statistics, fresh.images[fresh.labels == 0].repeat(2, 1, 1, 1), torch.arange(200) % 2)
    floor = {name: measure.value for name, measure in statistics.floors.items()}
    assert set(floor) == set(real)
    assert real["frechet distance"] < 3 * floor["frechet distance"]
    assert dark_only["frechet distance"] > 10 * real["frechet distance"]
    assert real["gan-test"] == 100
    assert dark_only["gan-test"] == 50
    assert (real["classes found"], dark_only["classes found"]) == (2, 1)
    assert dark_only["commonest class"] == 2
    assert dark_only["coverage"] < 0.7 < real["coverage"]
    assert real["parzen log-likelihood"] > dark_only["parzen log-likelihood"]
    copied = figures(statistics, train.images[:200], train.labels[:200])
    assert copied["nearest training image"] == 0 < real["nearest training image"]


def test_a_data_set_without_a_test_split_is_measured_by_halves(tmp_path: Path) -> None:
    whole = bright_and_dark(400)
    statistics = reference.make_reference(whole, whole, tmp_path, CPU, 10_000, ignore)
    assert not statistics.has_test_split
    assert statistics.count == 160, "half of it, less the images that choose the windows' width"
    shared = (statistics.reference.pixels[:, None] == statistics.validation[None]).flatten(2).all(2)
    assert not shared.any()


@pytest.mark.slow
def test_gan_train_scores_a_classifier_of_the_models_images_on_real_ones(tmp_path: Path) -> None:
    train, test = bright_and_dark(600), bright_and_dark(300, seed=1)
    statistics = reference.make_reference(train, test, tmp_path, CPU, 200, ignore, ("labels",))
    fresh = bright_and_dark(200, seed=2)
    good = statistics.gan_train(statistics.with_features(fresh.images, fresh.labels), ignore)
    swapped = statistics.gan_train(statistics.with_features(fresh.images, 1 - fresh.labels), ignore)
    assert good.model.value > 99
    assert swapped.model.value < 1
