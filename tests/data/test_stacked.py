"""`stacked-mnist`: three digits in one picture, out of MNIST's files or of a few made up here."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.data.listing import Probe, probe
from gancli.data.names import Split
from gancli.data.opening import open_source
from gancli.data.source import Source
from gancli.data.stacked import COUNTS, apart, draws, together
from gancli.engine.choice import choose
from gancli.errors import DataError
from gancli.events import Event
from tests.conftest import heard
from tests.pictures import tiny_digits, write_idx, write_tiny_mnist


def opened(root: Path, split: Split = "train", name: str = "stacked-mnist", **how: Any) -> tuple[Source, list[Event]]:
    options: dict[str, Any] = {"image_size": None, "download": False, "on_bad_image": "fail"} | how
    return heard(open_source, name, data_root=root, split=split, **options)


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_channel_shows_the_digit_that_the_label_says(tmp_path: Path, split: Split) -> None:
    write_tiny_mnist(tmp_path)
    source, _ = opened(tmp_path, split)
    assert source.images.shape == ({"train": 128_000, "test": 26_000}[split], 3, 4, 4)
    names = [source.class_names[label] for label in source.labels[:500].tolist()]
    assert names == ["".join(map(str, digits)) for digits in tiny_digits(source.images[:500]).tolist()]
    assert torch.equal(together(tiny_digits(source.images)), source.labels)
    assert len(source.class_names) == 1000
    assert torch.bincount(source.labels, minlength=1000).min() > 0, "all modes are there"


def test_the_stacks_are_the_same_for_everybody(tmp_path: Path) -> None:
    assert draws(60_000, "train")[[0, -1]].tolist() == [[41454, 31288, 33590], [40155, 55796, 24187]]
    assert draws(10_000, "test")[[0, -1]].tolist() == [[4984, 1143, 5420], [9900, 45, 5175]]
    write_tiny_mnist(tmp_path)
    one, two = (opened(tmp_path, "test")[0] for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert one.fingerprint == two.fingerprint


def test_no_file_is_opened_to_choose_a_variant_for_stacks() -> None:
    assert probe("stacked-mnist") == Probe(coloured=True, side=28, square=True)
    assert choose({"dataset": "stacked-mnist"}, {}, None, None).variant == "dcgan"


def test_apart_undoes_together() -> None:
    pixels = torch.arange(2 * 3 * 4, dtype=torch.uint8).view(2, 3, 2, 2)
    pictures, digits = apart(pixels, torch.tensor([907, 42]))
    assert digits.tolist() == [9, 0, 7, 0, 4, 2]
    assert torch.equal(pictures[1], pixels[0, 1:2])
    assert torch.equal(pictures[5], pixels[1, 2:])
    assert together(digits.view(2, 3)).tolist() == [907, 42]


def test_stacks_come_in_other_sizes(tmp_path: Path) -> None:
    write_tiny_mnist(tmp_path)
    source, _ = opened(tmp_path, "test", image_size=8)
    assert source.images.shape == (26_000, 3, 8, 8)
    assert torch.equal(together(tiny_digits(source.images)), source.labels)


def test_without_files_or_download_the_error_names_the_data_set_asked_for(tmp_path: Path) -> None:
    wanted = rf"--dataset stacked-mnist: not in .* --no-download is given; put train-images.* into {tmp_path}/MNIST/raw"
    with pytest.raises(DataError, match=wanted):
        opened(tmp_path)


def test_mnists_files_are_held_to_their_checksum_and_to_each_other(tmp_path: Path) -> None:
    write_tiny_mnist(tmp_path)
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw / "train-labels-idx1-ubyte", torch.zeros(7, dtype=torch.uint8))
    with pytest.raises(DataError, match="the train images and labels do not fit each other"):
        opened(tmp_path)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: damaged"):
        opened(tmp_path)


def test_where_memory_is_short_the_stacks_are_a_map_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_mnist(tmp_path)
    plain, _ = opened(tmp_path, "test")
    assert not (tmp_path / "cache").exists(), "they are kept nowhere else"
    for module in ("gancli.data.cache", "gancli.data.stacked"):
        monkeypatch.setattr(f"{module}.is_too_large", lambda _: True)
    for _ in ("made", "found again"):
        mapped, _ = opened(tmp_path, "test")
        assert (mapped.mapped_file is not None, mapped.stacked) == (True, True)
        assert torch.equal(mapped.images, plain.images)
        assert mapped.fingerprint == plain.fingerprint
    assert len(list((tmp_path / "cache").glob("stacked-mnist-test-*.npy"))) == 1


def test_real_stacks_are_of_real_digits_and_reach_all_modes(mnist_root: Path) -> None:
    for split in COUNTS:
        (source, _), (mnist, _) = opened(mnist_root, split), opened(mnist_root, split, "mnist")
        assert source.images.shape == (COUNTS[split], 3, 28, 28)
        chosen = draws(len(mnist.images), split)
        for channel in range(3):
            some = chosen[::997, channel]
            assert torch.equal(source.images[::997, channel], mnist.images[some, 0])
            assert torch.equal(source.labels[::997] // 10 ** (2 - channel) % 10, mnist.labels[some])
        assert torch.bincount(source.labels, minlength=1000).min() > 0
