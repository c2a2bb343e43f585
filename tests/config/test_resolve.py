"""What a file of another machine says here."""

import json
from pathlib import Path

import pytest

from gancli import catalogue
from gancli.config import resolve
from gancli.config.resolve import file_layer
from tests.conftest import SMALL, Gan


def test_threads_of_a_larger_machine_are_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "CPUS", frozenset({0, 1}))
    config_class = catalogue.card("vanilla").config_class
    layers = [file_layer("run.toml", {"threads": count}, "vanilla", config_class, ()) for count in (2, 3)]
    assert [dict(layer.values) for layer in layers] == [{"threads": 2}, {}]
    assert [layer.notes for layer in layers] == [
        (), ("run.toml: 3 threads are for a larger machine; chosen anew for the 2 CPUs here",),
    ]  # fmt: skip


def test_a_run_from_a_larger_machine_goes_on_with_a_word_and_ones_own_flag_holds(
    gan: Gan, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [arg for arg in SMALL if arg not in ("--threads", "1")]
    assert gan("train", *small, "--threads", "2", "--steps", "4", "--out", "run").code == 0
    monkeypatch.setattr(resolve, "CPUS", frozenset({0}))
    done = gan("train", "--resume", "run", "--steps", "6", "--progress", "json")
    started = next(row for row in map(json.loads, done.out.splitlines()) if row["event"] == "run_started")
    assert "2 threads are for a larger machine" in done.out
    assert started["threads"] == 1
    again = gan(
        "train", "--config", str(Path("run/config.toml")), "--threads", "2", "--out", "again", "--progress", "json"
    )
    started = next(row for row in map(json.loads, again.out.splitlines()) if row["event"] == "run_started")
    assert started["threads"] == 2
