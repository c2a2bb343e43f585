"""Conditional GAN: the label decides the picture and D's verdict."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancli import catalogue
from gancli.data.spec import ImageSpec
from gancli.errors import UsageError
from gancli.variant import Sgd, Variant
from tests.conftest import Gan, sha256

DIGITS = tuple("0123456789")


def built(images: ImageSpec | None = None, preset: str = "default") -> Variant:
    torch.manual_seed(0)
    card = catalogue.card("cgan")
    known = set(card.config_class.__dataclass_fields__)
    own = {key: value for key, value in card.presets[preset].items() if key in known}
    return catalogue.load("cgan")(card.config_class(**own), images or ImageSpec(1, 8, DIGITS))


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_the_label_changes_the_picture_and_the_verdict(preset: str) -> None:
    variant = built(preset=preset)
    for network in variant.networks.values():
        network.eval()
    (z,) = variant.latents(1, torch.device("cpu"))
    labels = torch.arange(10)
    pictures: Tensor = variant.generator(z.expand(10, -1), labels)
    assert len(torch.unique(pictures.flatten(1), dim=0)) == 10
    verdicts = variant.networks["D"](pictures[:1].expand(10, -1, -1, -1), labels)
    assert verdicts.shape == (10, 1)
    assert len(torch.unique(verdicts)) == 10


def test_the_papers_networks_have_the_papers_layers() -> None:
    variant = built(ImageSpec(1, 28, DIGITS), "paper")
    shapes = {name: tuple(p.shape) for name, p in variant.networks["G"].named_parameters() if p.dim() == 2}
    assert list(shapes.values()) == [(200, 100), (10, 1000), (1200, 1200), (784, 1200)]
    shapes = {name: tuple(p.shape) for name, p in variant.networks["D"].named_parameters() if p.dim() == 2}
    assert list(shapes.values()) == [(240 * 5, 784), (50 * 5, 10), (240 * 4, 290), (1, 240)]


def test_the_papers_step_size_falls_to_a_millionth_and_its_momentum_rises() -> None:
    rule = built(preset="paper").optimizers(10**6)["G"]
    assert isinstance(rule, Sgd)
    assert rule.lr * rule.schedule(0) == 0.1
    assert rule.lr * rule.schedule(25_000) == pytest.approx(0.1 / 2.71828, rel=1e-3)
    assert rule.lr * rule.schedule(10**6) == pytest.approx(1e-6)
    assert rule.momentum(0) == 0.5
    assert rule.momentum(10**6) == pytest.approx(0.7)


def test_images_without_labels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--dataset.*labels.*--variant dcgan"):
        built(ImageSpec(1, 8))


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_preset_trains_and_a_label_can_be_asked_for(gan: Gan, tmp_path: Path, preset: str) -> None:
    args = ("--preset", preset, "--image-size", 8, "--steps", 4, "--log-every", 2, "--device", "cpu", "--threads", 1)
    trained = gan("train", "--variant", "cgan", *args, "--out", "run")
    assert trained.code == 0, trained.err
    for label in ("3", "0-9"):
        sampled = gan("sample", "run", "--label", label, "-n", 10, "-o", f"{label}.png")
        assert sampled.code == 0, sampled.err
    assert sha256(tmp_path / "3.png") != sha256(tmp_path / "0-9.png")
