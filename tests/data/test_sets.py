"""Named data sets: drawn ones, and MNIST's files."""

import gzip
import shutil
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.data.idx import read_idx
from gancli.data.names import Split
from gancli.data.opening import open_source
from gancli.data.source import Source
from gancli.errors import DataError
from gancli.events import Event
from tests.conftest import heard


def opened(name: str, root: Path, split: Split = "train", **how: Any) -> tuple[Source, list[Event]]:
    options: dict[str, Any] = {"image_size": None, "download": False, "on_bad_image": "fail"} | how
    return heard(open_source, name, data_root=root, split=split, **options)


@pytest.mark.parametrize(("name", "shape"), [("digits", (1, 28, 28)), ("shapes", (3, 64, 64))])
def test_drawn_sets_are_labelled_and_varied(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    source, _ = opened(name, tmp_path, "test")
    assert source.images.shape[1:] == shape
    counts = torch.bincount(source.labels, minlength=10)
    assert len(counts) == len(source.class_names) == 10
    assert counts.min() > 0.07 * len(source.labels)
    assert len(torch.unique(source.images.flatten(1), dim=0)) == len(source.images), "no two pictures are the same"
    assert not list(tmp_path.iterdir())


def test_a_drawn_set_is_always_the_same_and_its_splits_differ(tmp_path: Path) -> None:
    first, again, test = (opened("digits", tmp_path, split)[0] for split in ("test", "test", "train"))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images[:100], test.images[:100])


def test_drawn_digits_are_white_on_black_and_centred(tmp_path: Path) -> None:
    images = opened("digits", tmp_path, "test")[0].images.float()
    assert images[:, :, 0].mean() < 5
    assert 15 < images.mean() < 60
    assert images.amax((1, 2, 3)).min() > 200


def test_drawn_sets_come_in_other_sizes(tmp_path: Path) -> None:
    assert opened("digits", tmp_path, "test", image_size=8)[0].images.shape == (4000, 1, 8, 8)
    assert opened("shapes", tmp_path, "test", image_size=16)[0].images.shape == (2000, 3, 16, 16)


def test_mnist_is_read_from_a_read_only_root_without_torchvision(mnist_root: Path) -> None:
    loaded = "torchvision" in sys.modules
    source, _ = opened("mnist", mnist_root)
    assert source.images.shape == (60_000, 1, 28, 28)
    assert torch.bincount(source.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert source.images.float().mean().div(255).item() == pytest.approx(0.1307, abs=1e-4)  # the known mean of MNIST
    assert ("torchvision" in sys.modules) == loaded


def test_mnist_can_be_resized(mnist_root: Path) -> None:
    assert opened("mnist", mnist_root, "test", image_size=32)[0].images.shape == (10_000, 1, 32, 32)


def test_a_damaged_mnist_file_is_named(mnist_root: Path, tmp_path: Path) -> None:
    shutil.copytree(mnist_root / "MNIST", tmp_path / "MNIST")
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: damaged"):
        opened("mnist", tmp_path, "test")


def test_a_host_that_fails_is_tried_again_and_the_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("HTTP Error 503")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("gancli.data.download.PAUSE_S", 0.0)
    with pytest.raises(DataError, match=r"503.*train-images-idx3-ubyte\.gz.* into .*MNIST/raw"):
        opened("mnist", tmp_path, download=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@settings(deadline=2000)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_an_idx_file_or_one_error(content: bytes, packed: bool) -> None:
    try:
        tensor = read_idx(gzip.compress(content) if packed else content, "x")
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way is right
    else:
        assert tensor.numel() <= len(content)


def test_an_idx_file_that_lies_about_its_size_is_refused() -> None:
    with pytest.raises(DataError, match="impossible size"):
        read_idx(b"\0\0\x08\x03" + (2**31).to_bytes(4, "big") * 3, "x")
    with pytest.raises(DataError, match="cut short"):
        read_idx(b"\0\0\x08\x01" + (100).to_bytes(4, "big") + b"x" * 99, "x")
