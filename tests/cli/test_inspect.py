"""`gan inspect` and `gan variants`."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from gancli import catalogue
from gancli.engine import checkpoint, state
from tests.conftest import Gan
from tests.engine.test_checkpoint import rewritten


def test_inspect_tells_what_a_run_is(gan: Gan, trained: Path) -> None:
    shown = gan("inspect", trained)
    assert shown.code == 0
    for word in ("vanilla", "digits", "step 10 of 10", "1×8×8", "g_loss", "seed 0", "torch", "generator", "F32"):
        assert word in shown.out, word
    assert "\x1b" not in shown.out


def test_inspect_json_is_one_document(gan: Gan, trained: Path) -> None:
    document = json.loads(gan("inspect", trained / "ckpt.safetensors", "--json", "--tensors").out)
    assert document["variant"] == "vanilla"
    assert document["config"]["width"] == 16
    stored = safetensors.torch.load_file(trained / "ckpt.safetensors")
    assert document["networks"]["generator"]["parameters"] == sum(tensor.numel() for tensor in stored.values())
    assert document["tensors"]["generator.0.weight"] == {"dtype": "F32", "shape": [256, 8]}
    assert set(document["last_metrics"]) == {"d_loss", "g_loss", "d_real", "d_fake"}


def test_inspect_reads_a_saved_state_too(gan: Gan, trained: Path) -> None:
    shown = gan("inspect", trained / "state" / "step-00000010.safetensors")
    for word in ("training state", "network.G", "optimizer.D", "average"):
        assert word in shown.out


def test_metadata_never_reaches_the_terminal_raw(gan: Gan, trained: Path, tmp_path: Path) -> None:
    def poison(_: object, ours: dict[str, object]) -> None:
        ours["dataset"] = "\x1b]0;owned\x07[red]x[/red]"
        ours["versions"] = {"torch": "\x1b[2J"}

    path = rewritten(trained / "ckpt.safetensors", tmp_path / "p.safetensors", poison)
    shown = gan("inspect", path)
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert "\x07" not in shown.out
    assert "[red]x[/red]" in shown.out


NAMES = ["cat", "a,b", " blanks ", "new\nline", "caf\udce9", "\ud800", "\u202eltr", "[/b]", "\x1b[2J", ""]


def test_names_of_any_bytes_are_shown_escaped_and_make_sound_json(gan: Gan, trained: Path, tmp_path: Path) -> None:
    def odd(_: object, ours: dict[str, Any]) -> None:
        ours["images"]["class_names"] = NAMES
        ours["dataset"] = "caf\udce9"

    path = rewritten(trained / "ckpt.safetensors", tmp_path / "odd.safetensors", odd)
    shown = gan("inspect", path)
    assert shown.code == 0, shown.err
    for word in ("new\\nline", "caf\\xe9", "\\ud800", "\\u202eltr", "[/b]", "\\x1b[2J"):
        assert word in shown.out
    document = json.loads(gan("inspect", path, "--json").out)
    json.dumps(document, ensure_ascii=False).encode("utf-8")  # a lone surrogate is no text: strict readers refuse it
    assert document["dataset"] == "caf\\xe9"
    assert document["images"]["class_names"][:4] == NAMES[:4]


def test_figures_that_are_no_numbers_make_sound_json(gan: Gan, trained: Path) -> None:
    with (trained / "metrics.jsonl").open("a") as file:
        file.write('{"step": 10, "figures": {"a": NaN, "b": 1e999, "c": 1%s, "d": 2.5}}\n' % ("0" * 400))
    assert gan("inspect", trained).code == 0
    document = json.loads(gan("inspect", trained, "--json").out, parse_constant=pytest.fail)
    assert document["evaluated"] == {"a": None, "b": None, "c": None, "d": 2.5}


def test_numbers_of_any_length_in_a_file_are_refused(gan: Gan, trained: Path, tmp_path: Path) -> None:
    def endless(_: object, ours: dict[str, Any]) -> None:
        ours["losses"] = {"d_loss": [[1, 10**400]]}

    path = rewritten(trained / "ckpt.safetensors", tmp_path / "odd.safetensors", endless)
    outcome = gan("inspect", path)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "not sound" in outcome.err


@pytest.mark.usefixtures("toys")
def test_variants_lists_every_file_in_the_folder(gan: Gan) -> None:
    shown = gan("variants")
    for name in (*catalogue.names(), "three_pairs", "two_phases"):
        assert name in shown.out
    assert [page["name"] for page in json.loads(gan("variants", "--json").out)] == list(catalogue.names())


@pytest.mark.usefixtures("toys")
def test_a_page_shows_options_presets_and_paper(gan: Gan) -> None:
    shown = gan("variants", "three_pairs")
    for word in ("--toy-width", "wide", "Paper:", "16"):
        assert word in shown.out
    assert "--toy-width" in gan("train", "--variant", "three_pairs", "--help").out
    assert "--toy-width" not in gan("train", "--help").out
    refused = gan("train", "--toy-width", "3")
    assert refused.code == 2
    assert "three_pairs" in refused.err


def test_verify_reads_states_too_and_finds_a_value_that_is_none(gan: Gan, trained: Path, tmp_path: Path) -> None:
    (newest, *_) = sorted((trained / "state").iterdir(), reverse=True)
    assert "are sound" in gan("inspect", newest, "--verify").out
    saved = state.load(newest)
    tensors = {name: tensor.clone() for name, tensor in saved.tensors.items()}
    tensors["network.D/1.weight"][0, 0] = float("nan")
    checkpoint.save(tmp_path / "odd.safetensors", tensors, saved.facts)
    refused = gan("inspect", tmp_path / "odd.safetensors", "--verify")
    assert refused.code == 1
    assert "network.D/1.weight holds NaN" in refused.err
    assert gan("inspect", tmp_path / "odd.safetensors").code == 0
