"""`gan export`: what other programs open draws the model's pictures, and says what it is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gancli
from gancli.export import programs
from gancli.files import atomic
from gancli.images import to_uint8
from gancli.metrics import classifier
from gancli.sampling import generate
from gancli.store import checkpoint
from gancli.store.checkpoint import Model
from tests.conftest import Finished, Gan, gan_process
from tests.engine.test_resume import train_args

KINDS: dict[str, tuple[object, ...]] = {
    "vanilla": (*train_args("vanilla"), "--noise", "uniform"),
    "cgan": train_args("cgan"),
    "cgan as in the paper": (*train_args("cgan"), "--preset", "paper", "--label-width", 16),
    "dcgan": train_args("dcgan"),
    "dcgan with labels": (*train_args("dcgan"), "--conditional", "--image-size", 28),
    "lapgan": train_args("lapgan"),
    "lapgan as in the paper": (
        *train_args("lapgan"), "--conditional", "--resize", "binomial", "--layers", "flat", "--no-bounded",
    ),
    "srgan": train_args("srgan"),
    "srgan as in the paper": (*train_args("srgan"), "--norm", "batch", "--skip", "none", "--scale", 2),
}  # fmt: skip


IN_CI = ("cgan as in the paper", "dcgan with labels", "lapgan", "srgan as in the paper")


@pytest.fixture(scope="session")
def runs(finished: Finished) -> Callable[[str], Path]:
    """The run directory of a tiny finished run of a kind. Tests only read them."""
    return lambda kind: finished(*KINDS[kind], "--steps", 4)


def inputs_of(model: Model, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
    """What the generator of a model is given for seeds 0, 1, … and labels in turn; or pictures of that size."""
    variant = model.variant
    if variant.condition_type == "low_res":
        shape = (count, variant.images.channels, height, width)
        return (torch.rand(shape, generator=torch.Generator().manual_seed(count)) * 2 - 1,)
    noise = [generate.latents(variant, seed) for seed in range(count)]
    labels = torch.arange(count) % max(1, variant.images.num_classes)
    return variant.generator_inputs(tuple(torch.cat(parts) for parts in zip(*noise, strict=True)), labels)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind in IN_CI else pytest.mark.whole) for kind in KINDS]
)
def test_onnxruntime_draws_the_same_pictures_in_any_number_and_size(
    gan: Gan, runs: Callable[[str], Path], kind: str
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx")
    outcome = gan("export", runs(kind), "-o", "model.onnx")
    assert outcome.code == 0, outcome.err
    assert outcome.out == "model.onnx\n"
    own = ("translating the model to ONNX", "checking the exported model")
    assert all(any(words in line for words in own) for line in outcome.err.splitlines()), outcome.err
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    model = checkpoint.load_model(runs(kind) / "ckpt.safetensors")
    given = {each.name: each.shape for each in session.get_inputs()}
    for count, height, width in ((1, 3, 9), (2, 17, 5), (7, 8, 8)):
        inputs = inputs_of(model, count, height, width)
        named = {name: tensor.numpy() for name, tensor in zip(given, inputs, strict=True)}
        (pictures,) = session.run(["pictures"], named)
        with torch.no_grad():
            expected = model.variant.generator(*inputs).clamp(-1, 1).numpy()
        assert pictures.shape == expected.shape
        assert np.abs(pictures - expected).max() <= 2 / 255
        assert np.abs(pictures).max() <= 1
    assert all(shape[0] == "batch" for shape in given.values())
    told = session.get_modelmeta().custom_metadata_map
    assert told["variant"] == model.facts.variant
    assert told["value_range"] == "[-1, 1]"
    assert told["gan_version"] == gancli.__version__
    assert ("classes" in told) == model.variant.conditional
    assert str(Path.cwd()).encode() not in Path("model.onnx").read_bytes()
    assert os.fsencode(Path(gancli.__file__).parent) not in Path("model.onnx").read_bytes(), "nothing of this machine"


NAMES_OF_INPUTS = {
    "vanilla": ["z"],
    "cgan": ["z", "label"],
    "lapgan as in the paper": ["z0", "z1", "label"],
    "srgan": ["low_res"],
}
WITHOUT_GANCLI = """
import json, sys, torch
sys.modules["gancli"] = None
licences = {}
for kind in json.loads(sys.argv[1]):
    about = {"gancli.json": ""}
    program = torch.export.load(f"{kind}.pt2", extra_files=about).module()
    torch.save(program(*torch.load(f"{kind} inputs.pt")), f"{kind} pictures.pt")
    licences[kind] = json.loads(about["gancli.json"])["license"]
print(json.dumps(licences))
"""


@pytest.mark.slow
def test_torch_opens_a_pt2_without_gancli(gan: Gan, runs: Callable[[str], Path], tmp_path: Path) -> None:
    expected = {}
    for kind, names in NAMES_OF_INPUTS.items():
        outcome = gan("export", runs(kind), "-o", f"{kind}.pt2", "--json", "--license", "CC0-1.0")
        assert outcome.code == 0, outcome.err
        told = json.loads(outcome.out)
        assert [each["name"] for each in told["inputs"]] == names
        assert (told["files"], told["apart"] <= 1 / 255) == ([f"{kind}.pt2"], True)
        model = checkpoint.load_model(runs(kind) / "ckpt.safetensors")
        inputs = inputs_of(model, 5, 7, 10)
        torch.save(inputs, f"{kind} inputs.pt")
        with torch.no_grad():
            expected[kind] = model.variant.generator(*inputs).clamp(-1, 1)
    command = [sys.executable, "-c", WITHOUT_GANCLI, json.dumps(list(expected))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == dict.fromkeys(expected, "cc0-1.0")
    for kind, pictures in expected.items():
        assert (torch.load(f"{kind} pictures.pt") - pictures).abs().max() <= 1e-5, kind


def front_matter(card: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="the extra test")
    _, head, _ = card.split("---\n", 2)
    found = yaml.safe_load(head)
    assert isinstance(found, dict)
    return found


def test_a_folder_holds_weights_card_configuration_and_a_picture(gan: Gan, runs: Callable[[str], Path]) -> None:
    from safetensors.torch import load_file

    run = runs("cgan")
    outcome = gan("export", run, "-o", "hub/", "--license", "cc-by-4.0")
    assert outcome.code == 0, outcome.err
    assert outcome.out == "hub\n"
    assert sorted(path.name for path in Path("hub").iterdir()) == [
        "README.md", "config.json", "model.safetensors", "samples.png",
    ]  # fmt: skip
    weights = load_file("hub/model.safetensors")
    own = checkpoint.load_model(run / "ckpt.safetensors")
    assert {f"generator.{name}" for name in own.variant.generator.state_dict()} == set(weights)
    config = json.loads(Path("hub/config.json").read_text())
    assert (config["variant"], config["options"]["width"]) == ("cgan", 16)
    assert config["inputs"][1] == {"name": "label", "dtype": "int64", "shape": ["batch"]}
    card = Path("hub/README.md").read_text("utf-8")
    head = front_matter(card)
    assert (head["license"], head["library_name"]) == ("cc-by-4.0", "gancli")
    assert head["pipeline_tag"] == "unconditional-image-generation"
    assert {"gan", "cgan", "conditional"} <= set(head["tags"])
    assert "model-index" not in head, "it was not measured"
    assert str(Path.cwd()) not in card
    with Image.open("hub/samples.png") as grid:
        assert grid.size == (10 * 10 - 2, 7 * 10 - 2), "64 pictures of 8 px, a column per class"
    for model in ("hub/model.safetensors", "hub", run):
        assert gan("sample", model, "-n", 4, "-o", f"{Path(model).name}.png").code == 0
    assert Path("model.safetensors.png").read_bytes() == Path("hub.png").read_bytes()
    with Image.open("hub.png") as of_folder, Image.open(f"{run.name}.png") as of_run:
        assert of_folder.tobytes() == of_run.tobytes()
        assert of_folder.text | {"model": run.name} == of_run.text  # type: ignore[attr-defined]


def test_a_card_has_the_figures_of_these_weights_and_their_data_set(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    for count in (60, 50):  # of two, the one of the most images
        assert gan("evaluate", trained, "-n", count, "--metrics", "diversity,swd").code == 0
    with (trained / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 4, "evaluated_on": "old", "sha256": "of others", "figures": {"coverage": 0.25}}\n')
    assert gan("export", trained, "-o", "hub").code == 0
    card = Path("hub/README.md").read_text("utf-8")
    (model,) = front_matter(card)["model-index"]
    (result,) = model["results"]
    assert result["dataset"] == {"name": "digits", "type": "digits", "split": "test"}
    assert {each["type"] for each in result["metrics"]} == {"diversity", "sliced_wasserstein_at_8_px"}
    assert all(isinstance(each["value"], float) for each in result["metrics"])
    assert "60 images from seed 0, against digits (test)" in card
    assert "license" not in front_matter(card), "nobody said one"


@pytest.mark.slow
def test_the_command_on_a_card_is_one_that_makes_such_a_model(gan: Gan, runs: Callable[[str], Path]) -> None:
    from gancli.store.facts import command_from_facts
    from tests import ship

    for kind in ("vanilla", "dcgan with labels", "lapgan as in the paper", "srgan"):
        facts = checkpoint.load_model(runs(kind) / "ckpt.safetensors").facts
        words = command_from_facts(facts)
        ship.check_command(facts, words.replace("--conditional", "").replace("--no-bounded", ""))
        assert gan(*words.split()[1:], "--dry-run").code == 0, words


def test_the_card_of_an_enlarger_shows_what_it_does(gan: Gan, runs: Callable[[str], Path]) -> None:
    outcome = gan("export", runs("srgan"), "-o", "hub/", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["inputs"][0]["shape"][1:] == [1, "height", "width"]
    assert front_matter(Path("hub/README.md").read_text("utf-8"))["pipeline_tag"] == "image-to-image"
    with Image.open("hub/samples.png") as grid:
        assert grid.size == (4 * 98 - 2, 4 * 98 - 2), "four pictures: reduced, bicubic, the model's, true"


@pytest.mark.slow
def test_python_exports_the_same_bytes(gan: Gan, runs: Callable[[str], Path]) -> None:
    pytest.importorskip("onnxscript", reason="the extra onnx")
    model = gancli.load(runs("vanilla"))
    for name in ("model.onnx", "model.pt2", "hub"):
        assert gan("export", runs("vanilla"), "-o", f"typed-{name}", "--license", "mit").code == 0
        written = model.export(f"called-{name}", license="mit")
        for file in written:
            assert file.read_bytes() == Path(str(file).replace("called-", "typed-")).read_bytes()
    assert len(written) == 4
    again = gan_process("export", runs("vanilla"), "-o", "again.onnx", "--license", "mit")
    assert again.returncode == 0
    assert Path("again.onnx").read_bytes() == Path("typed-model.onnx").read_bytes(), "in another process, too"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((), 2, "-o: required: model.onnx"),
        (("-o", "-"), 2, "-o -: a model is not written to stdout"),
        (("-o", "model.pth"), 2, "-o model.pth: must end in .onnx or .pt2, or be a folder"),
        (("-o", "no/model.pt2"), 1, "-o no/model.pt2: there is no directory no"),
        (("-o", "full"), 2, "-o full: exists and is not empty"),
        (("-o", "m.pt2", "--opset", 20), 2, "--opset 20: is for .onnx"),
        (("-o", "m.onnx", "--opset", 17), 2, "--opset 17: must be at least 18 and at most 25"),
        (("-o", "m.pt2", "--license", "my own"), 2, "--license my own: must be a licence's short name"),
    ],
)
def test_errors_are_one_line_that_names_the_option(gan: Gan, args: tuple[object, ...], code: int, words: str) -> None:
    Path("full").mkdir()
    Path("full/a.txt").write_text("mine")
    outcome = gan("export", "digits", *args)
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert Path("full/a.txt").read_text() == "mine"


def test_what_draws_other_pictures_is_not_written(gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m.pt2").write_text("before")
    monkeypatch.setattr(programs, "run_pt2", lambda _, inputs: torch.zeros(len(inputs[0]), 1, 8, 8))
    outcome = gan("export", trained, "-o", "m.pt2")
    assert outcome.code == 1
    assert "not written, as its images differ from the model's by up to" in outcome.err.splitlines()[-1]
    assert (Path("m.pt2").read_text(), [path.name for path in Path().iterdir() if path.name != "run"]) == (
        "before",
        ["m.pt2"],
    )


def test_a_folder_is_whole_or_not_there(gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = atomic.write

    def full(path: Path, pieces: Any, **more: Any) -> None:
        if path.name == "README.md":
            raise gancli.GancliError(f"{path}: cannot be written (No space left on device)")
        real(path, pieces, **more)

    monkeypatch.setattr(atomic, "write", full)
    Path("empty").mkdir()
    for place in ("hub/", "empty/"):
        outcome = gan("export", trained, "-o", place)
        assert outcome.code == 1
        assert "No space left" in outcome.err.splitlines()[-1]
    assert sorted(path.name for path in Path().iterdir()) == ["empty", "run"]
    assert not any(Path("empty").iterdir())


def test_pictures_of_an_exported_program_are_those_of_gan_sample(gan: Gan, runs: Callable[[str], Path]) -> None:
    """By seed: docs/export.md says how the noise of one is drawn."""
    assert gan("export", runs("cgan"), "-o", "model.pt2").code == 0
    z = torch.cat([torch.randn(1, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(12)])
    found = to_uint8(torch.export.load("model.pt2").module()(z, torch.arange(12) % 10))
    drawn = gancli.load(runs("cgan"), device="cpu").sample(12).pixels
    assert (found.int() - drawn.int()).abs().max() <= 1
