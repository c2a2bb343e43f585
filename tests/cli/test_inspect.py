"""`gan inspect` and `gan variants`."""

import itertools
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from gancli import catalogue
from gancli.store import checkpoint, state
from tests.cli.test_train import started, wait_for
from tests.conftest import SMALL, Gan
from tests.store.test_checkpoint import rewritten


def test_inspect_describes_a_run(gan: Gan, trained: Path) -> None:
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
    assert document["tensors"]["generator.conditional.layers.0.weight"] == {"dtype": "F32", "shape": [256, 8 + 100]}
    assert set(document["last_metrics"]) == {"d_loss", "g_loss", "d_real", "d_fake"}


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


def test_names_of_any_bytes_are_escaped_and_make_valid_json(gan: Gan, trained: Path, tmp_path: Path) -> None:
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


def test_metrics_that_are_not_finite_make_valid_json(gan: Gan, trained: Path) -> None:
    with (trained / "metrics.jsonl").open("a") as file:
        file.write('{"step": 10, "figures": {"a": NaN, "b": 1e999, "c": 1%s, "d": 2.5}}\n' % ("0" * 400))
    assert gan("inspect", trained).code == 0
    document = json.loads(gan("inspect", trained, "--json").out, parse_constant=pytest.fail)
    assert document["evaluated"] == {"d": 2.5}


def test_numbers_of_any_length_in_a_file_are_refused(gan: Gan, trained: Path, tmp_path: Path) -> None:
    def endless(_: object, ours: dict[str, Any]) -> None:
        ours["losses"] = {"d_loss": [[1, 10**400]]}

    path = rewritten(trained / "ckpt.safetensors", tmp_path / "odd.safetensors", endless)
    outcome = gan("inspect", path)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "invalid metadata" in outcome.err


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


def test_a_page_says_how_a_default_that_is_no_value_is_chosen(gan: Gan) -> None:
    shown = " ".join(gan("variants", "dcgan").out.split())
    assert "learning rate of D (default: that of --lr)" in shown
    assert "(default: all three for fewer than 5,000 images)" in shown


def test_verify_also_reads_states_and_finds_nan(gan: Gan, trained: Path, tmp_path: Path) -> None:
    (newest, *_) = sorted((trained / "state").iterdir(), reverse=True)
    assert "are valid" in gan("inspect", newest, "--verify").out
    saved = state.load(newest)
    tensors = {name: tensor.clone() for name, tensor in saved.tensors.items()}
    tensors["network.D/layers.1.weight"][0, 0] = float("nan")
    checkpoint.save(tmp_path / "odd.safetensors", tensors, saved.facts)
    refused = gan("inspect", tmp_path / "odd.safetensors", "--verify")
    assert refused.code == 1
    assert "network.D/layers.1.weight contains NaN" in refused.err
    assert gan("inspect", tmp_path / "odd.safetensors").code == 0


@pytest.fixture
def diverged(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that ended after two rows, before its first state."""
    from gancli.nn import adversarial

    honest, counter = adversarial.non_saturating, itertools.count(1)
    monkeypatch.setattr(
        adversarial, "non_saturating", lambda x: honest(x) * (float("nan") if next(counter) > 11 else 1.0)
    )
    assert gan("train", *SMALL, "--steps", 150, "--seed", 4, "--out", "run", "--save-every", 150).code == 4
    assert not (tmp_path / "run" / "ckpt.safetensors").exists()
    return tmp_path / "run"


def test_a_run_that_ended_before_its_first_state_is_described(gan: Gan, diverged: Path) -> None:
    shown = gan("inspect", diverged)
    assert shown.code == 0, shown.err
    text = " ".join(shown.out.split())
    for words in (
        "ended before its first state was saved; the same command with --resume auto restarts it",
        "variant vanilla, preset default",
        "latent_dim=8",
        "dataset digits",
        "step 10 of 150, epoch",
        "batch 16, seed 4",
        "g_loss",
        "losses of steps 5 to 10",
    ):
        assert words in text, words
    document = json.loads(gan("inspect", diverged, "--json").out)
    about = {"file": None, "running": None, "variant": "vanilla", "step": 10, "steps": 150, "seed": 4, "batch_size": 16}
    assert about.items() <= document.items()
    assert json.loads(gan("runs", diverged, "--json").out)["runs"][0]["state"] == "diverged"
    assert document["config"]["width"] == 16
    assert {"d_loss", "g_loss"} <= set(document["last_metrics"])


def test_options_that_read_tensors_are_refused_without_a_checkpoint(gan: Gan, diverged: Path) -> None:
    for option in ("--tensors", "--verify"):
        refused = gan("inspect", diverged, option)
        assert refused.code == 2
        assert refused.err == f"gan: {option}: {diverged} contains no checkpoint yet\n"


@pytest.mark.parametrize(
    ("config", "metrics"),
    [
        ('variant = "\\u001b[2J"\nsteps = "x"\n[vanilla]\nwidth = "[red]"\n', ""),
        ("variant = [1]\nvanilla = 3\n", '{"step": -5, "g_loss": "x", "epoch": [], "time": {}}\n'),
        (
            "when = [2026-01-01, nan]\nlr = -inf\nvanilla = 3\nvariant = 'vanilla'\n",
            '{"step": 5, "figures": {"x": NaN, "y": "z"}}\n',
        ),
        ("", '{"step": 5, "g_loss": NaN}\n{"step": 6'),
    ],
)
def test_hostile_files_in_a_run_directory_do_no_harm(gan: Gan, tmp_path: Path, config: str, metrics: str) -> None:
    (tmp_path / "config.toml").write_text(config)
    (tmp_path / "metrics.jsonl").write_text(metrics)
    shown, document = gan("inspect", tmp_path), gan("inspect", tmp_path, "--json")
    assert (shown.code, document.code) == (0, 0), shown.err
    assert "\x1b" not in shown.out
    json.loads(document.out, parse_constant=pytest.fail)


def test_a_directory_without_a_run_is_refused(gan: Gan, tmp_path: Path) -> None:
    refused = gan("inspect", tmp_path)
    assert refused.code == 1
    assert refused.err == f"gan: {tmp_path}: holds no checkpoint, nor the config.toml of a run\n"
    (tmp_path / "config.toml").write_text("[")
    broken = gan("inspect", tmp_path)
    assert broken.code == 1
    assert broken.err.startswith(f"gan: {tmp_path / 'config.toml'}: not TOML")


@pytest.mark.slow
def test_a_run_that_is_being_written_says_so_before_and_after_its_first_state(gan: Gan, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with started(out, "--steps", "10000000", "--save-every", "10000000") as process:
        wait_for(out / "metrics.jsonl", process)
        until = time.monotonic() + 30
        while not (out / "metrics.jsonl").read_text().endswith("\n") and time.monotonic() < until:
            time.sleep(0.05)
        before = gan("inspect", out)
        running = json.loads(gan("inspect", out, "--json").out)["running"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert before.code == 0, before.err
    assert f"training, with no state saved yet (pid {process.pid} on" in " ".join(before.out.split())
    assert running.startswith(f"pid {process.pid} on ")
    with started(out, "--steps", "10000000", "--resume", "auto") as process:
        wait_for(out / ".lock", process)
        until = time.monotonic() + 30
        while f"training (pid {process.pid} on" not in (after := " ".join(gan("inspect", out).out.split())):
            assert time.monotonic() < until, after
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert json.loads(gan("inspect", out, "--json").out)["running"] is None


def test_the_lock_of_a_killed_run_is_ignored(gan: Gan, diverged: Path) -> None:
    left = '{"host": "elsewhere", "pid": 1, "by_kernel": true}'
    (diverged / ".lock").write_text("")
    (diverged / ".lock.json").write_text(left)
    assert json.loads(gan("inspect", diverged, "--json").out)["running"] is None
    assert (diverged / ".lock.json").read_text() == left
