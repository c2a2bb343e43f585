"""What is accepted has an effect, or is refused in one line before anything is done."""

import time
from pathlib import Path

import pytest
from PIL import Image

from gancli.metrics import classifier
from tests.cli.test_errors import assert_one_line
from tests.conftest import SMALL, Gan

QUIET = ("--progress", "none")


@pytest.mark.parametrize(
    "args",
    [["--tile", 8], ["--recursive"], ["--skip-existing"], ["-o", "-", "--json"], ["-o", "out/", "--columns", 2],
     ["-o", "a.npz", "--columns", 2], ["-o", "a.gif", "--walk", 2, "--batch-size", 2], ["--levels"], ["--label", 1]],
    ids=str,
)  # fmt: skip
def test_sample_refuses_what_has_no_effect(gan: Gan, trained: Path, tmp_path: Path, args: list[object]) -> None:
    flag = next(str(arg) for arg in reversed(args) if str(arg).startswith("--") and arg != "--walk")
    assert_one_line(gan("sample", trained, *args), 2, flag)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_enlarging_refuses_what_is_for_drawing(gan: Gan, enlarger: Path) -> None:
    Image.new("RGB", (12, 10), "red").save("a.png")
    drawing = (["-n", 4], ["--seed", 0], ["--batch-size", 4], ["--label", "0"], ["--columns", 1], ["--walk", 2],
               ["--levels"], ["--truncation", 1])  # fmt: skip
    for args in (*drawing, ["--recursive"], ["--skip-existing", "-o", "-"], ["-o", "-", "--json"]):
        assert_one_line(gan("sample", enlarger, "-i", "a.png", *args), 2, str(args[0]).replace("-o", "--json"))
    for args in (["-n", 10], ["--seed", 0], ["--metrics", "swd"], ["--gan-train"], ["--neighbours", "a.png"]):
        assert_one_line(gan("evaluate", enlarger, "-d", ".", *args), 2, str(args[0]))


def test_a_grid_too_large_for_its_file_is_refused_before_it_is_drawn(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gancli.sampling.generate.generate", None)
    for args in (["-o", "a.png"], ["-o", "-"], ["-o", "a.webp", "--walk", 2], ["-o", "a.jpg"]):
        began = time.monotonic()
        refused = gan("sample", trained, "-n", 40_000, "--columns", 1, *args)
        assert_one_line(refused, 2, "-n 40000", "--columns")
        assert time.monotonic() - began < 5


def test_homes_are_found_behind_an_equals_sign(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("GAN_DATA", str(home / "root"))
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    assert gan("train", *SMALL, "--steps", 5, "--out=~/run", "--data-root=~/root").code == 0
    assert gan("train", "--resume=~/run", "--steps", 6).code == 0
    assert gan("train", "--config=~/run/config.toml", "--out=~/again", *QUIET).code == 0
    assert gan("sample", "~/run", "-n", 1, "--output=~/a.png").code == 0
    assert gan("sample", "~/run", "-n", 1, "--output=~/many/").code == 0
    assert gan("inspect", "~/run").code == 0
    assert gan("evaluate", "~/run/ckpt.safetensors", "-n", 10, "--metrics=diversity", "--neighbours=~/n.png").code == 0
    assert {path.name for path in home.iterdir()} == {"root", "run", "again", "a.png", "many", "n.png"}
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_out_and_max_time_of_a_config_file_count(gan: Gan, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('out = "there"\nmax_time = "0.001s"\nsteps = 1000000\n')
    stopped = gan("train", "--config", "c.toml", *SMALL, *QUIET)
    assert (stopped.code, (tmp_path / "runs").exists()) == (75, False)
    late = gan("train", *SMALL, "--steps", 10**6, "--max-time", "3s", "--out", "run")
    assert (late.code, "gan train --resume run" in late.err) == (75, True)
    (tmp_path / "c.toml").write_text('out = "there"\nsteps = 5\n')
    assert gan("train", "--config", "c.toml", *SMALL).out == "there/ckpt.safetensors\n"
    (tmp_path / "c.toml").write_text('out = "there"\nsteps = 8\n')
    assert gan("train", "--config", "c.toml", *SMALL, "--resume", "auto").code == 0
    assert (tmp_path / "there" / "state" / "step-00000008.safetensors").exists()


def test_options_that_need_another_are_refused_without_it(gan: Gan) -> None:
    assert_one_line(gan("train", "--eval-metric", "coverage", *QUIET), 2, "--eval-metric coverage", "--eval-every")
    assert_one_line(gan("train", "--preset", "paper", "--beta1", 0.3, *QUIET), 2, "--beta1 0.3", "--optimizer adam")
    paper = ("train", "-v", "lapgan", "--preset", "paper", "--lr-decay", 0.5, *QUIET)
    assert_one_line(gan(*paper), 2, "--lr-decay 0.5", "--optimizer adam")


@pytest.mark.parametrize(("variant", "dry"), [("vanilla", ()), ("cgan", ("--dry-run",)), ("lapgan", ())])
def test_a_batch_of_one_image_is_refused_where_batch_norm_needs_two(
    gan: Gan, variant: str, dry: tuple[str, ...]
) -> None:
    small = [*SMALL, "--steps", 2, "--batch-size", 1, *dry, *QUIET]
    assert_one_line(
        gan("train", "-v", variant, *small), 2, "--batch-size 1: batch normalisation needs at least 2 images"
    )
    assert gan("train", "-v", variant, *small, "--norm", "none").code == 0
