"""`--init-from`: a run that starts from another model's weights."""

import os
import tomllib
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

import gancli
from tests.conftest import SMALL, TINY, Gan, sha256

TRAIN = (
    "train",
    "-v",
    "vanilla",
    "-d",
    "pics",
    *SMALL,
    "--lr-decay",
    0,
    "--self-conditioned",
    0,
    "--save-every",
    100,
    "--progress",
    "plain",
)


@pytest.fixture
def trained(gan: Gan, tmp_path: Path) -> Path:
    """A run on pictures of its own, in two classes: less than drawing a data set takes."""
    for index in range(12):
        (folder := Path("pics", "ab"[index % 2])).mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * index).save(folder / f"{index}.png")
    outcome = gan(*TRAIN, "--steps", 10, "--out", "run")
    assert outcome.code == 0, outcome.err
    return tmp_path / "run"


def state(run: str, step: int) -> Path:
    return Path(run, "state", f"step-{step:08d}.safetensors")


@pytest.mark.parametrize("source", ["run", "run/state/step-00000010.safetensors"])
def test_all_networks_of_a_run_are_taken_and_nothing_else(gan: Gan, trained: Path, source: str) -> None:
    """With a step size of next to nothing what comes out is what was taken, in the average too."""
    still = ("--lr", 1e-30, "--beta1", 0, "--r1", 0, "--norm", "batch")
    done = gan(*TRAIN, "--steps", 1, *still, "--init-from", source, "--out", "on")
    assert done.code == 0, done.err
    assert "--init-from" not in done.err
    taken, before = load_file(state("on", 1)), load_file(state(str(trained), 10))
    for name in (name for name in before if name.startswith("network.") and name.endswith(("weight", "bias"))):
        assert taken[name].equal(before[name]), name
        if name.startswith("network.G"):
            assert taken[name.replace("network.G", "average")].allclose(before[name], rtol=0, atol=1e-7), name
    assert int(taken["optimizer.G/updates"]) == 1


def test_other_data_size_and_step_size_take_what_fits_and_name_the_rest(gan: Gan, trained: Path) -> None:
    Path("colour").mkdir()
    Image.new("RGB", (20, 20), "red").save("colour/a.png")
    done = gan(
        *TRAIN, "-d", "colour", "--image-size", 12, "--lr", 0.1, "--steps", 1, "--init-from", trained, "--out", "on"
    )
    assert done.code == 0, done.err
    (line,) = (line for line in done.err.splitlines() if "note: --init-from" in line)
    assert line.endswith("15 of 18 tensors copied; not copied, so new: G.6.weight, G.6.bias, D.1.weight")


def test_a_checkpoint_has_the_generator_alone_and_that_is_told(gan: Gan, trained: Path) -> None:
    done = gan(*TRAIN, "--steps", 1, "--init-from", trained / "ckpt.safetensors", "--out", "on")
    assert (done.code, done.err.count("12 of 12 tensors copied; not in that file, so new: D (a run")) == (0, 1)


def test_the_same_command_gives_the_same_bytes_and_a_resume_needs_the_source_no_more(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = (*TRAIN, "--init-from", "run")
    for name in ("whole", "again"):
        assert gan(*args, "--steps", 10, "--out", name).code == 0
    assert gan(*TRAIN, "--steps", 10, "--out", "random").code == 0
    assert gan(*args, "--steps", 5, "--out", "parts").code == 0
    trained.rename("gone")
    resumed = gan(*args, "--steps", 10, "--out", "parts", "--resume", "auto")
    assert resumed.code == 0, resumed.err
    assert "--init-from" not in resumed.err
    ends = [
        (sha256(Path(run, "ckpt.safetensors")), sha256(state(run, 10))) for run in ("whole", "again", "parts", "random")
    ]
    assert ends[0] == ends[1] == ends[2] != ends[3]
    assert tomllib.loads(Path("parts/config.toml").read_text())["init_from"] == str(Path("run").absolute())
    monkeypatch.chdir("gone")
    other = gan(*args, "--steps", 11, "--out", "../parts", "--resume", "auto")
    assert (other.code, other.err.count("gan: --init-from run (flag): the run to resume has ")) == (2, 1)
    assert gan(*TRAIN, "-d", "../pics", "--steps", 11, "--out", "../parts", "--resume", "auto").code == 0


@pytest.mark.usefixtures("trained")
def test_the_variant_is_that_of_the_model_to_start_from(gan: Gan) -> None:
    words = ("--steps", 1, "-d", "pics", *SMALL)
    assert gan("train", "-v", "cgan", *words, "--out", "a").code == 0
    assert gan("train", *words, "--init-from", "a", "--out", "b").code == 0
    Path("c.toml").write_text('init_from = "a"\n')
    assert gan("train", *words, "--config", "c.toml", "--out", "c").code == 0
    assert gancli.load("b").facts.variant == gancli.load("c").facts.variant == "cgan"
    done = gan("train", "-v", "vanilla", *words, "--init-from", "a", "--out", "d")
    assert (done.code, done.err.endswith("/a: is a model of cgan, not of vanilla\n")) == (2, True)
    assert not Path("d").exists()


def test_weights_that_fit_nowhere_are_refused_with_what_would_help(gan: Gan, trained: Path) -> None:
    done = gan(*TRAIN, "--width", 8, "--inner-width", 9, "--latent-dim", 5, "--image-size", 9, "--steps", 1,
               "--init-from", trained, "--out", "on")  # fmt: skip
    assert (done.code, done.err.count("\ngan: ")) == (2, 1)
    assert "no weight matches; more would match with the options of that model: " in done.err
    assert not Path("on/config.toml").exists()


def test_files_that_are_no_models_are_reported_in_one_line(gan: Gan, trained: Path) -> None:
    Path("foreign").mkdir()
    Path("foreign/model.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    save_file({"a": load_file(trained / "ckpt.safetensors")["generator.0.weight"]}, "foreign/a.safetensors")
    Path("foreign/odd.safetensors").write_bytes(state("run", 10).read_bytes()[:-5] + b"12345")
    os.mkfifo("a pipe")
    for source, words in {
        "foreign": "contains no model",
        "foreign/model.pt": "not a safetensors file",
        "foreign/a.safetensors": "not one that `gan train` wrote",
        "foreign/odd.safetensors": "damaged",
        "nowhere": "no such file or directory",
        "a pipe": "not a regular file",
        "": "is empty",
    }.items():
        done = gan(*TRAIN, "--steps", 1, "--init-from", source, "--out", "on")
        assert done.code in (1, 2)
        assert (done.err.count("gan: "), done.err.count("\n"), words in done.err) == (1, 1, True), (source, done.err)
    assert not Path("on").exists()


@pytest.mark.parametrize("variant", ["lapgan", "srgan"])
@pytest.mark.usefixtures("trained")
def test_other_variants_take_everything_of_their_own(gan: Gan, variant: str) -> None:
    small = ("--width", 4, "--blocks", 1, "--d-width", 4) if variant == "srgan" else ("--width", 4, "--latent-dim", 8)
    args = ("train", "-v", variant, "-d", "pics", *TINY, *small, "--steps", 1)
    assert gan(*args, "--out", "a").code == 0
    for source in ("a", "a/ckpt.safetensors"):
        done = gan(*args, "--seed", 1, "--init-from", source, "--out", f"from {Path(source).name}")
        assert done.code == 0, done.err
        assert " not G" not in done.err


@pytest.mark.usefixtures("trained")
def test_a_model_that_comes_along_is_taken_by_its_name(gan: Gan) -> None:
    Path("digits").mkdir()  # a data set's folder, say: it is passed over as it is by gan sample
    done = gan("train", "-d", "pics", "--image-size", 28, "--steps", 1, "--batch-size", 4, "--device", "cpu",
               "--init-from", "digits", "--out", "on", "--progress", "plain")  # fmt: skip
    assert done.code == 0, done.err
    assert "note: --init-from digits: " in done.err
    config = tomllib.loads(Path("on", "config.toml").read_text("utf-8"))
    assert (config["variant"], config["init_from"]) == ("cgan", "digits")
    again = gan("train", "--resume", "on", "--steps", 2, "--init-from", "digits")
    assert again.code == 0, again.err
