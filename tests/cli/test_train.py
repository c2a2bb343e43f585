"""`gan train`: streams, files, precedence, stopping."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import SMALL, Gan, gan_process, sha256


def test_a_run_directory_holds_what_the_manual_says(trained: Path) -> None:
    names = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert names == {
        "ckpt.safetensors",
        "config.toml",
        "log.jsonl",
        "metrics.jsonl",
        "report.html",
        "samples/step-00000005.png",
        "samples/step-00000010.png",
        "state/step-00000005.safetensors",
        "state/step-00000010.safetensors",
    }
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 10]
    assert {"d_loss", "g_loss", "images_per_s"} <= set(rows[0])
    with Image.open(trained / "samples" / "step-00000010.png") as grid:
        assert grid.size == (78, 78)


def test_the_checkpoint_path_is_the_only_word_on_stdout(gan: Gan) -> None:
    outcome = gan("train", *SMALL, "--steps", 5)
    assert outcome.code == 0
    assert outcome.out == "runs/vanilla-digits-001/ckpt.safetensors\n"
    assert gan("train", *SMALL, "--steps", 5).out == "runs/vanilla-digits-002/ckpt.safetensors\n"


def test_a_log_file_gets_a_line_per_interval_and_no_escape_codes(tmp_path: Path) -> None:
    done = gan_process("train", *SMALL, "--steps", 20, "--out", tmp_path / "r", FORCE_COLOR="1", TERM="xterm-256color")
    assert done.returncode == 0
    text = done.stderr.decode()
    assert "\x1b" not in text
    assert "\r" not in text
    rows = [line for line in text.splitlines() if re.match(r"\d\d:\d\d:\d\d step \d+/20 .*d_loss .*images/s", line)]
    assert len(rows) == 4
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \S", text)


def test_json_progress_is_one_document_per_line(gan: Gan) -> None:
    outcome = gan("train", *SMALL, "--steps", 5, "--progress", "json", "--out", "r")
    documents = [json.loads(line) for line in outcome.out.splitlines()]
    kinds = [document["event"] for document in documents]
    assert kinds[-1] == "run_finished"
    assert "loss_row" in kinds
    assert documents[-1]["checkpoint"] == "r/ckpt.safetensors"
    assert outcome.err == ""


def test_config_toml_repeats_the_run(gan: Gan, trained: Path, tmp_path: Path) -> None:
    assert gan("train", "--config", trained / "config.toml", "--out", "again").code == 0
    assert sha256(tmp_path / "again" / "ckpt.safetensors") == sha256(trained / "ckpt.safetensors")
    first, again = (tomllib.loads((path / "config.toml").read_text()) for path in (trained, tmp_path / "again"))
    assert first == again


def test_flag_beats_environment_beats_file_beats_preset(
    gan: Gan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text('preset = "article"\nthreads = 3\nbatch-size = 77\n[vanilla]\nwidth = 33\n')
    monkeypatch.setenv("GAN_THREADS", "2")
    shown = gan("train", "--config", "c.toml", "--batch-size", 55, "--dry-run")
    assert shown.code == 0, shown.err
    assert re.search(r"--batch-size +55 +flag", shown.out)
    assert re.search(r"--threads +2 +GAN_THREADS", shown.out)
    assert re.search(r"--width +33 +c\.toml", shown.out)
    assert re.search(r"--smoothing +0\.1 +preset article", shown.out)
    assert re.search(r"--latent-dim +100 +preset article", shown.out)
    assert re.search(r"--dropout +0\.0 +default", shown.out)
    shown = gan("train", "--config", "c.toml", "--threads", 1, "--steps", 7, "--dry-run")
    assert re.search(r"--threads +1 +flag", shown.out)
    assert re.search(r"--epochs +– +flag", shown.out), "--steps replaces the preset's epochs"


def test_a_dry_run_trains_nothing_and_counts_parameters_and_memory(gan: Gan, tmp_path: Path) -> None:
    shown = gan("train", "--preset", "article", "--dry-run")
    assert shown.code == 0
    # G 100·128+128 + 128·128+128 + 128·784+784; D 784·128+128 + 128·128+128 + 128+1
    assert "G 130,576" in shown.out
    assert "D 117,121" in shown.out
    assert re.search(r"total \d", shown.out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_run_with_its_state_saved(tmp_path: Path, gan: Gan, number: signal.Signals) -> None:
    out = tmp_path / "run"
    with started(out, "--steps", "10000000") as process:
        wait_for(out / "ckpt.safetensors", process)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 75
    assert f"gan train --resume {out}" in err.decode()
    assert gan("sample", out, "-n", 1, "-o", "a.png").code == 0
    before = int(sorted((out / "state").iterdir())[-1].stem.removeprefix("step-"))
    resumed = gan("train", "--resume", out, "--steps", before + 5, "--progress", "json")
    assert resumed.code == 0, resumed.err
    (begun,) = (d for d in map(json.loads, resumed.out.splitlines()) if d["event"] == "run_started")
    assert begun["start_step"] == before


@pytest.mark.slow
def test_a_signal_while_torch_is_imported_or_data_is_drawn_still_ends_well(tmp_path: Path) -> None:
    for wait in (0.3, 1.5, 3.0):
        with started(tmp_path / f"run{wait}", "--steps", "10000000") as process:
            time.sleep(wait)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=30)
        early = wait < 2  # before our own code runs, the signal's default action is all there is
        assert process.returncode == 75 or (early and process.returncode == -signal.SIGTERM), err.decode()
        assert b"Traceback" not in err


def test_a_second_run_in_the_directory_is_refused(tmp_path: Path, gan: Gan) -> None:
    out = tmp_path / "run"
    with started(out, "--steps", "10000000") as process:
        wait_for(out / "ckpt.safetensors", process)
        refused = gan("train", "--resume", out)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert refused.code == 1
    assert f"pid {process.pid}" in refused.err


def started(out: Path, *args: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "gancli", "train", *SMALL, "--save-every", "5", "--out", str(out), *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_run_killed_before_its_first_state_is_started_anew(gan: Gan, tmp_path: Path) -> None:
    out = tmp_path / "run"
    args = ("train", *SMALL, "--steps", 10, "--save-every", 10, "--out", out, "--resume", "auto")
    with started(out, "--steps", "10000000", "--save-every", "10000000") as process:
        wait_for(out / "config.toml", process)
        process.kill()
        process.communicate(timeout=30)
    assert not list((out / "state").iterdir())
    assert gan(*args).code == 0
    assert gan("train", *SMALL, "--steps", 10, "--save-every", 10, "--out", "whole").code == 0
    assert sha256(out / "ckpt.safetensors") == sha256(tmp_path / "whole" / "ckpt.safetensors")


def test_a_run_that_never_began_leaves_no_directory(gan: Gan, tmp_path: Path) -> None:
    for args in (["--out", "run"], []):
        assert gan("train", "--dataset", "mnist", "--no-download", *args).code == 1
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "runs"])
    assert not list((tmp_path / "runs").iterdir())


def test_samples_are_drawn_early_and_then_every_tenth_unless_asked_otherwise(gan: Gan) -> None:
    def drawn(run: str) -> list[int]:
        return sorted(int(path.stem.removeprefix("step-")) for path in Path(run, "samples").iterdir())

    assert gan("train", *SMALL, "--steps", 150, "--out", "r").code == 0
    assert drawn("r") == [5, 10, *range(15, 151, 15)]
    assert gan("train", *SMALL, "--steps", 20, "--sample-every", 10, "--out", "asked").code == 0
    assert drawn("asked") == [10, 20]
    assert gan("train", *SMALL, "--steps", 7, "--out", "short").code == 0
    assert drawn("short") == [5, 7]
    assert gan("train", "--resume", "short", "--steps", 20).code == 0
    assert drawn("short") == [5, 7, 10, 15, 20]
