"""Conditional GAN: the label decides the picture and D's verdict."""

import pytest
import torch

from gancli import catalogue
from gancli.data.spec import ImageSpec
from gancli.variant import Sgd, Variant

DIGITS = tuple("0123456789")


def built(images: ImageSpec | None = None, preset: str = "default") -> Variant:
    torch.manual_seed(0)
    card = catalogue.card("cgan")
    known = set(card.config_class.__dataclass_fields__)
    own = {key: value for key, value in card.presets[preset].items() if key in known}
    return catalogue.load("cgan")(card.config_class(**own), images or ImageSpec(1, 8, DIGITS))


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
