"""Pictures that are held out, and what they tell: that D is overfitting."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.batches.index_stream import split_held_out
from gancli.batches.labelled import LabelledBatches
from gancli.data.dataset import Dataset
from gancli.engine.monitors import CHECKS_IN_A_ROW, OverfittingMonitor
from gancli.store import state
from gancli.store.run_directory import RunDirectory
from tests.conftest import SMALL, TINY, Gan, sha256


def pictures(folder: str, count: int) -> str:
    """Bright squares anywhere on dark noise: what can be learned, and what can only be memorised."""
    rng = torch.Generator().manual_seed(count)
    for index in range(count):
        (place := Path(folder, "ab"[index % 2])).mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(0, 120, (8, 8), generator=rng, dtype=torch.uint8)
        top, left = torch.randint(0, 5, (2,), generator=rng).tolist()
        pixels[top : top + 3, left : left + 3] = 250
        Image.fromarray(pixels.numpy()).save(place / f"{index}.png")
    return folder


def warnings(out: str) -> list[str]:
    rows = map(json.loads, out.splitlines())
    return [
        row["message"] for row in rows if row["event"] == "warned" and "D is overfitting: at step" in row["message"]
    ]


def array(name: str, count: int) -> str:
    """The same pictures as one array."""
    place = f"{name}.npy"
    np.save(
        place, np.stack([np.asarray(Image.open(path)) for path in sorted(Path(pictures(name, count)).rglob("*.png"))])
    )
    return place


LONG = ("train", "-v", "vanilla", "--image-size", 8, "--width", 128, "--batch-size", 32, "--log-every", 20,
        "--device", "cpu", "--threads", 1, "--progress", "json", "--save-every", 10_000)  # fmt: skip


@pytest.mark.slow
def test_fifty_pictures_that_are_learnt_by_heart_are_told_of_once(gan: Gan) -> None:
    done = gan(*LONG, "-d", array("few", 66), "--held-out", 16, "--steps", 800, "--out", "run")
    (line,) = warnings(done.out)
    assert "training and for 16 held-out images" in line
    assert "more images" in line
    assert "--mirror" in line


def test_it_is_told_after_several_looks_in_a_row_and_once() -> None:
    source = Dataset("x", torch.zeros(20, 1, 4, 4, dtype=torch.uint8), torch.zeros(20, dtype=torch.int64), ())
    watch = OverfittingMonitor(source, *split_held_out(20, 8), torch.device("cpu"))
    looks = [1.0] * (CHECKS_IN_A_ROW - 1) + [0.1] + [1.0] * CHECKS_IN_A_ROW + [0.1] + [1.0] * CHECKS_IN_A_ROW
    assert [index for index, share in enumerate(looks) if watch.is_overfitting(share)] == [2 * CHECKS_IN_A_ROW - 1]


def test_held_out_pictures_are_never_shown_and_the_same_for_every_seed() -> None:
    kept, held = split_held_out(40, 8)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(40))
    source = Dataset("x", torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1), torch.zeros(40, dtype=torch.int64), ())
    for seed, mirror in ((0, False), (5, True)):
        batches = LabelledBatches(source, torch.device("cpu"), 8, seed, mirror=mirror, kept=kept)
        rows = torch.cat([batches.rows(step, 1)[0] for step in range(4)])
        assert sorted((rows % 40).tolist()) == kept.tolist()


@pytest.mark.parametrize("variant", ["vanilla", "dcgan"])
def test_looking_changes_nothing(gan: Gan, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the weights, batch norm's statistics or the random numbers, whatever the networks are made of."""
    more = {"dcgan": ("--norm", "batch"), "vanilla": ("--dropout", 0.5)}
    args: tuple[object, ...] = (
        "train",
        "-v",
        variant,
        "-d",
        pictures("pics", 40),
        *SMALL,
        "--width",
        8,
        *more[variant],
    )
    args = (*args, "--held-out", 8, "--steps", 6, "--log-every", 1, "--save-every", 10)
    looks, share = list[float](), OverfittingMonitor.measure

    def noted(*given: Any) -> float:
        looks.append(share(*given))
        return looks[-1]

    monkeypatch.setattr(OverfittingMonitor, "measure", noted)
    assert gan(*args, "--out", "looked").code == 0
    assert len(looks) == 6
    monkeypatch.setattr(OverfittingMonitor, "measure", lambda *_: 0.0)
    assert gan(*args, "--out", "unseen").code == 0
    names = ("ckpt.safetensors", "state/step-00000006.safetensors")
    assert [sha256(Path("looked", name)) for name in names] == [sha256(Path("unseen", name)) for name in names]


def settings(gan: Gan, *args: object) -> str:
    done = gan("train", *args, "--dry-run")
    assert done.code == 0, done.err
    (row,) = (line.split() for line in done.out.splitlines() if line.startswith("--held-out"))
    return row[1]


def test_a_few_are_held_out_of_ones_own_where_some_can_be_spared(gan: Gan) -> None:
    for count, held_out in ((99, "0"), (100, "8"), (320, "20")):
        assert settings(gan, "-d", pictures(f"p{count}", count), *SMALL) == held_out
    assert settings(gan, "-d", "p320", *SMALL, "--held-out", 0) == "0"
    assert settings(gan, *SMALL) == "0"
    assert settings(gan, "-v", "srgan", "-d", "p99", *TINY) == "–"


def test_what_cannot_be_held_out_is_refused(gan: Gan) -> None:
    few = ("-d", pictures("few", 20), "--steps", 1, "--out", "run")
    for number in (3, 20, 21):
        done = gan("train", *few, *SMALL, "--held-out", number)
        told = f"gan: --held-out {number}: must be 0, or 8 to 19 of the 20 images\n"
        assert (done.code, done.err.endswith(told)) == (2, True)
    done = gan("train", "-v", "srgan", *few, *TINY, "--held-out", 8)
    assert (done.code, done.err.count("gan: --held-out 8: srgan has no D that judges single images")) == (2, 1)


def test_a_run_goes_on_with_what_it_held_out(gan: Gan) -> None:
    args = ("train", "-d", pictures("own", 110), *SMALL, "--lr-decay", 0, "--save-every", 100)
    begun = gan(*args, "--steps", 20, "--out", "whole")
    assert (begun.code, begun.err.count("8 of its 110 images are held out of training")) == (0, 1)
    assert gan(*args, "--steps", 10, "--out", "parts").code == 0
    resumed = gan(*args, "--steps", 20, "--out", "parts", "--resume", "auto", "--held-out", 8)
    assert (resumed.code, resumed.err.count("held out of training")) == (0, 0)
    assert sha256(Path("whole/ckpt.safetensors")) == sha256(Path("parts/ckpt.safetensors"))
    facts = state.load_newest(RunDirectory(Path("parts")))[0].facts
    assert (facts.held_out, facts.num_images) == (8, 110)
    assert "110 images, 1×8×8, 8 of them held out" in gan("inspect", "parts").out
    other = gan(*args, "--steps", 30, "--out", "parts", "--resume", "auto", "--held-out", 0)
    assert (other.code, other.err.count("gan: --held-out 0 (flag): the run to resume has 8")) == (2, 1)
