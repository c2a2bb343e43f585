"""What a file of another machine says here."""

import json
from pathlib import Path

import pytest

from gancli import catalogue
from gancli.config import resolve, toml
from gancli.config.resolve import file_layer
from gancli.store.facts import command_from_config
from tests.conftest import SMALL, Gan, sha256


def test_threads_of_a_larger_machine_are_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "CPUS", frozenset({0, 1}))
    config_class = catalogue.variant_info("vanilla").config_class
    layers = [file_layer("run.toml", {"threads": count}, "vanilla", config_class, ()) for count in (2, 3)]
    assert [dict(layer.values) for layer in layers] == [{"threads": 2}, {}]
    assert [layer.notes for layer in layers] == [
        (), ("run.toml: 3 threads are too many here; chosen again for 2 CPUs",),
    ]  # fmt: skip


def test_a_run_from_a_larger_machine_goes_on_with_a_word_and_ones_own_flag_holds(
    gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [arg for arg in SMALL if arg not in ("--threads", "1")]
    assert gan("train", *small, "--threads", "2", "--steps", "4", "--out", "run").code == 0
    monkeypatch.setattr(resolve, "CPUS", frozenset({0}))
    done = gan("train", "--resume", "run", "--steps", "6", "--progress", "json")
    started = next(row for row in map(json.loads, done.out.splitlines()) if row["event"] == "run_started")
    assert "2 threads are too many here" in done.out
    assert started["threads"] == 1
    again = gan(
        "train", "--config", str(Path("run/config.toml")), "--threads", "2", "--out", "again", "--progress", "json"
    )
    started = next(row for row in map(json.loads, again.out.splitlines()) if row["event"] == "run_started")
    assert started["threads"] == 2


@pytest.mark.parametrize("came_to", [True, False])
def test_a_runs_file_from_before_an_option_makes_the_same_run_again(gan: Gan, tmp_path: Path, came_to: bool) -> None:
    """Whose preset has changed since; a file that somebody wrote takes the preset as it is now."""
    train = ("train", "-v", "cgan", *SMALL, "--steps", 6)
    assert gan(*train, "--lr-decay", 0, "--out", "old").code == 0
    config = Path("old/config.toml")
    text = config.read_text("utf-8")
    assert text.count("lr_decay = 0.0\n") == 1
    text = text if came_to else text.partition("[came_to]")[0]
    config.write_text(text.replace("lr_decay = 0.0\n", ""), "utf-8")
    again = gan("train", "--config", config, "--out", "again")
    assert again.code == 0
    assert again.err.count("options that it lacks keep its behaviour") == 1
    assert "options that it lacks keep its behaviour: --lr-decay 0.0" in again.err
    assert "--lr-decay 0.0" in command_from_config(toml.read(config))
    assert gan("train", "--config", config, "--lr-decay", 1, "--out", "other").code == 0
    sums = [sha256(tmp_path / name / "ckpt.safetensors") for name in ("old", "again", "other")]
    assert sums[0] == sums[1] != sums[2]
    Path("mine.toml").write_text('variant = "cgan"\n[cgan]\nwidth = 16\n', "utf-8")
    shown = gan("train", "--config", "mine.toml", "--dry-run").out.splitlines()
    assert ["--lr-decay", "1.0", "default"] in [line.split() for line in shown]
