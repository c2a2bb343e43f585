"""Adversarial losses and gradient penalties: values and gradients against the papers' formulas in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gancli import catalogue
from gancli.config import fields_of
from gancli.config.resolve import preset_layers, resolve
from gancli.nn import adversarial
from gancli.nn.adversarial import LOSSES
from gancli.nn.penalties import Penalties, gradient_penalty, r1
from tests.conftest import SMALL, TINY, Gan, slow_ones

RNG = torch.Generator().manual_seed(0)
Logits = Callable[[Tensor, Tensor], Tensor]


def log1p_exp(x: Tensor) -> Tensor:
    return torch.log1p(torch.exp(x))


def positive(x: Tensor) -> Tensor:
    return torch.maximum(x, torch.zeros_like(x))


# In float64, as the papers have them: D's loss and G's, of real and fake logits.
FORMULAS: dict[str, tuple[Logits, Logits]] = {
    "non-saturating": (
        lambda r, f: -(1 / (1 + torch.exp(-r))).log().mean() - (1 - 1 / (1 + torch.exp(-f))).log().mean(),
        lambda r, f: -(1 / (1 + torch.exp(-f))).log().mean() + 0 * r.sum(),
    ),
    "relativistic": (lambda r, f: log1p_exp(-(r - f)).mean(), lambda r, f: log1p_exp(-(f - r)).mean()),
    "hinge": (lambda r, f: positive(1 - r).mean() + positive(1 + f).mean(), lambda r, f: -f.mean() + 0 * r.sum()),
    "least-squares": (
        lambda r, f: 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean(),
        lambda r, f: 0.5 * ((f - 1) ** 2).mean() + 0 * r.sum(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean() + 0 * r.sum()),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_the_papers(name: str, dtype: torch.dtype) -> None:
    real, fake = (3 * torch.randn(40, 1, generator=RNG).to(dtype) for _ in range(2))
    loss = LOSSES[name]
    of_g: Logits = lambda r, f: loss.generator(f, lambda: r)  # noqa: E731
    for mine, exact in zip((loss.discriminator, of_g), FORMULAS[name], strict=True):
        leaves = [x.float().requires_grad_() for x in (real, fake)]
        doubles = [x.double().requires_grad_() for x in (real, fake)]
        value, true = mine(*leaves), exact(*doubles)
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(true.item(), rel=1e-5, abs=1e-6)
        gradients = torch.autograd.grad(value, leaves, allow_unused=True)
        for gradient, expected in zip(gradients, torch.autograd.grad(true, doubles), strict=True):
            found = torch.zeros_like(expected) if gradient is None else gradient.double()
            assert torch.allclose(found, expected, rtol=1e-4, atol=1e-7)
        assert torch.isfinite(mine(1e4 * real.float(), -1e4 * fake.float()))


def test_the_losses_are_those_of_the_options() -> None:
    for variant in catalogue.names():
        (field,) = (f for f in fields_of(catalogue.variant_info(variant).config_class) if f.name == "loss")
        assert set(field.choices) == set(LOSSES)


@given(st.floats(0, 1), st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=8))
def test_smoothing_changes_the_target_of_real_logits_only(target: float, values: list[float]) -> None:
    real, fake = torch.tensor(values), torch.tensor(values[::-1])
    p, q = torch.sigmoid(real.double()), torch.sigmoid(-real.double())
    expected = -(target * p.log() + (1 - target) * q.log()).mean() - torch.sigmoid(-fake.double()).log().mean()
    found = adversarial.discriminator(real, fake, target)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)


def discriminator(dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Softplus(), nn.Linear(7, 1)).to(dtype)


def test_penalties_and_their_gradients_are_the_formulas_in_float64() -> None:
    """½·E‖∇D‖² at real and fake images and E(‖∇D‖ − 1)² between them, for a D whose gradient is known in closed form."""
    real, fake = (torch.randn(8, 3, 2, 2, generator=RNG) for _ in range(2))
    fraction = torch.rand(8, 1, 1, 1, generator=RNG)
    d, exact = discriminator(torch.float32), discriminator(torch.float64)
    first, last = exact[1], exact[3]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)

    def norms(x: Tensor) -> Tensor:
        hidden = torch.sigmoid(x.double().flatten(1) @ first.weight.T + first.bias) * last.weight
        found: Tensor = (hidden @ first.weight).norm(dim=1)
        return found

    points = fraction * real + (1 - fraction) * fake
    for value, expected in (
        (r1(d, real), 0.5 * (norms(real) ** 2).mean()),
        (r1(d, fake), 0.5 * (norms(fake) ** 2).mean()),
        (gradient_penalty(d, real, fake, fraction), ((norms(points) - 1) ** 2).mean()),
    ):
        assert value.item() == pytest.approx(expected.item(), rel=1e-5)
        gradients = torch.autograd.grad(value, [p for p in d.parameters() if p.dim() > 1])
        true_gradients = torch.autograd.grad(expected, [p for p in exact.parameters() if p.dim() > 1])
        for gradient, true_gradient in zip(gradients, true_gradients, strict=True):
            assert torch.allclose(gradient.double(), true_gradient, rtol=1e-4, atol=1e-6)


def test_penalties_add_up_on_an_eighth_of_the_batch_and_its_labels() -> None:
    real, fake = (torch.randn(16, 3, 2, 2, generator=RNG) for _ in range(2))
    d = discriminator(torch.float32)
    assert not Penalties()
    assert Penalties()(d, real, fake) == 0.0
    both = Penalties(r1=2.0, r2=3.0)(
        lambda x, scale: d(x) * scale, real, fake, torch.tensor([1.0] * 2 + [9.0] * 14)[:, None]
    )
    assert isinstance(both, Tensor)
    assert both.item() == pytest.approx(2 * r1(d, real[:2]).item() + 3 * r1(d, fake[:2]).item())


def test_the_penalty_has_a_gradient_where_d_has_none() -> None:
    linear = nn.Linear(12, 1)
    nn.init.zeros_(linear.weight)
    flat = nn.Sequential(nn.Flatten(), linear)
    value = gradient_penalty(flat, torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2), torch.rand(4, 1, 1, 1))
    (gradient,) = torch.autograd.grad(value, [linear.weight])
    assert math.isclose(value.item(), 1.0, rel_tol=1e-4)
    assert torch.isfinite(gradient).all()


OWN: dict[str, tuple[str, ...]] = {
    "vanilla": SMALL,
    "cgan": SMALL,
    "dcgan": (*SMALL, "--width", "4"),
    "lapgan": (*SMALL, "--width", "4", "--coarse-width", "16", "--coarse-d-width", "16"),
    "srgan": (*TINY, "--width", "4", "--blocks", "1", "--d-width", "4", "--pretrain-steps", "0", "--image-size", "16"),
}


@pytest.mark.parametrize("variant", slow_ones(catalogue.names(), lambda name: name in ("lapgan", "srgan")))
def test_every_variant_trains_with_every_loss(variant: str, gan: Gan) -> None:
    """With all penalties. Each loss trains another model, but hinge equals Wasserstein while all logits are within ±1."""
    seen = set()
    for name in LOSSES:
        done = gan("train", "-v", variant, *OWN[variant], "--loss", name, "--r2", "0.1", "--gp", "0.1", "--steps", "3",
                   "--log-every", "1", "--progress", "json", "--out", name)  # fmt: skip
        assert done.code == 0, done.err
        assert ('"distance' in done.out) == (name == "wasserstein")
        seen.add(done.out[done.out.rindex("g_loss") :][:40])
    assert len(seen) >= len(LOSSES) - 1


def test_only_the_cross_entropy_has_label_smoothing(gan: Gan) -> None:
    done = gan("train", "--preset", "article", *SMALL, "--loss", "hinge", "--steps", "1")
    assert (done.code, done.err) == (2, "gan: --loss hinge: has no targets to smooth; give --smoothing 0, not 0.1\n")
    assert gan("train", "--preset", "article", *SMALL, "--loss", "hinge", "--smoothing", "0", "--steps", "1").code == 0


def test_the_default_is_the_non_saturating_loss_without_r2_and_gp() -> None:
    for variant in catalogue.names():
        config_class = catalogue.variant_info(variant).config_class
        for preset in config_class.presets:
            own: Any = resolve(variant, config_class, preset_layers(variant, config_class, preset)).own
            assert (own.loss, own.r2, own.gp) == ("non-saturating", 0.0, 0.0)
