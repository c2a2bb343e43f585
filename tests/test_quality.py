"""Pictures that look like noise are a failing test, whatever the loss says."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancli.data import generated
from gancli.data.dataset import Dataset
from gancli.data.names import Split
from gancli.events import ignore
from gancli.sampling import generate
from gancli.store.checkpoint import load_model
from tests.conftest import Gan

COUNT = 500


def digits(split: Split) -> Dataset:
    return generated.open_generated("digits", Path(), None, split, ignore)


def nearest(pictures: Tensor, among: Dataset) -> tuple[Tensor, Tensor]:
    """Distance to the nearest training picture, pixels in [0, 1], and its label."""
    flat = among.images.flatten(1).float() / 255
    distances, indices = torch.cdist(pictures.flatten(1).float() / 255, flat).min(1)
    return distances, among.labels[indices]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_gan_train_without_options_leaves_digits(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_THREADS", "1")  # two wait for each other where tests run beside it
    outcome = gan("train")
    assert outcome.code == 0, outcome.err
    model = load_model(Path(outcome.out.strip()))
    drawn = generate.generate_all(model.variant, model.variant.generator, generate.requests(COUNT), torch.device("cpu"))
    train = digits("train")
    real_distances, real_labels = nearest(digits("test").images[:COUNT], train)
    fake_distances, fake_labels = nearest(drawn, train)
    assert (real_labels == digits("test").labels[:COUNT]).float().mean() > 0.99, "the yardstick itself reads digits"
    assert fake_distances.median() < 1.4 * real_distances.median()
    assert fake_distances.median() > 0.5 * real_distances.median(), "not copies of the training pictures"
    assert torch.bincount(fake_labels, minlength=10).min() > 0.02 * COUNT, "all ten digits"
