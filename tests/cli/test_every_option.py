"""A walk over all options of all commands: each changes what its command does, or is refused.

`SHOWN` has a trial per option: a command line without it and the words that give it. A new option without a trial fails
the first test. What a command does is what it prints, leaves on disk (but for `config.toml`, which names every option, and
`metrics.jsonl`, which holds times) and how it ends; of what else holds times, that it is there.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image

from gancli import catalogue
from gancli.cli.app import app
from gancli.cli.train import command
from gancli.config import RunConfig, fields_of
from gancli.data import torchvision_sets
from gancli.errors import DataError
from gancli.machine import device as machine
from gancli.metrics import classifier
from gancli.sampling import draw, upscale
from gancli.steps import runner
from gancli.steps.trace import capture_by_trace
from tests.conftest import SMALL, TINY, Gan, Outcome

Words = tuple[object, ...]
Trial = tuple[Words, Words]
TRAIN: Words = ("train", "-d", "pics", *SMALL, "--steps", 6, "--progress", "none", "--out", "r")
SRGAN: Words = ("train", "--variant", "srgan", *TINY, "--width", 4, "--blocks", 1, "--d-width", 4, "--out", "r")
MEASURE: Words = ("evaluate", "vanilla", "-d", "pics", "-n", 10, "--metrics", "diversity")
ENLARGE: Words = ("sample", "srgan", "-i", "pics", "-o", "large")

SHOWN: dict[str, Trial] = {
    "train --variant": (TRAIN, ("--variant", "cgan")),
    "train --preset": (TRAIN, ("--preset", "article")),
    "train --init-from": (TRAIN, ("--init-from", "vanilla")),
    "train --dataset": (TRAIN, ("--dataset", "shapes")),
    "train --data-root": (TRAIN, ("--data-root", "here")),
    "train --download": ((*TRAIN, "-d", "mnist"), ("--no-download",)),
    "train --image-size": (TRAIN, ("--image-size", 12)),
    "train --fit": (TRAIN, ("--fit", "pad")),
    "train --mirror": (TRAIN, ("--mirror",)),
    "train --held-out": (TRAIN, ("--held-out", 8)),
    "train --on-bad-image": ((*TRAIN, "-d", "bad"), ("--on-bad-image", "skip")),
    "train --epochs": (
        (*(word for word in TRAIN if word not in ("--steps", 6)), "--epochs", 2),
        ("--epochs", 1),
    ),
    "train --steps": (TRAIN, ("--steps", 7)),
    "train --max-time": (TRAIN, ("--max-time", "0.001s")),
    "train --batch-size": (TRAIN, ("--batch-size", 8)),
    "train --seed": (TRAIN, ("--seed", 1)),
    "train --ema": (TRAIN, ("--ema", 0.1)),
    "train --device": (TRAIN, ("--device", "cuda:99")),
    "train --precision": (TRAIN, ("--precision", "bf16")),
    "train --out": (TRAIN, ("--out", "s")),
    "train --log-every": ((*TRAIN, "--progress", "json"), ("--log-every", 1)),
    "train --sample-every": (TRAIN, ("--sample-every", 2)),
    "train --save-every": (TRAIN, ("--save-every", 2)),
    "train --eval-every": ((*SRGAN, "--steps", 4, "-d", "pics"), ("--eval-every", 2)),
    "train --eval-metric": (TRAIN, ("--eval-metric", "coverage")),
    "train --keep": ((*TRAIN, "--save-every", 1), ("--keep", 4)),
    "train --tensorboard": (TRAIN, ("--tensorboard",)),
    "train --report": (TRAIN, ("--no-report",)),
    "train --progress": (TRAIN, ("--progress", "plain")),
    "train --resume": ((*TRAIN, "--out", "vanilla", "--steps", 8), ("--resume", "auto")),
    "train --config": (TRAIN, ("--config", "some.toml")),
    "train --only": ((*TRAIN, "--seed", "0-1"), ("--only", 1)),
    "train --dry-run": (TRAIN, ("--dry-run",)),
    "sample --count": (("sample", "vanilla", "-o", "a.png"), ("-n", 3)),
    "sample --output": (("sample", "vanilla", "-n", 1), ("-o", "b.png")),
    "sample --seed": (("sample", "vanilla", "-n", 1, "-o", "a.png"), ("--seed", 5)),
    "sample --label": (("sample", "cgan", "-n", 1, "-o", "a.png"), ("--label", "b")),
    "sample --columns": (("sample", "vanilla", "-n", 4, "-o", "a.png"), ("--columns", 1)),
    "sample --walk": (("sample", "vanilla", "-n", 1, "-o", "a.webp"), ("--walk", 2)),
    "sample --fps": (("sample", "vanilla", "-n", 1, "-o", "a.gif", "--walk", 2), ("--fps", 5)),
    "sample --zoom": (("sample", "vanilla", "-n", 1, "-o", "a.png"), ("--zoom", 2)),
    "sample --compare": (("sample", "srgan", "-i", "pics/a/0.png", "-o", "large.png"), ("--compare",)),
    "sample --true": (
        ("sample", "srgan", "-i", "pics/a/0.png", "-o", "large.png", "--compare"),
        ("--true", "true.png"),
    ),
    "sample --levels": (("sample", "lapgan", "-n", 1, "-o", "a.png"), ("--levels",)),
    "sample --input": (("sample", "srgan", "-o", "large.png"), ("-i", "pics/a/0.png")),
    "sample --recursive": ((*ENLARGE,), ("--recursive",)),
    "sample --skip-existing": (("sample", "srgan", "-i", "pics/a", "-o", "done"), ("--skip-existing",)),
    "sample --truncation": (("sample", "vanilla", "-n", 1, "-o", "a.png"), ("--truncation", 0.1)),
    "sample --device": (("sample", "vanilla", "-n", 1, "-o", "a.png"), ("--device", "cuda:99")),
    "sample --json": (("sample", "vanilla", "-n", 1, "-o", "a.png"), ("--json",)),
    "evaluate --dataset": (MEASURE, ("--dataset", "more")),
    "evaluate --count": (MEASURE, ("-n", 12)),
    "evaluate --seed": (MEASURE, ("--seed", 3)),
    "evaluate --metrics": (MEASURE, ("--metrics", "nearest")),
    "evaluate --gan-train": (MEASURE, ("--gan-train",)),
    "evaluate --neighbours": (MEASURE, ("--neighbours", "near.png")),
    "evaluate --inception": (MEASURE, ("--inception", "some.toml")),
    "evaluate --low-res": (MEASURE, ("--low-res", "pics")),
    "evaluate --data-root": (MEASURE, ("--data-root", "here")),
    "evaluate --download": ((*MEASURE, "-d", "mnist"), ("--no-download",)),
    "evaluate --device": (MEASURE, ("--device", "cuda:99")),
    "evaluate --json": (MEASURE, ("--json",)),
    "export --output": (("export", "vanilla"), ("-o", "hub/")),
    "export --opset": (("export", "vanilla", "-o", "m.onnx"), ("--opset", 18)),
    "export --license": (("export", "vanilla", "-o", "hub/"), ("--license", "cc0-1.0")),
    "export --json": (("export", "vanilla", "-o", "hub/"), ("--json",)),
    "inspect --tensors": (("inspect", "vanilla"), ("--tensors",)),
    "inspect --verify": (("inspect", "vanilla"), ("--verify",)),
    "inspect --json": (("inspect", "vanilla"), ("--json",)),
    "report --output": (("report", "vanilla"), ("-o", "curves.svg")),
    "report --over": (("report", "vanilla", "-o", "curves.svg"), ("--over", "images")),
    "report --json": (("report", "vanilla"), ("--json",)),
    "variants --json": (("variants",), ("--json",)),
    "runs --sort": (("runs", "."), ("--sort", "-run")),
    "runs --watch": (("runs", "."), ("--watch",)),
    "runs --json": (("runs", "."), ("--json",)),
    "cache --data-root": (("cache",), ("--data-root", "elsewhere")),
    "cache --clear": (("cache", "--data-root", "root"), ("--clear",)),
    "cache --json": (("cache", "--data-root", "root"), ("--json",)),
}
ELSEWHERE = {  # what changes neither bytes nor words: how it is done, or how much memory it takes
    "train --graph", "train --compile", "train --deterministic", "train --threads", "sample --batch-size", "sample --tile",
}  # fmt: skip


TIMED = ("log.jsonl", "report.html")


def options_of(name: str) -> Iterator[str]:
    parsed: Any = typer.main.get_command(app)
    found = command("vanilla") if name == "train" else parsed.commands[name]
    for parameter in found.params:
        flags = [flag for flag in parameter.opts if flag.startswith("--")]
        if flags and flags[0] not in ("--help", "--install-completion", "--show-completion"):
            yield flags[0]


def test_every_option_of_every_command_has_a_trial() -> None:
    parsed: Any = typer.main.get_command(app)
    own = {field.flag for field in fields_of(catalogue.card("vanilla").config_class)}
    there = {f"{name} {flag}" for name in parsed.commands for flag in options_of(name) if flag not in own}
    assert there == set(SHOWN) | ELSEWHERE


def seen(outcome: Outcome, before: set[Path]) -> tuple[object, ...]:
    """How a command ended, what it said (but for times, speeds and where it is) and the files that it left."""
    said = (outcome.err + outcome.out).replace(str(Path.cwd()), "")
    words = re.sub(r"[\d.]+ ?k? ?images/s|\d+(\.\d+)? ?(s|m|MB|GB)\b|[\d.]+e?-?\d*", "", said)
    files = {
        str(path): "" if path.name in TIMED else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path().rglob("*"))
        if path.is_file() and path not in before and path.name not in ("config.toml", "metrics.jsonl")
    }
    return outcome.code, words, files


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a model of each kind is made, once."""
    return tmp_path_factory.mktemp("models")


def pictures(work: Path) -> None:
    for index in range(12):
        for name, level in (("pics", 20 * index), ("more", 255 - 9 * index), ("bad", 0)):
            path = work / name / "ab"[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), level).save(path)
    (work / "bad" / "a" / "12.png").write_bytes(b"no picture")
    Image.effect_noise((32, 32), 60).save(work / "true.png")


def laid_out(work: Path, models: Path, gan: Gan) -> None:
    """Pictures and models for a trial in the folder `work`."""
    pictures(work)
    (work / "some.toml").write_text("seed = 5\n")
    if not any(models.iterdir()):
        for variant in ("vanilla", "cgan", "lapgan"):
            made = gan("train", "-v", variant, "-d", work / "pics", *SMALL, "--steps", 4, "--out", models / variant)
            assert made.code == 0, made.err
        assert gan(*SRGAN, "-d", work / "pics", "--steps", 2, "--out", models / "srgan").code == 0
    shutil.copytree(models, work, dirs_exist_ok=True)


def no_internet(*_: object) -> None:
    raise DataError("fetched")


@pytest.mark.slow
@pytest.mark.parametrize("option", SHOWN)
def test_the_option_changes_something_or_is_refused(
    gan: Gan, option: str, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, words = SHOWN[option]
    monkeypatch.setattr(torchvision_sets, "fetch", no_internet)
    monkeypatch.setattr(classifier, "NUM_STEPS", 5)
    found = []
    for name, more in (("without", ()), ("with", words)):
        work = tmp_path / name
        laid_out(work, models, gan)
        monkeypatch.chdir(work)
        monkeypatch.setenv("GAN_DATA", str(work / "root"))
        if option == "sample --skip-existing":
            assert gan(*base).code == 0
        if option.startswith("cache"):
            assert gan(*TRAIN).code == 0
        before = set(Path().rglob("*"))
        found.append(seen(gan(*base, *more), before))
    assert found[0] != found[1]


def own_options() -> Iterator[Any]:
    for variant in catalogue.names():
        shared = {field.name for field in fields_of(RunConfig)}
        for field in fields_of(catalogue.card(variant).config_class):
            assert field.name not in shared
            yield pytest.param(variant, field.name, id=f"{variant} {field.flag}")


OTHER: dict[tuple[str, str], Words] = {  # where "a little more" is no other value, or needs company
    ("dcgan", "augment"): ("--augment", "cutout"),
    ("srgan", "scale"): ("--scale", 2),
    ("srgan", "vgg_weights"): ("--vgg-weights", "none.safetensors"),
    ("lapgan", "coarse_updates"): ("--coarse-updates", 2),
}
SMALLEST: dict[str, Words] = {
    "lapgan": ("--coarse-width", 16, "--coarse-d-width", 16, "--width", 8, "--batch-size", 48, "--latent-dim", 8),
    "srgan": ("--width", 4, "--blocks", 1, "--d-width", 4, "--pretrain-steps", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "name"), list(own_options()))
def test_a_variants_own_option_changes_the_model_or_is_refused(gan: Gan, variant: str, name: str) -> None:
    pictures(Path())
    (field,) = (f for f in fields_of(catalogue.card(variant).config_class) if f.name == name)
    base = (
        "train",
        "-v",
        variant,
        "-d",
        "pics",
        *TINY,
        *SMALLEST.get(variant, ("--width", 8, "--latent-dim", 8)),
        "--steps",
        5,
    )
    default: Any = catalogue.card(variant).config_class.presets["default"].get(name, field.default)
    if (words := OTHER.get((variant, name))) is None:
        value: object = next((choice for choice in field.choices if choice != default), None)
        if field.kind is bool:
            words = (field.flag if not default else f"--no-{field.flag[2:]}",)
        elif field.kind is float:
            value = 0.5 * float(default) or 0.25
        elif field.kind is int:
            value = (default or 2) + 1
        words = words or (field.flag, value)
    found = []
    for place, more in (("without", ()), ("with", words)):
        outcome = gan(*base, *more, "--out", place, "--progress", "none")
        model = Path(place, "ckpt.safetensors")
        found.append((outcome.code, model.read_bytes()[-4096:] if model.exists() else b""))
    assert found[0][0] == 0
    assert found[0] != found[1]


class Spy:
    """Calls what it stands for, and notes what `told` makes of the arguments."""

    def __init__(self, real: Callable[..., Any], told: Callable[..., object]) -> None:
        self.real, self.told, self.notes = real, told, list[object]()

    def __call__(self, *args: Any) -> Any:
        self.notes.append(self.told(*args))
        return self.real(*args)


def test_options_of_how_it_is_done_are_followed(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(Path())
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
    pictures(Path())
    drawn = Spy(draw.draw, lambda _variant, _generator, wanted, *_: len(wanted))
    monkeypatch.setattr(draw, "draw", drawn)
    assert gan("sample", trained, "-n", 40, "--batch-size", 16, "-o", "a.png").code == 0
    assert drawn.notes == [16, 16, 8]
    Image.new("L", (20, 20)).save("p.png")
    assert gan(*SRGAN, "-d", "pics", "--steps", 1).code == 0
    tiled = Spy(upscale.tiles, lambda _height, _width, side, _margin: side)
    monkeypatch.setattr(upscale, "tiles", tiled)
    assert gan("sample", "r", "-i", "p.png", "--tile", 7, "-o", "q.png").code == 0
    assert tiled.notes == [7]
