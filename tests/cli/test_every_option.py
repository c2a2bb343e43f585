"""Every option changes the configuration; one option of each kind changes what its command does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli import catalogue
from gancli.cli import options, train
from gancli.config import Field, fields_of
from gancli.config.evaluate import EvaluateConfig
from gancli.config.resolve import known_fields, preset_layers, resolve
from gancli.config.run import TrainCommandConfig
from gancli.config.sample import DemoConfig, EnlargeConfig, ExportConfig, SampleConfig
from gancli.machine import device as machine
from gancli.sampling import generate
from gancli.steps import runner
from gancli.steps.trace import capture_by_trace
from tests.cli.test_errors import assert_one_line
from tests.conftest import SMALL, Gan, sha256

Words = tuple[object, ...]
TRAIN: Words = ("train", "-d", "pics", *SMALL, "--steps", 6, "--progress", "none", "--out", "r")

# A text, where none follows from the option's type and default; and the options without which one is refused.
TEXTS = {"augment": "cutout", "scale": "2", "within": "1h", "max_time": "1h", "save_every": "1000,10m", "device": "cuda:1",
         "metrics": "swd", "license": "mit", "only": "1", "processes": "2", "seeds": "1,5"}  # fmt: skip
NEEDED = {"eval_metric": {"eval_every": "5"}, "lr_schedule": {"lr_decay": "0.5"}, "vgg_weights": {"content": "vgg"}}


def other_value(field: Field, value: Any) -> object:
    """What the command line may give an option whose value is `value`, so that it has another one."""
    if field.name in TEXTS:
        return TEXTS[field.name]
    if field.kind is bool:
        return not value
    if field.choices:
        return next(choice for choice in field.choices if choice != value)
    if field.kind is float:
        return str((value or 0.5) / 2)
    if field.kind is int:
        return str((value or max(2, int(field.option.ge or 0))) + 1)
    return ["x"] if field.many else "paper"


def resolved(variant: str, texts: Mapping[str, object]) -> dict[str, Any]:
    request = train.parse({"variant": variant, **texts}, [])
    config_class = catalogue.variant_info(variant).config_class
    layers = request.layers
    found = resolve(variant, config_class, [*preset_layers(variant, config_class, "default"), *layers])
    return {**vars(found.run), **vars(found.own)}


@pytest.mark.parametrize("variant", catalogue.names())
def test_every_option_of_a_run_changes_its_configuration(variant: str) -> None:
    for name, field in known_fields(catalogue.variant_info(variant).config_class).items():
        if name != "variant":
            needed = NEEDED.get(name, {})
            before = resolved(variant, needed)
            after = resolved(variant, {**needed, name: other_value(field, before[name])})
            assert after[name] != before[name], name


@pytest.mark.parametrize(
    "config_class", [TrainCommandConfig, SampleConfig, EnlargeConfig, EvaluateConfig, ExportConfig, DemoConfig]
)
def test_every_option_of_a_command_changes_its_configuration(config_class: type) -> None:
    for field in fields_of(config_class):
        given = options.given(config_class, {field.name: other_value(field, field.default)})
        assert getattr(config_class(**given), field.name) != field.default


@pytest.fixture
def _pictures() -> None:
    for index in range(12):
        path = Path("pics") / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * index).save(path)


@pytest.mark.usefixtures("_pictures")
def test_an_option_of_each_kind_changes_the_run(gan: Gan) -> None:
    sums = set()
    kinds: list[Words] = [
        (), ("--lr", 1e-4), ("--inner-width=8",), ("--loss", "hinge"), ("-v", "dcgan"), ("-vdcgan", "--conditional"),
        ("-v", "dcgan", "--augment", "cutout"), ("--init-from", "r0"), ("--no-graph", "--no-compile", "--seed", 1),
    ]  # fmt: skip
    for number, words in enumerate(kinds):
        outcome = gan(*TRAIN, *words, "--save-every", 3, "--out", f"r{number}")
        assert outcome.code == 0, outcome.err
        assert sorted(path.stem for path in Path(f"r{number}/state").iterdir()) == ["step-00000003", "step-00000006"]
        sums.add(sha256(Path(f"r{number}/ckpt.safetensors")))
    assert len(sums) == len(kinds)


def test_an_option_of_another_variant_is_refused_with_the_variants_that_have_it(gan: Gan) -> None:
    refused = gan("train", "-v", "vanilla", "--coarse-lr", 1)
    assert_one_line(refused, 2, "--coarse-lr: vanilla has no such option (an option of lapgan)")
    assert_one_line(gan("train", "--conditional"), 2, "vanilla has no such option (an option of dcgan, lapgan)")
    assert_one_line(gan("train", "-v", "srgan", "--falling", 1), 2, "--lr-decay: srgan has no such option")


def test_a_value_that_looks_like_an_option_is_a_value(gan: Gan) -> None:
    assert_one_line(
        gan("train", "--progress", "none", "--out", "--seed", "--dataset=--lr=1,2"), 2, "--dataset --lr=1,2"
    )


def test_help_shows_the_options_of_the_variant_that_is_named_wherever_it_stands(gan: Gan) -> None:
    usual = gan("train", "--help").out
    assert "--smoothing" in usual
    assert "--upsampling" not in usual
    for words in (("-v", "dcgan", "--help"), ("--help", "--variant=dcgan"), ("-h", "--compile", "-vdcgan")):
        shown = gan("train", *words).out
        assert "--upsampling" in shown
        assert "--smoothing" not in shown
        assert "--falling" not in shown
    assert_one_line(gan("train", "--help", "-v", "dcgn"), 2, "did you mean dcgan?")


class Spy:
    """Calls what it stands for, and notes what `told` makes of the arguments."""

    def __init__(self, real: Callable[..., Any], told: Callable[..., object]) -> None:
        self.real, self.told, self.notes = real, told, list[object]()

    def __call__(self, *args: Any) -> Any:
        self.notes.append(self.told(*args))
        return self.real(*args)


@pytest.mark.usefixtures("_pictures")
def test_options_of_how_it_is_done_are_followed(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(capture_by_trace, lambda *_: "captured")
    monkeypatch.setattr(machine, "WORTH_TRACING", 0)
    monkeypatch.setattr(runner, "capture_by_trace", spy)
    assert gan(*TRAIN, "--no-graph", "--out", "eager").code == 0
    assert spy.notes == []
    assert gan(*TRAIN, "--out", "captured").code == 0
    assert spy.notes
    assert gan(*TRAIN, "--deterministic", "--out", "d").code == 0
    assert torch.are_deterministic_algorithms_enabled()
    shown = gan(*TRAIN, "--threads", 2, "--progress", "json", "--out", "t")
    assert '"threads": 2' in shown.out


def test_options_of_memory_are_followed(gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Spy(generate.generate, lambda _variant, _generator, wanted, *_: len(wanted))
    monkeypatch.setattr(generate, "generate", drawn)
    assert gan("sample", trained, "-n", 40, "--batch-size", 16, "-o", "a.png").code == 0
    assert drawn.notes == [16, 16, 8]
