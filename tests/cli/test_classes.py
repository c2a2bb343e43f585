"""Classes from folders to pictures: what was learnt, drawn, written and measured is the class that the user meant."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.metrics import classifier
from gancli.store.checkpoint import load_model, save
from tests.conftest import TINY, Gan

ODD = ("10", "9", "a,b", " x ", "new\nline", os.fsdecode(b"caf\xe9"))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "NUM_STEPS", 60)
    torch.set_num_threads(1)


def shaded(folder: Path, shade: int, count: int = 24) -> None:
    """Pictures of nearly one shade of grey, all different."""
    folder.mkdir(parents=True)
    rng = torch.Generator().manual_seed(shade)
    for index in range(count):
        noise = torch.randint(0, 8, (8, 8), generator=rng)
        Image.frombytes("L", (8, 8), (noise + shade).byte().numpy().tobytes()).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def odd_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cgan run on classes of odd names."""
    from gancli.cli.app import main

    place = tmp_path_factory.mktemp("odd")
    try:
        for number, name in enumerate(ODD):
            shaded(place / "pics" / name, 40 * number, 4)
    except OSError as error:
        pytest.skip(f"this disk cannot hold such names: {error}")
    args = ("train", "-v", "cgan", "-d", place / "pics", *TINY, "--width", 8, "--steps", 2, "--out", place / "run")
    assert main([str(arg) for arg in args]) == 0
    return place / "run"


def test_odd_class_names_go_through_every_command(gan: Gan, odd_run: Path) -> None:
    told = json.loads(gan("inspect", odd_run, "--json").out)["images"]["class_names"]
    shown_as = {
        name: name.replace("\udce9", r"\xe9") for name in ODD
    }  # a byte that is no character cannot stand in JSON
    assert sorted(told) == sorted(shown_as.values())
    told = [name for each in told for name in ODD if shown_as[name] == each]
    assert told.index("9") < told.index("10")
    shown = gan("inspect", odd_run)
    assert shown.code == 0
    assert r"caf\xe9" in shown.out
    assert gan("sample", odd_run, "-l", r"caf\xe9", "-n", 1, "-o", "two.npz").code == 0
    for name in ODD:
        outcome = gan("sample", odd_run, "-l", name, "-n", 1, "-o", "one.npz")
        assert outcome.code == 0, outcome.err
        drawn = np.load("one.npz")
        assert str(drawn["class_names"][drawn["labels"][0]]) == name
    both = gan("sample", odd_run, "-l", ODD[-1], "-l", "9,10", "-n", 3, "-o", "three.npz")
    assert both.code == 0
    assert [told[label] for label in np.load("three.npz")["labels"]] == [ODD[-1], "9", "10"]
    assert gan("train", "--resume", odd_run, "--steps", 4).code == 0


def test_files_are_named_by_class(gan: Gan, odd_run: Path, tmp_path: Path) -> None:
    outcome = gan("sample", odd_run, "-n", len(ODD), "-o", "all/", "--json")
    assert outcome.code == 0, outcome.err
    files = json.loads(outcome.out)["files"]
    assert len(files) == len(ODD) == len(list((tmp_path / "all").iterdir()))
    assert (tmp_path / "all" / "seed-000000-label-9.png").exists()
    assert (tmp_path / "all" / "seed-000001-label-10.png").exists()
    texts = {Path(file).name: Image.open(file).text["label"] for file in files}  # type: ignore[attr-defined]
    assert texts["seed-000003-label-caf.png"] == r"caf\xe9"
    assert texts["seed-000005-label-x.png"] == " x "


def test_odd_class_names_have_captions(gan: Gan, odd_run: Path) -> None:
    outcome = gan("sample", odd_run, "-n", len(ODD), "--captions", "-o", "grid.png")
    assert outcome.code == 0, outcome.err
    with Image.open("grid.png") as image:
        assert image.width > len(ODD) * 8


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pictures of three shades in a train and a test split, and a tiny cgan run on them."""
    from gancli.cli.app import main

    place = tmp_path_factory.mktemp("shades")
    for name, shade in (("dark", 10), ("grey", 120), ("light", 230)):
        shaded(place / "set" / "train" / name, shade)
        shaded(place / "set" / "test" / name, shade + 9)
    args = ("train", "-v", "cgan", "-d", place / "set", *TINY, "--width", 8, "--steps", 2, "--out", place / "run")
    assert main([str(arg) for arg in args]) == 0
    return place / "set", place / "run"


def evaluated(gan: Gan, run: Path, data: Path, *args: object) -> tuple[dict[str, float], str]:
    """What real pictures score, and stderr."""
    outcome = gan("evaluate", run, "-d", data, "-n", 20, "--metrics", "labels,modes", "--json", *args)
    assert outcome.code == 0, outcome.err
    figures = json.loads(outcome.out)["checkpoints"][0]["figures"]
    return {f["name"]: f["real"]["value"] for f in figures if f["real"] is not None}, outcome.err


def test_a_test_split_without_a_class_does_not_number_its_own(
    gan: Gan, shades: tuple[Path, Path], tmp_path: Path
) -> None:
    data, run = shades
    assert evaluated(gan, run, data)[0]["gan-test"] == 100
    shutil.copytree(data, tmp_path / "set")
    shutil.rmtree(tmp_path / "set" / "test" / "dark")
    shaded(tmp_path / "set" / "test" / "unseen", 60)
    real, err = evaluated(gan, run, tmp_path / "set")
    assert real["gan-test"] == 100
    assert err.count("warning: the test split has no images of 1 of 3 classes (dark)") == 1
    assert err.count("warning: 24 images left out: of the test split, not in a class of the train split") == 1


def test_a_test_split_without_labels_measures_without_them(gan: Gan, shades: tuple[Path, Path], tmp_path: Path) -> None:
    data, run = shades
    shutil.copytree(data / "train", tmp_path / "set" / "train")
    shaded(tmp_path / "set" / "val", 10)
    real, _ = evaluated(gan, run, tmp_path / "set")
    assert "gan-test" not in real
    assert real["classes found"] > 0
    refused = gan("evaluate", run, "-d", tmp_path / "set", "-n", 20, "--gan-train")
    assert refused.code == 2
    assert "--gan-train: the test images of" in refused.err


def test_classes_of_the_model_and_of_the_data_are_matched_by_name(
    gan: Gan, shades: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = shades
    model = load_model(run / "ckpt.safetensors")
    other = dataclasses.replace(
        model.facts.images, class_names=("Light", "grey", "dark")
    )  # as an older one may have them
    weights = {f"generator.{name}": tensor for name, tensor in model.variant.generator.state_dict().items()}
    save(tmp_path / "other.safetensors", weights, dataclasses.replace(model.facts, images=other))

    def perfect(*_: object) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures that are exactly what was asked of `other`."""
        shade = torch.tensor([233, 123, 13]).repeat(7)
        return shade.byte().view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous(), torch.arange(3).repeat(7)

    monkeypatch.setattr("gancli.metrics.compare._generate", perfect)
    outcome = gan("evaluate", tmp_path / "other.safetensors", "-d", data, "-n", 20, "--metrics", "labels", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["checkpoints"][0]["figures"][0]["model"]["value"] == 100
    shutil.copytree(data / "train", tmp_path / "set")
    (tmp_path / "set" / "dark").rename(tmp_path / "set" / "black")
    refused = gan("evaluate", run, "-d", tmp_path / "set", "-n", 20)
    assert refused.code == 2
    assert "lacks classes that the model generates: dark; it has black, grey, light" in refused.err
