"""The worked example of docs/adding-a-variant.md: what the page says of it, its gradient penalty, and a run of it."""

import math
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gancli import catalogue
from gancli.machine.device import Machine
from gancli.metrics import classifier
from gancli.spec import Batch, ImageSpec
from gancli.steps.training_step import TrainingStep
from gancli.variant import Update, Variant
from tests.conftest import ROOT, SMALL, Gan

pytestmark = pytest.mark.usefixtures("toys")

CPU = Machine(torch.device("cpu"), "fp32", 1)
FILE = ROOT / "examples" / "variants" / "wgan_gp" / "gan_wgan_gp" / "wgan_gp.py"
Penalty = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], tuple[Tensor, Tensor]]


def built(size: int = 8, channels: int = 1, **options: object) -> Variant:
    torch.manual_seed(0)
    config = catalogue.variant_info("wgan_gp").config_class(**({"width": 4, "latent_dim": 6} | options))
    return catalogue.load("wgan_gp")(config, ImageSpec(channels, size, ()))


def batch_of(variant: Variant, count: int) -> Batch:
    images = variant.images
    return Batch(
        torch.rand(count, images.channels, images.size, images.size) * 2 - 1, torch.zeros(count, dtype=torch.long)
    )


@pytest.fixture
def penalty(toys: None) -> Penalty:  # noqa: ARG001 - the module is found with it only
    module: Any = __import__(catalogue.load("wgan_gp").__module__, fromlist=["gradient_penalty"])
    found: Penalty = module.gradient_penalty
    return found


def pictures(count: int = 5) -> tuple[Tensor, Tensor]:
    """Real and fake ones, in float64."""
    real, fake = torch.rand(2, count, 2, 4, 4, dtype=torch.float64) * 2 - 1
    return real, fake


def test_the_penalty_of_a_linear_critic_is_that_of_its_weights_length(penalty: Penalty) -> None:
    """D(x) = w·x has the slope w everywhere: (‖w‖ − 1)², whose own slope is 2 (‖w‖ − 1) w / ‖w‖."""
    w = torch.linspace(-1, 2, 32, dtype=torch.float64).requires_grad_()
    found, slope = penalty(lambda x: x.flatten(1) @ w, *pictures())
    length = math.sqrt(sum(value**2 for value in w.tolist()))
    assert found.item() == pytest.approx((length - 1) ** 2, rel=1e-12)
    assert slope.item() == pytest.approx(length, rel=1e-12)
    found.backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    assert w.grad.tolist() == pytest.approx([2 * (length - 1) * value / length for value in w.tolist()], rel=1e-12)


def test_the_penalty_is_taken_at_points_between_real_and_fake_pictures(penalty: Penalty) -> None:
    """D(x) = ½ a ‖x‖² has the slope a x: what is measured tells where."""
    real, fake = pictures()
    torch.manual_seed(3)
    found, _ = penalty(lambda x: 1.5 * x.square().flatten(1).sum(1) / 2, real, fake)
    torch.manual_seed(3)
    share = torch.rand(5, 1, 1, 1, dtype=torch.float64)
    assert len(set(share.flatten().tolist())) == 5
    lengths = [1.5 * (e * r + (1 - e) * f).norm().item() for e, r, f in zip(share, real, fake, strict=True)]
    expected = [(length - 1) ** 2 for length in lengths]
    assert found.item() == pytest.approx(sum(expected) / 5, rel=1e-12)


def test_the_penalty_under_bf16_is_that_of_fp32(penalty: Penalty) -> None:
    critic = built(8, 2).networks["D"]
    real, fake = torch.rand(2, 3, 2, 8, 8) * 2 - 1
    torch.manual_seed(3)
    exact, _ = penalty(critic, real, fake)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = penalty(critic, real, fake)
    assert torch.equal(found, exact)
    assert exact.requires_grad


def test_in_a_step_the_critic_is_updated_several_times_each_with_other_pictures_then_the_generator() -> None:
    variant = built(critic_updates=3)
    batch = batch_of(variant, 10)
    seen: list[Tensor] = []
    variant.networks["D"].register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    stepper = TrainingStep(variant.phases(1)[0], variant.networks, CPU)
    trained = []
    updates: Iterator[Update] = variant.step(batch)
    for update in updates:
        trained.append(update.trains)
        stepper.optimizers[update.trains].minimise(update.loss)
    assert trained == ["D", "D", "D", "G"]
    shown = seen[0:6:2]  # real and fake together; between come the points of the penalty
    assert torch.equal(torch.cat([both[: len(both) // 2] for both in shown]), batch.images)
    assert [len(both) // 2 for both in shown] == [4, 3, 3]
    fakes = torch.cat([both[len(both) // 2 :] for both in shown])
    assert len(torch.unique(fakes.flatten(1), dim=0)) == len(fakes), "noise of its own for each"


def section() -> str:
    """The page on adding a variant."""
    return (ROOT / "docs" / "adding-a-variant.md").read_text("utf-8")


def test_what_the_page_shows_of_the_file_is_in_it() -> None:
    code = FILE.read_text("utf-8")
    shown = re.findall(r"^```python\n(.*?)^```", section(), re.MULTILINE | re.DOTALL)
    assert len(shown) >= 3
    for part in shown:
        assert part in code, part


def test_the_pages_commands_train_measure_and_sample_it(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_DATA", str(tmp_path / "root"))  # for a classifier that no other test should find
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    commands = [shlex.split(line, comments=True)[1:] for line in section().splitlines() if line.startswith("    gan ")]
    used = {"new", "check", "variants", "train", "inspect", "sample", "evaluate", "demo"}
    assert {words[0] for words in commands} == used
    smaller = {"train": (*SMALL, "--width", "4", "--steps", "4"), "evaluate": ("--metrics", "parzen", "-n", "20")}
    for words in commands:
        if words[0] == "demo":  # serves until it is stopped: tests/demo
            continue
        others = ["digits"] if words[0] == "evaluate" else []  # whose images are larger than those of the smaller run
        outcome = gan(*(word for word in words if word not in others), *smaller.get(words[0], ()))
        assert outcome.code == 0, (words, outcome.err)
    with Image.open("grid.png") as grid:
        assert grid.width > 8
    assert "wgan_gp" in gan("variants").out
