"""Stopping and going on: bit for bit, in every phase, of every variant there is."""

import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import catalogue, events
from gancli.engine.session import Session
from gancli.machine import device as machine
from gancli.steps.runner import StepRunner
from gancli.store import checkpoint, state
from gancli.store.run_directory import RunDirectory
from tests.conftest import SMALL, TINY, Gan, sha256

SIZES = {
    "vanilla": SMALL,
    "cgan": SMALL,
    "dcgan": SMALL,
    # 192: six parts, the penalised eighth of each of which can be shared out to two processes
    "lapgan": (*SMALL, "--coarse-width", "16", "--batch-size", "192"),
    "srgan": (*TINY, "--width", "4", "--blocks", "1", "--d-width", "4", "--pretrain-steps", "10"),
    "wgan_gp": (*SMALL, "--width", "4", "--batch-size", "20"),  # five parts, which two processes can share out
}


def train_args(variant: str) -> tuple[str, ...]:
    return ("train", "--variant", variant, *SIZES.get(variant, TINY))


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Ask the run to stop when it has done `steps` more steps, as a signal would."""
    from gancli.engine import stop

    counter = itertools.count(1)
    advance = Session.advance

    def counted(self: Session, runner: StepRunner, max_steps: int) -> None:
        advance(self, runner, min(max_steps, 1))
        if next(counter) == steps:
            monkeypatch.setattr(stop.Stop, "reason", "SIGTERM")

    monkeypatch.setattr(Session, "advance", counted)


ENDS = ("ckpt.safetensors", "state/step-00000020.safetensors", "samples/step-00000020.png")


@pytest.fixture(scope="module")
def ends() -> dict[str, list[str]]:
    """The sha256 of what an undisturbed run of a variant leaves, in the order of `ENDS`."""
    return {}


def stops() -> Iterator[Any]:
    """Variants, the step after which they are stopped, and whether the parts' steps are traced."""
    for variant in sorted({*catalogue.names(), "three_pairs", "two_phases", "wgan_gp"}):
        for first, traced in ((1, False), (7, False), (10, False), (13, True)):
            # With one phase, any step is like another.
            if first in (7, 13) or variant in ("vanilla", "srgan", "two_phases"):
                slow = first not in (7, 13) or variant not in ("vanilla", "dcgan")
                yield pytest.param(variant, first, traced, marks=pytest.mark.slow if slow else ())


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(("variant", "first", "traced"), list(stops()))
def test_a_stopped_and_resumed_run_ends_in_the_same_bytes(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: dict[str, list[str]], variant: str, first: int,
    traced: bool,
) -> None:  # fmt: skip
    """Also where the parts' steps are traced, and those of the whole run are not."""
    args = (*train_args(variant), "--steps", 20, "--save-every", 20)
    if variant not in ends:
        assert gan(*args, "--out", "whole").code == 0
        ends[variant] = [sha256(Path("whole", name)) for name in ENDS]
    monkeypatch.setattr(machine, "WORTH_TRACING", 0 if traced else 1000)
    with monkeypatch.context() as patched:
        stop_after(patched, first)
        stopped = gan(*args, "--out", "parts")
        assert stopped.code == 75, stopped.err
    assert state.load_newest(RunDirectory(tmp_path / "parts"))[0].facts.step == first
    resumed = gan(*args, "--out", "parts", "--resume", "auto")
    assert resumed.code == 0, resumed.err
    for name, end in zip(ENDS, ends[variant], strict=True):
        assert sha256(Path("parts", name)) == end, name


@pytest.mark.parametrize("first", [1, 5, 6])
def test_a_run_resumed_in_another_epoch_ends_in_the_same_bytes(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    assert gan(*train_args("vanilla"), "--steps", 1, "--out", "painter").code == 0
    assert gan("sample", "painter", "-n", 50, "-o", "pictures").code == 0  # three steps to an epoch
    args = (*train_args("dcgan"), "-d", "pictures", "--steps", 20, "--save-every", 20)
    assert gan(*args, "--out", "whole").code == 0
    with monkeypatch.context() as patched:
        stop_after(patched, first)
        assert gan(*args, "--out", "parts").code == 75
    assert gan(*args, "--out", "parts", "--resume", "auto").code == 0
    assert sha256(tmp_path / "whole" / "ckpt.safetensors") == sha256(tmp_path / "parts" / "ckpt.safetensors")


def test_a_finished_run_is_left_alone_and_a_longer_one_goes_on(gan: Gan, tmp_path: Path) -> None:
    args = (*train_args("vanilla"), "--lr-decay", 0, "--out", "run", "--resume", "auto")
    assert gan(*args, "--steps", 5).code == 0
    before = sha256(tmp_path / "run" / "ckpt.safetensors")
    again = gan(*args, "--steps", 5)
    assert again.code == 0
    assert "already" in again.err
    assert sha256(tmp_path / "run" / "ckpt.safetensors") == before
    assert gan(*args, "--steps", 10).code == 0
    assert gan(*train_args("vanilla"), "--lr-decay", 0, "--steps", 10, "--out", "whole").code == 0
    whole, extended = (state.load_newest(RunDirectory(tmp_path / name))[0].tensors for name in ("whole", "run"))
    weights = [name for name in whole if name.startswith(("network", "average", "optimizer"))]
    assert len(weights) > 10
    assert all(torch.equal(whole[name], extended[name]) for name in weights)


def test_a_damaged_newest_state_is_skipped_with_a_word(gan: Gan, tmp_path: Path) -> None:
    assert gan(*train_args("vanilla"), "--steps", 10, "--save-every", 5, "--out", "run").code == 0
    newest = tmp_path / "run" / "state" / "step-00000010.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed = gan("train", "--resume", "run", "--progress", "plain")
    assert resumed.code == 0
    assert "cut short" in resumed.err
    assert "step-00000010" in resumed.err


def test_a_state_of_another_gan_says_so_and_how_to_start_from_its_weights(gan: Gan, tmp_path: Path) -> None:
    """As an older lapgan's, which had biases before its batch norm."""
    assert gan("train", *SMALL, "--steps", 5, "--out", "run").code == 0
    (path,) = (tmp_path / "run" / "state").iterdir()
    saved = state.load(path)
    checkpoint.save(path, {**saved.tensors, "network.G/0.bias": torch.zeros(16)}, saved.facts)
    refused = gan("train", "--resume", "run", "--steps", 9)
    assert (refused.code, refused.err.count("\ngan: ")) == (1, 1)
    line = (
        "written by a gan with another vanilla network (network.G: its tensors differ by 0.bias); start a new run from"
    )
    assert line in refused.err
    assert "--init-from run/state/step-00000005.safetensors, or resume" in refused.err
    assert "its tensors differ by network.G/0.bias" in gan("inspect", "--verify", path).err
    assert gan("train", *SMALL, "--steps", 2, "--init-from", path, "--out", "new").code == 0


def test_going_on_elsewhere_leaves_the_first_directory_alone(gan: Gan, tmp_path: Path) -> None:
    assert gan(*train_args("vanilla"), "--steps", 10, "--save-every", 5, "--out", "run").code == 0
    before = {p: sha256(p) for p in (tmp_path / "run").rglob("*") if p.is_file()}
    old = "run/state/step-00000005.safetensors"
    assert gan("train", "--resume", old).code == 2
    assert gan("train", "--resume", old, "--out", "fork").code == 0
    assert before == {p: sha256(p) for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert sha256(tmp_path / "fork" / "ckpt.safetensors") == before[tmp_path / "run" / "ckpt.safetensors"]


def test_divergence_names_the_loss_and_the_step_and_keeps_the_last_finite_state(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gancli.nn import adversarial

    honest, counter = adversarial.non_saturating, itertools.count(1)

    def poisoned(logits: torch.Tensor) -> torch.Tensor:
        return honest(logits) * (float("nan") if next(counter) >= 13 else 1.0)

    monkeypatch.setattr(adversarial, "non_saturating", poisoned)
    outcome = gan(*train_args("vanilla"), "--steps", 30, "--save-every", 5, "--out", "run", "--progress", "none")
    assert outcome.code == 4
    assert "g_loss became NaN at step 13" in outcome.err
    newest, skipped = state.load_newest(RunDirectory(tmp_path / "run"))
    assert newest.facts.step == 10
    assert not skipped
    assert "step-00000010" in outcome.err


def test_events_come_in_the_order_things_happen(tmp_path: Path) -> None:
    seen = [e for e in tiny_events(tmp_path / "run") if not isinstance(e, events.Preparing | events.Progress)]
    saved = [event for event in seen if isinstance(event, events.CheckpointSaved)]  # written while training goes on
    assert [(event.step, event.kind) for event in saved] == [(5, "state"), (5, "model"), (10, "state"), (10, "model")]
    row = [events.LossRow, events.SamplesDrawn]
    others = [type(event) for event in seen if event not in saved]
    assert others == [events.RunStarted, events.PhaseStarted, *row, *row, events.RunFinished]
    assert seen.index(saved[0]) > others.index(events.SamplesDrawn)
    assert seen[-1] not in saved


def test_what_the_disk_refuses_in_the_background_ends_the_run(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: object, target: object) -> None:
        if "step-00000015" in str(target) and str(target).endswith(".safetensors"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", full)
    outcome = gan(*train_args("vanilla"), "--steps", 400, "--save-every", 5, "--out", "run", "--progress", "none")
    assert outcome.code == 1
    assert "step-00000015.safetensors: cannot be written (No space left on device)" in outcome.err
    assert outcome.err.count("\n") == 1
    newest, skipped = state.load_newest(RunDirectory(tmp_path / "run"))
    assert (newest.facts.step, skipped) == (10, [])


def tiny_events(out: Path) -> list[events.Event]:
    from gancli.config import RunConfig
    from gancli.engine.stop import Stop
    from gancli.engine.train import train
    from gancli.store import run_directory

    run = RunConfig(steps=10, image_size=8, batch_size=16, log_every=5, threads=1, device="cpu")
    own = catalogue.variant_info("vanilla").config_class()
    seen = list[events.Event]()
    for event in train(run, own, catalogue.load("vanilla"), run_directory.make_writable(out), Stop(), seen.append):
        seen.append(event)
    return seen


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(gan: Gan, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert gan(*train_args("vanilla"), "--steps", 6, "--seed", seed, "--out", name).code == 0
    same, again, other = (sha256(tmp_path / name / "ckpt.safetensors") for name in "abc")
    assert same == again != other
