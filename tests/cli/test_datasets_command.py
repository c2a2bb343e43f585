"""`gan datasets`, and names that people look for."""

import json
from pathlib import Path

import pytest

from gancli.data.generated import GENERATED_SETS
from gancli.data.named_sets import REMOTE
from gancli.data.names import TORCHVISION, dataset_names
from gancli.data.overview import ELSEWHERE, NAMED_SETS
from tests.conftest import Gan


def test_datasets_are_listed_with_what_the_data_root_has(gan: Gan, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (raw / name).touch()
    (tmp_path / "cifar-10-python.tar.gz").touch()
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / name).touch()
    (tmp_path / "train_32x32.mat").touch()
    found = json.loads(gan("datasets", "--data-root", tmp_path, "--json").out)
    rows = {row["name"]: row for row in found["datasets"]}
    assert tuple(rows) == dataset_names()
    assert {name: row["status"] for name, row in rows.items() if row["status"] != "not downloaded"} == {
        "digits": "generated", "shapes": "generated", "leaves": "generated", "mnist": "incomplete", "cifar10": "downloaded",
        "cifar100": "downloaded", "svhn": "incomplete", "stacked-mnist": "incomplete",
    }  # fmt: skip
    (raw / "t10k-labels-idx1-ubyte").touch()  # unpacked
    done = gan("datasets", "--data-root", tmp_path)
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if line.startswith("mnist ")]
    assert line.split()[:6] == ["mnist", "28×28", "grey", "60,000", "10,000", "10"]
    assert "downloaded" in line
    assert str(tmp_path) in done.out


def test_what_is_listed_is_so() -> None:
    for name, generated in GENERATED_SETS.items():
        row = NAMED_SETS[name]
        counts = tuple(generated.count_at_size(count, generated.size) for count in generated.counts.values())
        assert (row.num_train, row.num_test, row.num_classes, row.size) == (
            *counts,
            len(generated.class_names),
            generated.size,
        )
    for name in TORCHVISION:
        for file, address in NAMED_SETS[name].downloads.items():
            assert Path(file).name in REMOTE[name].md5
            assert address.endswith(f"/{Path(file).name}")


@pytest.mark.parametrize(
    "name", ["celeba", "CelebA", "lsun", "lsun-church", "ffhq-256", "AFHQ", "imagenet", "tiny-imagenet", "flowers102"]
)
def test_a_name_that_people_look_for_is_answered_with_the_way_to_have_it(name: str, gan: Gan) -> None:
    done = gan("train", "-d", name, "--steps", 1)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"--dataset {name}: no dataset of gan; use a folder of its images, or -d hf:" in done.err


def test_repositories_are_names_of_repositories() -> None:
    from gancli.files.hub import parse

    for repository in ELSEWHERE.values():
        assert parse(f"hf:{repository}", "-d").repo == repository
