"""Own pictures, and named ones in colour, start from a pretrained dcgan by default: which, when it is told, and what it
leaves as it was."""

import dataclasses
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import conv2d

import gancli
from gancli import events
from gancli.errors import CheckpointError
from gancli.store import checkpoint, pretrained, state
from gancli.store.facts import from_header
from gancli.store.header import read_header
from tests.cli.test_errors import assert_one_line
from tests.conftest import Gan, sha256
from tests.machine.together import together

NOTE = "note: starts from the pretrained dcgan-32 (--init-from none: from random weights)"
TRAIN = ("train", "-v", "dcgan", "-d", "pics", "--batch-size", 4, "--device", "cpu", "--threads", 1, "--progress",
         "plain", "--no-report", "--log-every", 1)  # fmt: skip


def draw(folder: str, mode: str = "RGB", side: int = 32) -> None:
    Path(folder).mkdir()
    for index in range(8):
        noise = [Image.effect_noise((side, side), 20 + 9 * index) for _ in mode]
        (Image.merge("RGB", noise) if mode == "RGB" else noise[0]).save(f"{folder}/{index}.png")


@pytest.fixture(autouse=True)
def pics(_surroundings: None) -> None:
    draw("pics")


def saved(run: str, step: int) -> Path:
    return Path(run, "state", f"step-{step:08d}.safetensors")


def files(run: str, step: int) -> tuple[str, str]:
    return sha256(Path(run, "ckpt.safetensors")), sha256(saved(run, step))


def start_of(gan: Gan, *options: object) -> str:
    """The value and origin of --init-from in a dry run."""
    shown = gan(*TRAIN, *options, "--dry-run")
    assert shown.code == 0, shown.err
    (line,) = re.findall(r"^--init-from +(.*)$", shown.out, re.MULTILINE)
    return " ".join(line.split())


def test_it_is_the_model_of_init_from_and_a_note_says_so(gan: Gan) -> None:
    runs = {"auto": (), "named": ("--init-from", "dcgan-32"), "none": ("--init-from", "none")}
    told = {name: gan(*TRAIN, "--steps", 2, *more, "--out", name) for name, more in runs.items()}
    assert {name: outcome.code for name, outcome in told.items()} == dict.fromkeys(runs, 0), told
    assert {name: NOTE in outcome.err for name, outcome in told.items()} == {
        "auto": True,
        "named": False,
        "none": False,
    }
    assert files("auto", 2) == files("named", 2)
    assert files("auto", 2) != files("none", 2)
    assert "dcgan-32" not in told["none"].err + told["named"].err
    log = [json.loads(line) for line in Path("auto", "log.jsonl").read_text("utf-8").splitlines()]
    assert any(NOTE.removeprefix("note: ") in json.dumps(row) for row in log)


def test_all_weights_are_the_shipped_ones_in_the_average_too(gan: Gan) -> None:
    """With a step size of next to nothing what comes out is what was taken."""
    assert gan(*TRAIN, "--steps", 1, "--lr", 1e-30, "--beta1", 0, "--out", "run").code == 0
    _, generator, networks = checkpoint.load_networks(pretrained.pretrained_file("dcgan-32"))
    taken, expected = load_file(saved("run", 1)), state.flatten({"network.D": networks["D"], "average": generator})
    assert networks.keys() == {"D"}
    for name, tensor in expected.items():
        if name.endswith(("weight", "bias")):
            assert taken[name].allclose(tensor, rtol=0, atol=1e-7), name
            assert taken[name.replace("average", "network.G")].allclose(tensor, rtol=0, atol=1e-7), name


def test_the_size_decides_which(gan: Gan) -> None:
    sizes = {size: start_of(gan, "--image-size", size) for size in (16, 28, 32, 56, 64, 128)}
    small, large, none = "dcgan-32 auto", "dcgan-64 auto", "none auto"
    assert sizes == {16: none, 28: small, 32: small, 56: large, 64: large, 128: none}
    assert start_of(gan, "--preset", "quick") == small
    done = gan(*TRAIN, "--steps", 1, "--image-size", 28, "--out", "run")
    assert "starts from the pretrained dcgan-32, but for D.layers.4.weight (--init-from none" in done.err


@pytest.mark.parametrize(
    "options",
    [("--preset", "paper"), ("--width", 8), ("-d", "shapes"), ("-d", "digits"), ("-v", "lapgan")],
)
def test_other_networks_and_other_pictures_start_from_random_weights(gan: Gan, options: tuple[str, ...]) -> None:
    assert start_of(gan, *options) == "none auto"


def test_where_one_network_fits_it_is_taken(gan: Gan) -> None:
    for options in (("--latent-dim", 8), ("--norm", "spectral")):
        assert start_of(gan, *options) == "dcgan-32 auto"
    done = gan(*TRAIN, "--steps", 1, "--latent-dim", 8, "--out", "run")
    assert "starts from the pretrained dcgan-32, but for generator.layers.0.weight (--init-from none" in done.err


def test_labels_are_inputs_beside_those_of_the_model(gan: Gan) -> None:
    for index in range(8):
        (folder := Path("classes", "ab"[index % 2])).mkdir(parents=True, exist_ok=True)
        shutil.copy(f"pics/{index}.png", folder)
    assert start_of(gan, "-d", "classes") == "dcgan-32 auto"
    assert start_of(gan, "-d", "classes", "--conditional") == "dcgan-32 auto"
    done = gan(*TRAIN, "-d", "classes", "--conditional", "--steps", 1, "--lr", 1e-30, "--beta1", 0, "--out", "run")
    assert "pretrained dcgan-32, but for generator.embed.weight, D.embed.weight (--init-from none" in done.err
    _, generator, networks = checkpoint.load_networks(pretrained.pretrained_file("dcgan-32"))
    run, expected = load_file(saved("run", 1)), state.flatten({"network.D": networks["D"], "average": generator})
    first = {"average/layers.0.weight": (0, 0, 64), "network.D/layers.0.weight": (1, 0, 3)}
    for name, tensor in expected.items():
        if name.endswith(("weight", "bias")):
            taken = run[name].narrow(*first[name]) if name in first else run[name]
            assert taken.allclose(tensor, rtol=0, atol=1e-7), name
    assert {name: run[name].shape[dim] for name, (dim, *_) in first.items()} == dict(zip(first, (128, 4), strict=True))


def test_grey_images_are_judged_as_in_colour_and_generated_as_the_mean_of_the_channels(gan: Gan) -> None:
    draw("grey", "L")
    done = gan(*TRAIN, "-d", "grey", "--steps", 1, "--lr", 1e-30, "--beta1", 0, "--out", "run")
    assert NOTE in done.err
    run = load_file(saved("run", 1))
    _, generator, networks = checkpoint.load_networks(pretrained.pretrained_file("dcgan-32"))
    for name in ("layers.9.weight", "layers.9.bias"):
        assert run[f"average/{name}"].allclose(generator[name].mean(0, keepdim=True), rtol=0, atol=1e-7)
    image = torch.rand(4, 1, 32, 32)
    in_grey = conv2d(image, run["network.D/layers.0.weight"])
    assert in_grey.allclose(conv2d(image.expand(-1, 3, -1, -1), networks["D"]["layers.0.weight"]), atol=1e-5)
    for name in ("layers.4.weight", "layers.4.bias"):
        assert run[f"network.D/{name}"].allclose(networks["D"][name], rtol=0, atol=1e-7)


def test_a_model_of_ones_own_wins(gan: Gan) -> None:
    assert gan(*TRAIN, "--steps", 1, "--out", "own").code == 0
    done = gan(*TRAIN, "--steps", 1, "--init-from", "own", "--out", "on")
    assert (done.code, "pretrained" in done.err) == (0, False)
    assert tomllib.loads(Path("on", "config.toml").read_text("utf-8"))["init_from"] == str(Path("own").absolute())


def test_it_is_recorded_and_a_resumed_or_repeated_run_is_the_same(gan: Gan) -> None:
    assert gan(*TRAIN, "--steps", 4, "--out", "whole").code == 0
    assert gan(*TRAIN, "--steps", 2, "--out", "parts").code == 0
    resumed = gan(*TRAIN, "--steps", 4, "--out", "parts", "--resume", "auto")
    assert (resumed.code, "pretrained" in resumed.err) == (0, False), resumed.err
    assert gan("train", "--config", "whole/config.toml", "--out", "again").code == 0
    assert files("whole", 4) == files("parts", 4) == files("again", 4)
    for run in ("whole", "parts", "again"):
        assert tomllib.loads(Path(run, "config.toml").read_text("utf-8"))["came_to"]["init_from"] == "dcgan-32"
        assert re.search(r"^started from +dcgan-32$", gan("inspect", run).out, re.MULTILINE)
    assert gan("train", "--resume", "parts", "--steps", 5, "--init-from", "dcgan-32").code == 0
    refused = gan("train", "--resume", "parts", "--steps", 6, "--init-from", "none")
    assert_one_line(refused, 2, "--init-from none (flag): the run to resume has dcgan-32")


@pytest.mark.parametrize("recorded", [False, True])
def test_runs_of_earlier_versions_stay_on_random_weights(gan: Gan, recorded: bool) -> None:
    assert gan(*TRAIN, "--steps", 2, "--init-from", "none", "--out", "run").code == 0
    text = Path("run", "config.toml").read_text("utf-8")
    assert text.count('init_from = "none"\n') == 1
    text = text.replace('init_from = "none"\n', "")
    if recorded:
        assert text.count("[came_to]\n") == 1
        text = text.replace("[came_to]\n", '[came_to]\ninit_from = "none"\n')
    Path("run", "config.toml").write_text(text)
    shutil.copytree("run", "older")
    repeated = gan("train", "--config", "older/config.toml", "--out", "again")
    assert (repeated.code, "pretrained" in repeated.err) == (0, False), repeated.err
    assert "options that it lacks keep its behaviour: --init-from none" in repeated.err
    assert files("again", 2) == files("run", 2)
    assert gancli.runs("older")[0].command.count(" --init-from none ") == 1
    resumed = gan("train", "--resume", "older", "--steps", 3)
    assert (resumed.code, "pretrained" in resumed.err) == (0, False), resumed.err
    assert 'init_from = "none"' in Path("older", "config.toml").read_text("utf-8")


def test_python_says_and_does_the_same(gan: Gan) -> None:
    assert gan(*TRAIN, "--steps", 1, "--out", "line").code == 0
    options = {"dataset": "pics", "batch_size": 4, "device": "cpu", "threads": 1, "steps": 1, "log_every": 1}
    told: list[events.Event] = []
    gancli.train("dcgan", **options, out="call", report=False, on_event=told.append)  # type: ignore[arg-type]
    assert files("line", 1) == files("call", 1)
    note = "starts from the pretrained dcgan-32 (init_from none: from random weights)"
    assert note in [event.message for event in told if isinstance(event, events.Warned)]
    run = gancli.train("dcgan", **options, out="none", init_from="none", report=False)  # type: ignore[arg-type]
    assert run.model.facts.init_from == ""


@pytest.mark.slow
def test_two_processes_start_from_it_and_tell_it_once(gan: Gan) -> None:
    args = (*TRAIN, "--steps", 1, "--precision", "fp32", "--lr", 1e-30, "--beta1", 0)
    assert gan(*args, "--out", "one").code == 0
    code, _, err = together(*args, "--out", "two")
    assert (code, err.count(NOTE)) == (0, 1), err
    one, two = load_file(saved("one", 1)), load_file(saved("two", 1))
    assert all(two[name].allclose(one[name], atol=1e-6) for name in one if name.startswith("network.D"))


@pytest.mark.parametrize("damage", ["missing", "shape", "nan", "unknown"])
def test_a_file_with_a_damaged_discriminator_is_refused_in_one_line(gan: Gan, damage: str) -> None:
    source = pretrained.pretrained_file("dcgan-32")
    header = read_header(source)
    facts, first = from_header(source, header), "network.D/layers.0.weight"
    tensors = checkpoint.read_tensors(source, header, facts)
    if damage == "missing":
        del tensors[first]
    elif damage == "shape":
        tensors[first] = tensors[first][:1]
    elif damage == "nan":
        tensors[first][0, 0, 0, 0] = torch.nan
    else:
        tensors["network.E/weight"] = torch.zeros(1)
    checkpoint.save(Path("bad.safetensors"), tensors, dataclasses.replace(facts, command=""))
    for command in (("sample", "bad.safetensors"), (*TRAIN, "--init-from", "bad.safetensors")):
        assert_one_line(gan(*command), 1, "bad.safetensors: ")
    with pytest.raises(CheckpointError):
        checkpoint.load_networks(Path("bad.safetensors"))
