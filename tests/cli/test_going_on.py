"""Going on with a run: nothing that was made is lost, the data are the same wherever they lie, and what changes is told."""

import shutil
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from gancli.metrics import classifier
from gancli.store import state
from gancli.store.run_directory import RunDirectory
from tests.cli.test_errors import assert_one_line
from tests.conftest import SMALL, TINY, Gan, sha256
from tests.engine.test_resume import stop_after

QUIET = ("--progress", "none")
SRGAN = ("--variant", "srgan", *TINY, "--width", "4", "--blocks", "1", "--d-width", "4")


def pictures(folder: Path, shade: int = 0) -> Path:
    """Forty grey pictures in two classes."""
    for index in range(40):
        path = folder / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), (6 * index + shade) % 256).save(path)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_without_its_states_is_not_trained_anew(gan: Gan, trained: Path) -> None:
    shutil.rmtree(trained / "state")
    before = contents(trained)
    for way in (["--resume", "auto"], [], ["--resume", "auto", "--dry-run"]):
        refused = gan("train", *SMALL, "--steps", 20, "--out", trained, *way, *QUIET)
        assert_one_line(refused, 2, f"--out {trained}", "trained model", "another --out")
        assert contents(trained) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [("config.toml", "[tool]\nkey = 1\n"), ("notes.txt", "x"), ("samples/mine.png", "x"), ("state/keep", "x"),
     ("metrics.jsonl", "{}\n"), ("best.safetensors", "x"), ("run", "x"), (".hidden", "x")],
)  # fmt: skip
def test_somebodys_folder_is_never_started_in(gan: Gan, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for way in (["--resume", "auto"], []):
        refused = gan("train", *SMALL, "--steps", 5, "--out", "mine", *way, *QUIET)
        assert_one_line(refused, 2, "--out mine", "another --out")
        assert ("--resume auto" in refused.err) is False
    assert contents(tmp_path / "mine") == {name: text.encode()}


def test_the_command_that_resumes_is_quoted(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(monkeypatch, 3)
    stopped = gan("train", *SMALL, "--steps", 10, "--out", "my 'own' run")
    assert stopped.code == 75
    assert """gan train --resume 'my '"'"'own'"'"' run'""" in stopped.err


def test_a_longer_srgan_keeps_its_first_phase(gan: Gan, tmp_path: Path) -> None:
    assert gan("train", *SRGAN, "--steps", 12, "--out", "run").code == 0
    longer = gan("train", *SRGAN, "--steps", 24, "--out", "run", "--resume", "auto")
    assert longer.code == 0, longer.err
    assert "warning: the run has 24 steps now, not 12" in longer.err
    saved, _ = state.load_newest(RunDirectory(tmp_path / "run"))
    assert saved.facts.config.pretrain_steps == 10  # type: ignore[attr-defined]
    assert saved.facts.phase.startswith("adversarial")
    assert gan("train", *SRGAN, "--pretrain-steps", 10, "--steps", 24, "--out", "run", "--resume", "auto").code == 0
    other = gan("train", *SRGAN, "--pretrain-steps", 11, "--steps", 24, "--out", "run", "--resume", "auto", *QUIET)
    assert_one_line(other, 2, "--pretrain-steps 11", "has 10")


def test_step_sizes_that_jump_in_a_longer_run_are_told_and_constant_ones_are_not(gan: Gan) -> None:
    lapgan = ("train", "-v", "lapgan", *SMALL, "--coarse-width", 16, "--coarse-updates", 1, "--out", "lapgan")
    assert gan(*lapgan, "--steps", 4).code == 0
    longer = gan(*lapgan, "--steps", 8, "--resume", "auto")
    assert "warning: the run has 8 steps now, not 4" in longer.err
    assert "that of G0 changes from 0 to 0.0005" in longer.err
    vanilla = ("train", *SMALL, "--lr-decay", 0, "--out", "vanilla")
    assert gan(*vanilla, "--steps", 4).code == 0
    assert "warning" not in gan(*vanilla, "--steps", 8, "--resume", "auto").err


def test_the_same_data_elsewhere_are_taken_and_other_data_refused(gan: Gan, tmp_path: Path) -> None:
    args = ("train", "-v", "dcgan", *SMALL, "--save-every", 5)
    pictures(tmp_path / "job1" / "pics")
    assert gan(*args, "-d", "job1/pics", "--steps", 10, "--out", "whole").code == 0
    assert gan(*args, "-d", "job1/pics", "--steps", 5, "--out", "run").code == 0
    (tmp_path / "job2").mkdir()
    (tmp_path / "job1" / "pics").rename(tmp_path / "job2" / "pics")
    left_out = gan("train", "--resume", "run", "--steps", 10, *QUIET)
    assert_one_line(left_out, 2, "job1/pics", "no longer exists", "-d")
    pictures(tmp_path / "other" / "pics", shade=1)
    refused = gan(*args, "-d", "other/pics", "--steps", 10, "--out", "run", "--resume", "auto", *QUIET)
    assert_one_line(refused, 2, "--dataset", "other images or labels")
    moved = gan(*args, "-d", "job2/pics", "--steps", 10, "--out", "run", "--resume", "auto")
    assert moved.code == 0, moved.err
    assert sha256(tmp_path / "run" / "ckpt.safetensors") == sha256(tmp_path / "whole" / "ckpt.safetensors")


def test_other_labels_of_the_same_pictures_are_other_data(gan: Gan, tmp_path: Path) -> None:
    args = ("train", "-v", "cgan", *SMALL, "--out", "run", "--resume", "auto")
    pics = pictures(tmp_path / "pics")
    assert gan(*args, "-d", pics, "--steps", 5).code == 0
    for name in ("a/0.png", "b/1.png"):
        other = name.replace("a/", "x/").replace("b/", "a/").replace("x/", "b/")
        (pics / name).rename(pics / other)
    assert_one_line(gan(*args, "-d", pics, "--steps", 8, *QUIET), 2, "other images or labels")
    (pics / "a").rename(pics / "c")
    assert_one_line(gan(*args, "-d", pics, "--steps", 8, *QUIET), 2, "other names")


def test_a_run_goes_on_from_another_directory(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "pics")
    args = ("train", "-v", "dcgan", *SMALL, "-d", "pics", "--data-root", "root", "--out", "run")
    assert gan(*args, "--steps", 5).code == 0
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = gan("train", "--resume", "../run", "--steps", 8)
    assert again.code == 0, again.err
    measured = gan("evaluate", "../run", "-n", 10, "--metrics", "swd")
    assert measured.code == 0, measured.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_config_toml_keeps_what_was_asked_apart_from_what_it_came_to(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_THREADS", "2")
    monkeypatch.setenv("GAN_DATA", str(tmp_path / "data"))
    args = ("--batch-size", 16, "--width", 16, "--latent-dim", 8, "--log-every", 5)
    assert gan("train", *args, "--steps", 5, "--max-time", "1h", "--out", "run").code == 0
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert written["device"] == written["precision"] == "auto"
    assert not {"threads", "image_size", "out", "max_time", "graph", "data_root"} & set(written)
    came_to = written["came_to"]
    assert came_to["data_root"] == str(tmp_path / "data")
    assert str(tmp_path / "data") in (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "~/.cache" not in (tmp_path / "run" / "report.html").read_text("utf-8")
    assert came_to["threads"] == 2
    assert came_to["image_size"] == 28
    assert came_to["precision"] in ("fp32", "bf16", "fp16")
    monkeypatch.delenv("GAN_THREADS")
    shown = gan("train", "--config", "run/config.toml", "--dry-run")
    assert "auto" in next(line for line in shown.out.splitlines() if "--threads" in line)
    assert gan("train", "--resume", "run", "--image-size", 28, "--steps", 6).code == 0


def test_another_precision_is_taken_when_asked_for_and_told(gan: Gan, tmp_path: Path) -> None:
    args = ("train", *SMALL, "--out", "run")
    assert gan(*args, "--precision", "bf16", "--steps", 5).code == 0
    assert gan("train", "--resume", "run", "--steps", 6).code == 0
    assert state.load_newest(RunDirectory(tmp_path / "run"))[0].facts.precision == "bf16"
    told = gan("train", "--resume", "run", "--precision", "fp32", "--steps", 8)
    assert told.code == 0, told.err
    assert "warning: --precision fp32: the run was saved in bf16, so it does not resume bit for bit" in told.err
