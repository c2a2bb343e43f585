"""`gan datasets`, and names that people look for."""

import json
from pathlib import Path

import pytest

from gancli.data.drawn import DRAWN_SETS
from gancli.data.names import TORCHVISION, own_size, source_names
from gancli.data.overview import ELSEWHERE, NAMED_SETS
from tests.conftest import Gan


def test_datasets_are_listed_with_what_the_data_root_has(gan: Gan, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (raw / name).touch()
    (tmp_path / "cifar-10-batches-py").mkdir()
    found = json.loads(gan("datasets", "--data-root", tmp_path, "--json").out)
    rows = {row["name"]: row for row in found["datasets"]}
    assert tuple(rows) == source_names()
    assert {name: row["status"] for name, row in rows.items() if row["status"] != "not downloaded"} == {
        "digits": "generated", "shapes": "generated", "leaves": "generated", "mnist": "incomplete", "cifar10": "downloaded",
        "stacked-mnist": "incomplete",
    }  # fmt: skip
    (raw / "t10k-labels-idx1-ubyte").touch()  # unpacked
    done = gan("datasets", "--data-root", tmp_path)
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if line.startswith("mnist ")]
    assert line.split()[:7] == ["mnist", "28×28", "grey", "60,000", "10,000", "10", "12"]
    assert "downloaded" in line
    assert str(tmp_path) in done.out


def test_what_is_listed_is_so() -> None:
    for name, drawn in DRAWN_SETS.items():
        row = NAMED_SETS[name]
        counts = tuple(drawn.at_size(count, drawn.size) for count in drawn.counts.values())
        assert (row.num_train, row.num_test, row.num_classes, row.size) == (*counts, len(drawn.class_names), drawn.size)
    assert all(row.size == own_size(name) for name, row in NAMED_SETS.items())
    assert all(NAMED_SETS[name].download_bytes > 10**7 for name in TORCHVISION)


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
