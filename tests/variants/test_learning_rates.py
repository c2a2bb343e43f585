"""`--d-lr`, `--d-steps`, `--lr-schedule` and `--warmup`: each network's learning rate, and how often it is updated."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gancli import catalogue
from gancli.machine.device import Machine
from gancli.report.rows import read_metrics
from gancli.spec import Batch, ImageSpec
from gancli.steps.training_step import TrainingStep
from gancli.variant import Adam, Sgd, Update
from tests.conftest import SMALL, Gan, sha256
from tests.machine.together import together

DIGITS = ImageSpec(1, 8, tuple("0123456789"))
THREE = ("vanilla", "cgan", "dcgan")


def built(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return catalogue.load(name)(catalogue.variant_info(name).config_class(**options), DIGITS)


def learning_rate(rule: Any, done: int) -> float:
    rate: float = rule.lr * rule.schedule(done)
    return rate


@pytest.mark.parametrize("name", THREE)
def test_d_has_its_own_learning_rate_or_that_of_g(name: str) -> None:
    rules = built(name, lr=1e-3, d_lr=4e-3).optimizers(100)
    assert (rules["G"].lr, rules["D"].lr) == (1e-3, 4e-3)
    rules = built(name, lr=2e-3).optimizers(100)
    assert (rules["G"].lr, rules["D"].lr) == (2e-3, 2e-3)
    if name != "dcgan":
        rules = built(name, lr=0.1, d_lr=0.05, optimizer="sgd").optimizers(100)
        assert isinstance(rules["D"], Sgd)
        assert (rules["G"].lr, rules["D"].lr) == (0.1, 0.05)


@pytest.mark.parametrize("name", [*THREE, "lapgan"])
def test_the_schedules_run_over_the_updates_of_each_network(name: str) -> None:
    steps = 100
    more = {} if name == "lapgan" else {"d_steps": 5}
    variant = built(name, lr_decay=0.5, lr_schedule="cosine", warmup=10, **more)
    for network, rule in variant.optimizers(steps).items():
        assert isinstance(rule, Adam)
        each = variant.num_updates(int(network[1:])) if name == "lapgan" else 5 if network == "D" else 1
        assert rule.schedule(0) == pytest.approx(1 / (10 * each)), "the first update is not in vain"
        assert [rule.schedule(step * each) for step in (10, 50)] == pytest.approx([1, 1])
        assert rule.schedule(75 * each) == pytest.approx(0.5)
        assert rule.schedule(60 * each) == pytest.approx((1 + math.cos(math.pi / 5)) / 2)
        assert 0 < rule.schedule(steps * each - 1) < 0.01


@pytest.mark.parametrize("name", THREE)
def test_d_is_updated_on_every_part_of_the_batch_and_g_on_the_last(name: str) -> None:
    variant = built(name, d_steps=3)
    batch = Batch(torch.rand(13, 1, 8, 8), torch.arange(13) % 10)
    (phase,) = variant.phases(20)
    updates: list[Update] = list(phase.step(batch))
    assert [update.trains for update in updates] == ["D", "D", "D", "G"]
    step = TrainingStep(phase, variant.networks, Machine(torch.device("cpu"), "fp32", 1))
    step.run(batch)
    assert {network: optimizer.updates for network, optimizer in step.optimizers.items()} == {"G": 1, "D": 3}
    seen: list[Tensor] = []
    variant.D.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    updates = list(built_step(variant, batch))
    halves = [x[: len(x) // 2] for x in seen if len(x) in (8, 10)]
    assert torch.equal(torch.cat(halves[:3]), batch.images)


def built_step(variant: Any, batch: Batch) -> Any:
    object.__setattr__(variant, "penalties", lambda *_: 0.0)  # whose images D sees, too
    return variant.step(batch)


def test_defaults_are_those_of_before() -> None:
    for name in THREE:
        config: Any = catalogue.variant_info(name).config_class()
        assert (config.d_lr, config.d_steps, config.lr_schedule, config.warmup) == (None, 1, "linear", 0)


def test_a_run_with_all_of_them_resumes_to_the_byte_also_captured(gan: Gan) -> None:
    more = ("--d-steps", 2, "--d-lr", 2e-3, "--lr-decay", 0.8, "--lr-schedule", "cosine", "--warmup", 30)
    args = ("train", *SMALL, *more, "--progress", "none", "--steps", 240, "--save-every", 20, "--keep", 20)
    assert gan(*args, "--out", "whole").code == 0
    assert gan(*args, "--no-graph", "--out", "plain").code == 0
    for step in (20, 200):
        state = f"whole/state/step-{step:08d}.safetensors"
        assert gan("train", "--resume", state, "--out", f"from-{step}").code == 0
    ends = {sha256(Path(run, "ckpt.safetensors")) for run in ("whole", "plain", "from-20", "from-200")}
    assert len(ends) == 1


@pytest.mark.slow
def test_two_processes_update_d_as_often_as_one(gan: Gan) -> None:
    args = ("train", *SMALL, "--batch-size", 32, "--d-steps", 2, "--precision", "fp32", "--steps", 6, "--log-every", 1)
    assert gan(*args, "--out", "one").code == 0
    code, _, err = together(*args, "--out", "two")
    assert code == 0, err
    for row, other in zip(
        read_metrics(Path("one/metrics.jsonl")), read_metrics(Path("two/metrics.jsonl")), strict=True
    ):
        assert [row["d_loss"], row["g_loss"]] == pytest.approx([other["d_loss"], other["g_loss"]], rel=2e-4)
    code, _, err = together(*args[:-4], "--batch-size", 30, "--steps", 6, "--out", "three")
    assert code == 2
    assert "--batch-size 30: cannot be divided evenly among 2 processes in 2 parts each; try" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            ("--lr-decay", 0, "--lr-schedule", "cosine"),
            "--lr-schedule cosine: the learning rate does not decay; give --lr-decay too",
        ),
        (("--optimizer", "sgd", "--warmup", 5), "--warmup 5: only applies with --optimizer adam"),
        (("--d-lr", 0), "--d-lr 0.0: must be above 0"),
        (("--d-steps", 9), "--batch-size 16: batch normalisation needs at least 2 images per update"),
        (("--d-steps", 17, "--norm", "none"), "--batch-size 16: cannot be divided into 17 parts; give at least 17"),
        (("-v", "lapgan", "--d-steps", 2), "--d-steps: lapgan has no such option (an option of cgan, dcgan, vanilla)"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(gan: Gan, line: tuple[object, ...], said: str) -> None:
    outcome = gan("train", *SMALL, *line, "--steps", 4, "--progress", "none", "--out", "run")
    assert outcome.code == 2
    assert outcome.err.startswith(f"gan: {said}")
    assert outcome.err.count("\n") == 1
