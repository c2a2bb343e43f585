"""LAPGAN: levels that learn alone and draw together."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gancli import catalogue
from gancli.errors import UsageError
from gancli.nn.pyramid import double
from gancli.spec import Batch, ImageSpec
from gancli.variant import Sgd
from gancli.variants.lapgan import Lapgan, level_sizes
from tests.conftest import SMALL, Gan, sha256

DIGITS = tuple("0123456789")
TINY_NETS: dict[str, Any] = {"width": 8, "coarse_width": 16, "coarse_d_width": 16, "latent_dim": 8}


def built(images: ImageSpec | None = None, preset: str = "default", **own: Any) -> Lapgan:
    torch.manual_seed(0)
    card = catalogue.variant_info("lapgan")
    known = set(card.config_class.__dataclass_fields__)
    values = {key: value for key, value in card.presets[preset].items() if key in known}
    variant = catalogue.load("lapgan")(card.config_class(**(values | own)), images or ImageSpec(1, 28, DIGITS))
    assert isinstance(variant, Lapgan)
    return variant


def test_sizes_halve_down_to_the_coarsest_at_least_once() -> None:
    assert level_sizes(28, 16) == (28, 14)
    assert level_sizes(28, 8) == (28, 14, 7)
    assert level_sizes(32, 8) == (32, 16, 8)
    assert level_sizes(64, 16) == (64, 32, 16)
    assert level_sizes(64, 256) == (64, 32)
    assert level_sizes(8, 8) == (8, 4)
    for size in (4, 7, 12, 33, 48, 100):
        with pytest.raises(
            UsageError, match=f"--image-size {size}: must be at least 8, and 4 or 7 times a power of two"
        ):
            level_sizes(size, 8)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("preset", ["default", "colour", "paper"])
def test_no_gradient_reaches_another_level_or_the_generator_that_is_judged(preset: str, conditional: bool) -> None:
    variant = built(ImageSpec(1, 16, DIGITS), preset, conditional=conditional, **TINY_NETS)
    batch = Batch(torch.rand(8, 1, 16, 16), torch.arange(8))
    trained = []
    for update in variant.step(batch):
        level, own = update.trains[1:], list(variant.networks[update.trains].parameters())
        strangers = [
            n for name, n in variant.networks.items() if name[1:] != level or (name[0], update.trains[0]) == ("G", "D")
        ]
        foreign = [p for network in strangers for p in network.parameters()]
        gradients = torch.autograd.grad(update.loss, [*own, *foreign], allow_unused=True)
        assert all(gradient is not None for gradient in gradients[: len(own)])
        assert all(gradient is None for gradient in gradients[len(own) :])
        trained.append((update.trains, *update.terms))
    coarsest = [("D1", "d_loss_1"), ("G1", "g_loss_1")] * (1 if preset == "paper" else 4)
    assert trained == [("D0", "d_loss_0"), ("G0", "g_loss_0"), *coarsest]


def test_the_chain_adds_each_levels_residual_to_the_doubled_coarser_picture() -> None:
    variant = built(ImageSpec(1, 28), coarsest=8, **TINY_NETS)
    variant.generator.eval()
    latents = variant.sample_latents(3, torch.device("cpu"))
    coarse, middle, fine = variant.level_images(*latents)
    assert [picture.shape[-1] for picture in (coarse, middle, fine)] == [7, 14, 28]
    low_pass = double(middle, "bilinear")
    torch.testing.assert_close(fine, low_pass + variant.networks["G0"](latents[0], low_pass, None))
    assert torch.equal(fine, variant.generator(*latents))
    assert fine.abs().max() <= 1


def test_the_papers_discriminator_sees_the_sum_of_residual_and_low_pass() -> None:
    D = built(ImageSpec(1, 28), d_sees="sum", **TINY_NETS).networks["D0"]
    residual, low_pass = torch.rand(2, 4, 1, 28, 28)
    torch.testing.assert_close(D(residual, low_pass, None), D(residual + low_pass, torch.zeros(4, 1, 28, 28), None))


def test_the_label_reaches_every_level() -> None:
    variant = built(ImageSpec(1, 28, DIGITS), conditional=True, **TINY_NETS)
    variant.generator.eval()
    latents = [z.expand(2, *z.shape[1:]) for z in variant.sample_latents(1, torch.device("cpu"))]
    residuals: list[Tensor] = []
    for k, z in enumerate(latents):
        size = variant.sizes[k]
        inputs = (torch.zeros(2, 1, size, size), torch.tensor([3, 7]))
        residuals.append(variant.networks[f"G{k}"](z, *inputs))
        verdicts = variant.networks[f"D{k}"](*inputs[:1], inputs[0], inputs[1])
        assert verdicts[0] != verdicts[1]
    assert all(not torch.equal(pair[0], pair[1]) for pair in residuals)


def test_a_coarsest_level_that_is_too_small_for_convolutions_is_refused(gan: Gan) -> None:
    for size, coarsest, found in ((8, 16, 4), (28, 8, 7)):
        args = ("--image-size", size, "--coarsest", coarsest, "--coarse-layers", "convolutional")
        refused = gan("train", "-v", "lapgan", *args)
        assert refused.code == 2
        assert f"must have 8 pixels or more in the coarsest level, which has {found};" in refused.err


def test_a_run_from_another_model_has_its_levels_unless_told(gan: Gan) -> None:
    small = ("train", "-v", "lapgan", *SMALL, "--image-size", 28, "--coarse-width", 16, "--steps", 2)
    assert gan(*small, "--coarsest", 8, "--self-conditioned", 7, "--out", "three").code == 0
    tuned = gan(*small, "--init-from", "three", "--out", "tuned")
    assert (tuned.code, "not copied" in tuned.err) == (0, False), tuned.err
    own = tomllib.loads(Path("tuned", "config.toml").read_text("utf-8"))["lapgan"]
    assert (own["coarsest"], own["self_conditioned"]) == (8, 7)
    other = gan(*small, "--init-from", "three", "--coarsest", 16, "--out", "two")
    assert "more would match with the options of that model: --coarsest 8" in other.err


def test_the_papers_networks_have_the_papers_layers() -> None:
    variant = built(ImageSpec(3, 32), "paper")
    shapes = {
        name: [tuple(p.shape) for p in network.parameters() if p.dim() > 1]
        for name, network in variant.networks.items()
    }
    assert shapes["G2"] == [(1200, 100), (1200, 1200), (192, 1200)]
    assert shapes["D2"] == [(600, 192), (600, 600), (1, 600)]
    assert shapes["G0"] == [(64, 4, 7, 7), (64, 64, 7, 7), (3, 64, 5, 5)]
    assert shapes["D0"] == [(64, 3, 5, 5), (64, 64, 5, 5), (1, 64 * 16 * 16)]
    rule = variant.optimizers(10**6)["G0"]
    assert isinstance(rule, Sgd)
    assert (rule.lr, rule.momentum(0), rule.momentum(500), rule.momentum(10**6)) == (0.02, 0.5, 0.5008, 0.8)


@pytest.mark.parametrize("preset", ["default", "colour", "paper"])
def test_a_preset_trains_and_its_levels_can_be_shown(gan: Gan, tmp_path: Path, preset: str) -> None:
    size = 16 if preset == "colour" else 8
    small = (*SMALL, "--width", 8, "--image-size", size, "--preset", preset, "--conditional")
    trained = gan("train", "--variant", "lapgan", *small, "--steps", 4, "--out", "run", "--resize", "binomial")
    assert trained.code == 0, trained.err
    assert gan("sample", "run", "-n", 10, "--label", "7", "-o", "plain.png").code == 0
    shown = gan("sample", "run", "-n", 10, "--label", "7", "--levels", "-o", "levels.png", "--columns", 1)
    assert shown.code == 0, shown.err
    assert gan("sample", "run", "-n", 1, "--label", "7", "-o", "one.png").code == 0
    with Image.open("levels.png") as levels, Image.open("one.png") as one:
        assert levels.size == (size + 1 + size, 10 * (size + 2) - 2)
        assert levels.crop((size + 1, 0, 2 * size + 1, size)).tobytes() == one.tobytes()
        coarse = levels.crop((0, 0, size, size))
        half = coarse.resize((size // 2, size // 2), Image.Resampling.NEAREST)
        assert half.resize((size, size), Image.Resampling.NEAREST).tobytes() == coarse.tobytes()
    assert sha256(tmp_path / "plain.png") != sha256(tmp_path / "levels.png")
