"""What other programs call things is answered by what it is called here, and by nothing that is far off."""

import re
from typing import Any

import pytest
import typer

from gancli import catalogue
from gancli.cli.app import Group, app
from gancli.config import RunConfig, fields_of, suggestions
from gancli.config.evaluate import METRICS
from gancli.data.names import dataset_names
from gancli.errors import did_you_mean
from gancli.export.write import SUFFIXES
from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan


def options_of(name: str) -> set[str]:
    """All options of a command, in every variant."""
    group: Any = typer.main.get_command(app)
    found = group.get_command(None, name)
    return {flag for parameter in found.params for flag in (*parameter.opts, *parameter.secondary_opts)}


def choices_of(flag: str) -> set[str]:
    own = (field for fields in catalogue.variant_options(catalogue.names()).values() for field in fields.values())
    found = {c for f in (*fields_of(RunConfig), *own) if f.long == flag for c in f.choices}
    open_ones = {
        "--device": {"auto", "cpu", "cuda", "cuda:0", "mps"},
        "--variant": set(catalogue.names()),
        "--dataset": set(dataset_names()),
        "--metrics": set(METRICS),
    }
    return found | open_ones.get(flag, set())


def commands() -> set[str]:
    return set(Group.pages)


def test_every_suggested_option_command_and_value_exists() -> None:
    there = set().union(*map(options_of, commands()))
    for meanings in suggestions.table()["options"]:
        for meaning in meanings.split(" or "):
            flag, _, value = meaning.partition(" ")
            assert flag in there | {"CKPT"}, meaning
            assert not value or value in choices_of(flag), meaning
    for flag, values in suggestions.table()["values"].items():
        assert set(values) <= choices_of(flag), flag
        words = {word for text in values.values() for word in text.split()}
        assert not words & choices_of(flag), f"{flag}: a value that there is needs no suggestion"
    meant = {word.partition(" ")[0] for word in suggestions.table()["commands"] if not word.startswith("--")}
    assert meant <= commands()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("train --fp16", "--precision fp16"),
        ("train --gpus 2", "--device cuda, or for several GPUs torchrun --nproc-per-node N -m gancli train"),
        ("train --n-critic 5", "each step updates D and G once"),
        ("train digits", "--dataset digits"),
        ("sample digits grid.png", "-o grid.png"),
        ("sample digits .", "-i ."),
        ("resume runs/a", "gan train --resume"),
        ("train --batch 3", "--batch-size"),
        ("train --learning_rate 3", "--lr"),
        ("train --checkpoint x", "--resume"),
        ("train --nproc-per-node 2", "torchrun --nproc-per-node N -m gancli train"),
        ("train --diffaug color", "--augment, an option of dcgan"),
        ("train --vriant dcgan", "--variant"),
        ("sample digits --num-samples 3", "-n"),
        ("sample --ckpt x", "it is the argument CKPT: gan sample CKPT"),
        ("evaluate digits --fid", "--metrics frechet"),
        ("evaluate digits --device cpu --gpus 2", "--device"),
        ("sample digits --webp", "-o FILE.webp"),
        ("sample digits --format png", "the suffix of -o FILE selects it"),
        ("generate digits", "gan sample"),
        ("trian", "train"),
        ("train --variant conditional", "cgan"),
        ("train --precision half", "fp16"),
        ("train --loss wgan-gp", "wasserstein"),
        ("evaluate digits --metrics fid", "frechet"),
    ],
)
def test_what_others_call_it_is_answered_by_what_it_is_called_here(gan: Gan, line: str, meant: str) -> None:
    words = [meant] if meant.startswith(("it is", "the suffix", "each step")) else ["did you mean", meant]
    refused = gan(*line.split())
    assert_one_line(refused, 2, *words)
    suggestions = re.findall(r"did you mean ([^?]*)\?", refused.err)
    assert len(suggestions) <= 1
    assert not suggestions or suggestions[0].startswith(meant), suggestions


def test_every_suggested_kind_of_file_is_written(gan: Gan) -> None:
    for verb, more in (("sample", ("-n", 4)), ("report", ())):
        for kind in sorted(suggestions.ENDINGS[verb]):
            written = gan(verb, "digits", *more, "-o", f"x.{kind}")
            assert written.code == 0 or "pip install" in written.err or "ffmpeg" in written.err, written
    assert suggestions.ENDINGS["export"] == {suffix[1:] for suffix in SUFFIXES}


@pytest.mark.parametrize(
    "line",
    ["train --beta3 1", "train --colour", "train --r3 1", "train --ganache", "train --fatal", "train --xyz",
     "sample digits --lr 3", "sample digits --scaled 2", "evaluate digits --blah", "frobnicate", "train --variant pix2pix",
     "train --loss focal", "train --dataset imagenet", "sample digits --blue 3x", "--gpu"],
)  # fmt: skip
def test_what_is_far_off_is_not_suggested(gan: Gan, line: str) -> None:
    refused = gan(*line.split())
    assert_one_line(refused, 2)
    assert "mean" not in refused.err


def test_names_of_options_in_python_and_files_are_answered_alike() -> None:
    known = ["precision", "batch_size", "steps", "gp", "device"]
    for name, meant in (
        ("fp16", '(did you mean precision = "fp16"?)'),
        ("batch", "(did you mean batch_size?)"),
        ("batchsize", "(did you mean batch_size?)"),
        ("step", "(did you mean steps?)"),
        ("gpus", "(did you mean device?)"),
        ("colour", ""),
    ):
        assert suggestions.of_name(name, known).strip() == meant


def test_a_slip_is_a_letter_or_two_and_never_another_digit() -> None:
    known = ("dcgan", "beta1", "fashion-mnist", "precision", "cifar10", "fit")
    for typed, meant in (
        ("dcagn", "dcgan"),
        ("dgan", "dcgan"),
        ("Fashon-mnits", "fashion-mnist"),
        ("preicsion", "precision"),
        ("cif", "cifar10"),
    ):
        assert did_you_mean(typed, known) == f" (did you mean {meant}?)"
    for typed in ("beta2", "cifar100", "mnist", "", "precise-timing", "fp", "position"):
        assert did_you_mean(typed, known) == "", typed
