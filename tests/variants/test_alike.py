"""What several variants promise alike (sizes, labels, runs from the command line), and cgan's paper networks."""

from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gancli import catalogue
from gancli.errors import UsageError
from gancli.spec import ImageSpec
from gancli.variant import Sgd, Variant
from tests.conftest import SMALL, Gan

pytestmark = pytest.mark.usefixtures("toys")

DIGITS = tuple("0123456789")
TINY: dict[str, dict[str, Any]] = {
    "cgan": {},
    "dcgan": {"width": 2, "latent_dim": 6},
    "lapgan": {"width": 8, "coarse_width": 16, "coarse_d_width": 16, "latent_dim": 8},
    "wgan_gp": {"width": 2, "latent_dim": 6},
}


def built(name: str, images: ImageSpec, preset: str = "default", **own: object) -> Variant:
    torch.manual_seed(0)
    card = catalogue.variant_info(name)
    known = set(card.config_class.__dataclass_fields__)
    values = {key: value for key, value in card.presets[preset].items() if key in known}
    return catalogue.load(name)(card.config_class(**(values | TINY[name] | own)), images)


@pytest.mark.parametrize(
    ("name", "size", "channels", "own"),
    [
        ("dcgan", 8, 1, {"upsampling": "resize"}),
        ("dcgan", 14, 3, {"upsampling": "transposed"}),
        ("dcgan", 56, 1, {"upsampling": "resize"}),
        ("dcgan", 128, 3, {"upsampling": "transposed"}),
        ("wgan_gp", 8, 1, {}),
        ("wgan_gp", 14, 3, {}),
        ("wgan_gp", 40, 1, {}),
        ("lapgan", 64, 3, {}),
    ],
)
def test_images_have_the_size_of_the_dataset(name: str, size: int, channels: int, own: dict[str, Any]) -> None:
    variant = built(name, ImageSpec(channels, size, DIGITS), **own)
    images: Tensor = variant.generator(*variant.sample_inputs(torch.arange(2)))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1


@pytest.mark.parametrize(
    ("name", "size", "why"),
    [
        ("dcgan", 30, "28 and 32$"),
        ("dcgan", 5, "8$"),
        ("lapgan", 4, "28, 32, .*64"),
        ("lapgan", 30, "28, 32, .*64"),
        ("wgan_gp", 4, "such as 28, 32 or 64"),
        ("wgan_gp", 30, "such as 28, 32 or 64"),
    ],
)
def test_other_sizes_are_refused_with_those_that_work(name: str, size: int, why: str) -> None:
    with pytest.raises(UsageError, match=rf"--image-size {size}: .*{why}"):
        built(name, ImageSpec(1, size))


@pytest.mark.parametrize(
    ("name", "preset", "conditional"),
    [("cgan", "default", None), ("cgan", "paper", None), ("dcgan", "default", True), ("dcgan", "default", False)],
)
def test_only_a_conditional_model_depends_on_the_label(name: str, preset: str, conditional: bool | None) -> None:
    own = {} if conditional is None else {"conditional": conditional}
    variant = built(name, ImageSpec(1, 8, DIGITS), preset, **own)
    assert variant.conditional is (conditional is not False)
    for network in variant.networks.values():
        network.eval()
    labels = torch.arange(10)
    latents = tuple(z.expand(10, -1) for z in variant.sample_latents(1, torch.device("cpu")))
    images: Tensor = variant.generator(*variant.generator_inputs(latents, labels))
    logits = variant.networks["D"](images[:1].expand(10, -1, -1, -1), labels)
    assert logits.shape == (10, 1)
    num_different = 10 if variant.conditional else 1
    assert len(torch.unique(images.flatten(1), dim=0)) == len(torch.unique(logits)) == num_different


@pytest.mark.parametrize(
    ("name", "own", "why"),
    [
        ("cgan", {}, r"--dataset.*labels.*--variant dcgan"),
        ("dcgan", {"conditional": True}, r"--conditional: .*no labels"),
        ("lapgan", {"conditional": True}, r"--conditional: .*no labels"),
    ],
)
def test_a_conditional_model_needs_labels(name: str, own: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        built(name, ImageSpec(1, 8), **own)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dcgan", "--preset paper"),
        ("dcgan", "--conditional --norm batch --r1 1"),
        ("dcgan", "--norm spectral --augment colour,translation,cutout --precision bf16"),
        ("wgan_gp", "--width 4 --preset paper"),
        ("wgan_gp", "--width 4 --precision bf16 --critic-updates 2"),
        ("wgan_gp", "--width 4 --penalty 1 --lr 0.001 --beta1 0.5 --beta2 0.99 --batch-size 3"),
    ],
)
def test_every_option_trains_from_the_command_line(gan: Gan, name: str, options: str) -> None:
    trained = gan("train", "-v", name, *SMALL, *options.split(), "--steps", 4, "--out", "run")
    assert trained.code == 0, trained.err
    sampled = gan("sample", "run", "-n", 4, "-o", "grid.png")
    assert sampled.code == 0, sampled.err


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_label_can_be_sampled(gan: Gan, preset: str) -> None:
    args = ("--preset", preset, "--image-size", 8, "--steps", 4, "--log-every", 2, "--device", "cpu", "--threads", 1)
    trained = gan("train", "--variant", "cgan", *args, "--out", "run")
    assert trained.code == 0, trained.err
    for label in ("3", "0-9"):
        sampled = gan("sample", "run", "--label", label, "-n", 10, "-o", f"{label}.png")
        assert sampled.code == 0, sampled.err
    with Image.open("3.png") as threes, Image.open("0-9.png") as all_classes:
        assert threes.tobytes() != all_classes.tobytes()


def test_cgans_paper_networks_have_the_papers_layers() -> None:
    variant = built("cgan", ImageSpec(1, 28, DIGITS), "paper")
    shapes = {name: tuple(p.shape) for name, p in variant.networks["G"].named_parameters() if p.dim() == 2}
    assert list(shapes.values()) == [(200, 100), (10, 1000), (1200, 1200), (784, 1200)]
    shapes = {name: tuple(p.shape) for name, p in variant.networks["D"].named_parameters() if p.dim() == 2}
    assert list(shapes.values()) == [(240 * 5, 784), (50 * 5, 10), (240 * 4, 290), (1, 240)]


def test_cgans_paper_learning_rate_falls_to_a_millionth_and_its_momentum_rises() -> None:
    rule = built("cgan", ImageSpec(1, 8, DIGITS), "paper").optimizers(10**6)["G"]
    assert isinstance(rule, Sgd)
    assert rule.lr * rule.schedule(0) == 0.1
    assert rule.lr * rule.schedule(25_000) == pytest.approx(0.1 / 2.71828, rel=1e-3)
    assert rule.lr * rule.schedule(10**6) == pytest.approx(1e-6)
    assert rule.momentum(0) == 0.5
    assert rule.momentum(10**6) == pytest.approx(0.7)
