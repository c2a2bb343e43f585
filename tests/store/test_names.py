"""Pretrained models, by name: when a CKPT means one, the notes about it, and how their files are made."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import gancli
from gancli.cli import ckpt
from gancli.errors import CheckpointError, UsageError
from gancli.metrics import classifier
from gancli.store import checkpoint, pretrained, state
from tests import ship
from tests.cli.test_errors import assert_one_line
from tests.conftest import SMALL, Finished, Gan, sha256

GONE = "cannot be read (No such file or directory)"
COMMAND = "gan train -v cgan --steps 4 --width 16"


@pytest.fixture(scope="session")
def drawing(finished: Finished) -> Path:
    """A tiny finished cgan of the digits. Tests only read it."""
    return finished("train", "-v", "cgan", *SMALL, "--inner-width", 8, "--steps", 4)


@pytest.fixture
def along(drawing: Path, enlarger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tiny pretrained models, `digits` and `srgan-x4`; tests run in another folder."""
    assert "dcgan-32" in ckpt.PRETRAINED, "help texts are made once, of the models that gan really has"
    for name in ("shipped", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shipped")
    ship.ship(drawing / "ckpt.safetensors", "digits", COMMAND)
    ship.ship(enlarger / "ckpt.safetensors", "srgan-x4", "gan train -v srgan --steps 4")


@pytest.mark.usefixtures("along")
def test_every_command_takes_a_name_for_a_checkpoint(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    assert gan("sample", "digits", "-n", 20, "-o", "a.png").out == "a.png\n"
    assert gan("sample", "digits", "-n", 3, "--label", 7, "-o", "sevens/").code == 0
    assert sorted(path.name for path in Path("sevens").iterdir())[0] == "seed-000000-label-7.png"
    Image.effect_noise((9, 7), 60).save("small.png")
    assert gan("sample", "srgan-x4", "-i", "small.png", "-o", "large.png").code == 0
    with Image.open("large.png") as large:
        assert large.size == (36, 28)
    measured = gan("evaluate", "digits", "-d", "digits", "-n", 20, "--metrics", "modes")
    assert measured.code == 0, measured.err
    assert "cgan digits" in measured.out
    shown = gan("inspect", "digits", "--verify")
    for word in ("cgan", "are valid", f"made by{' ' * 7}{COMMAND}", "F16"):
        assert word in shown.out
    assert json.loads(gan("inspect", "digits", "--json").out)["command"] == COMMAND
    assert "0, 1, 2" in shown.out


@pytest.mark.usefixtures("along")
def test_a_run_of_that_name_takes_precedence_with_a_note(gan: Gan, trained: Path) -> None:
    shutil.copytree(trained, "digits")
    shown = gan("inspect", "digits", "--json")
    assert json.loads(shown.out)["variant"] == "vanilla"
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("note: digits: the one in this directory; the pretrained model is ")
    way_out = shown.err.split("the pretrained model is ")[1].strip()
    assert gancli.load(way_out).facts.variant == "cgan"
    assert gancli.load("digits").facts.variant == "vanilla"
    shutil.copy(Path("digits", "ckpt.safetensors"), "srgan-x4")
    assert gancli.load("srgan-x4").facts.variant == "vanilla"


@pytest.mark.usefixtures("along")
def test_a_dataset_of_that_name_is_skipped_with_a_note(gan: Gan) -> None:
    Path("digits").mkdir()
    Image.new("L", (8, 8)).save("digits/a.png")
    shown = gan("inspect", "digits", "--json")
    assert json.loads(shown.out)["variant"] == "cgan"
    assert shown.err == "note: digits: the pretrained model; the folder of that name here contains none\n"


@pytest.mark.usefixtures("along")
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("digts", f"digts: {GONE}; pretrained models: digits, srgan-x4 (did you mean digits?)\n"),
        ("srgan", "did you mean srgan-x4?"),
        ("ein name", f"ein name: {GONE}; pretrained models: digits, srgan-x4\n"),
        ("./digits", f"digits: {GONE}\n"),
        ("digits/", f"digits: {GONE}\n"),
        ("n" * 300, "File name too long"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_in_one_line(gan: Gan, word: str, told: str) -> None:
    assert_one_line(gan("inspect", word), 1, told)
    if word == "digts":
        assert gan("inspect", word).err == gan("sample", word).err == gan("evaluate", word).err


@pytest.mark.usefixtures("along")
def test_training_cannot_resume_from_a_pretrained_model(gan: Gan) -> None:
    assert_one_line(gan("train", "--resume", "digits"), 2, "--resume digits", "pretrained", "no training state")
    refused = gan("train", "--resume", pretrained.pretrained_file("digits"))
    assert_one_line(refused, 2, "not a run directory")
    assert [path.name for path in pretrained.FOLDER.iterdir()] != [], "and nothing was written there"
    assert {path.suffix for path in pretrained.FOLDER.iterdir()} == {".safetensors"}


@pytest.mark.usefixtures("along")
def test_variants_lists_them_in_a_section_of_their_own(gan: Gan) -> None:
    shown = gan("variants").out
    variants, _, models = shown.partition("Pretrained models")
    assert "cgan" in variants
    for words in (["digits", "cgan", "4 steps"], ["srgan-x4", "srgan", "4 steps"]):
        assert any(all(word in line for word in words) for line in models.splitlines())
    pages = {page["name"]: page["models"] for page in json.loads(gan("variants", "--json").out)}
    assert [model["name"] for model in pages["cgan"]] == ["digits"]
    assert pages["cgan"][0]["command"] == COMMAND
    assert pages["cgan"][0]["bytes"] == pretrained.pretrained_file("digits").stat().st_size
    assert pages["vanilla"] == []
    assert_one_line(gan("variants", "digits"), 2, "digits", "gan inspect digits")


@pytest.mark.usefixtures("along")
def test_half_precision_is_read_as_the_same_model_in_fp32(drawing: Path) -> None:
    whole, half = (
        checkpoint.load_model(path) for path in (drawing / "ckpt.safetensors", pretrained.pretrained_file("digits"))
    )
    weights, halves = (model.variant.generator.state_dict() for model in (whole, half))
    assert halves.keys() == weights.keys()
    assert any(weight.ndim > 1 and not torch.equal(weight, halves[name]) for name, weight in weights.items())
    for name, weight in weights.items():
        assert halves[name].dtype == weight.dtype
        assert torch.equal(halves[name], weight.half().float() if weight.ndim > 1 else weight)
    apart = (ship.pictures(whole).int() - ship.pictures(half).int()).abs()
    assert apart.max() <= 1
    assert half.facts.losses == whole.facts.losses


def test_only_models_may_be_in_half_precision_and_only_values_in_its_range(trained: Path, gan: Gan) -> None:
    newest = max((trained / "state").iterdir())
    saved = state.load(newest)
    checkpoint.save(newest, ship.halved(saved.tensors), saved.facts)
    assert_one_line(gan("inspect", newest, "--verify"), 1, "is F16")
    assert_one_line(gan("train", "--resume", trained, "--steps", 12, "--progress", "none"), 1, "dtype")
    with pytest.raises(UsageError, match="tensor w is not finite in half precision"):
        ship.halved({"w": torch.full((2, 2), 1e5)})


@pytest.mark.usefixtures("along")
def test_shipping_again_gives_the_same_bytes_and_a_wrong_command_is_refused(drawing: Path) -> None:
    source, before = drawing / "ckpt.safetensors", sha256(pretrained.pretrained_file("digits"))
    assert sha256(ship.ship(source, "digits", COMMAND)) == before
    for wrong, complaint in (
        ("gan train", "--variant vanilla, not cgan"),
        ("gan train -v cgan --seed 1", "--seed 1, not 0"),
        ("gan train -v cgan --width 17", "--width 17, not 16"),
        ("gan train -v cgan --epochs 7", "--epochs 7"),
        ("gan train -v cgan -d mnist", "--dataset mnist, not digits"),
        ("python train.py -v cgan", "is no gan train"),
    ):
        with pytest.raises(UsageError, match=complaint):
            ship.check_command(checkpoint.load_model(source).facts, wrong)
    model = checkpoint.load_model(source)
    weights = {f"generator.{name}": tensor for name, tensor in model.variant.generator.state_dict().items()}
    checkpoint.save(Path("half-way.safetensors"), weights, dataclasses.replace(model.facts, steps=8))
    with pytest.raises(UsageError, match="of step 4 of 8; --stopped"):
        ship.ship(Path("half-way.safetensors"), "digits", COMMAND.replace("4", "8"))
    with pytest.raises(CheckpointError, match="command has an impossible value"):
        checkpoint.load_model(ship.ship(source, "digits", f"{COMMAND} {'x' * 5000}"))
