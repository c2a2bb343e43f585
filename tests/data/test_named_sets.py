"""Named datasets: generated ones, MNIST's files, and CIFAR, STL-10 and SVHN from files in the form of the real ones."""

import dataclasses
import gzip
import hashlib
import io
import pickle
import shutil
import struct
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gancli.data import named_sets
from gancli.data.dataset import Dataset
from gancli.data.listing import Probe, probe
from gancli.data.named_formats import read_cifar, read_idx, read_mat
from gancli.data.names import Split
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from gancli.data.stacked import COUNTS, choose_digits, digits_to_number, unstack
from gancli.engine.choice import choose
from gancli.errors import DataError
from gancli.events import ignore
from tests.conftest import SMALL, Gan
from tests.pictures import tiny_digits, write_idx, write_tiny_mnist


def opened(name: str, root: Path, split: Split = "train", image_size: int | None = None) -> Dataset:
    return open_dataset(name, DatasetOptions(root, image_size, split=split), ignore)


@pytest.mark.parametrize(("name", "shape"), [("digits", (1, 28, 28)), ("shapes", (3, 64, 64))])
def test_generated_sets_are_labelled_and_varied(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    source = opened(name, tmp_path, "test")
    assert source.images.shape[1:] == shape
    counts = torch.bincount(source.labels, minlength=10)
    assert len(counts) == len(source.class_names) == 10
    assert counts.min() > 0.07 * len(source.labels)
    assert len(torch.unique(source.images.flatten(1), dim=0)) == len(source.images), "no two images are equal"
    assert not list(tmp_path.iterdir())


def test_generated_digits_are_reproducible_white_on_black_and_of_any_size(tmp_path: Path) -> None:
    first, again, train = (opened("digits", tmp_path, split).images for split in ("test", "test", "train"))
    assert torch.equal(first, again)
    assert not torch.equal(first[:100], train[:100])
    images = first.float()
    assert images[:, :, 0].mean() < 5
    assert 15 < images.mean() < 60
    assert images.amax((1, 2, 3)).min() > 200
    assert opened("digits", tmp_path, "test", 8).images.shape == (4000, 1, 8, 8)


def test_a_note_says_that_a_folder_of_the_same_name_is_not_meant(gan: Gan) -> None:
    train = ("train", *SMALL, "-d", "digits", "--steps", 2)
    note = "note: --dataset digits: the dataset of that name; for the folder of this directory give -d ./digits"
    for out in ("digits", "digits", "other"):  # the run's own folder, new and resumed, and that of another run
        mine = gan(*train, "--out", out, "--resume", "auto")
        assert (mine.code, "the dataset of that name" in mine.err) == (0, False), mine.err
    shutil.rmtree("digits")
    Path("digits", "one").mkdir(parents=True)
    assert note not in gan(*train, "--out", "empty").err
    Image.new("L", (28, 28)).save("digits/one/1.png")
    named = gan(*train, "--out", "run")
    assert (named.code, named.err.count(note)) == (0, 1)


def test_mnist_is_read_from_a_read_only_root_without_torchvision(mnist_root: Path) -> None:
    loaded = "torchvision" in sys.modules
    source = opened("mnist", mnist_root)
    assert source.images.shape == (60_000, 1, 28, 28)
    assert torch.bincount(source.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert source.images.float().mean().div(255).item() == pytest.approx(0.1307, abs=1e-4)  # the known mean of MNIST
    assert ("torchvision" in sys.modules) == loaded
    assert opened("mnist", mnist_root, "test", 32).images.shape == (10_000, 1, 32, 32)


def test_a_damaged_mnist_file_is_named(mnist_root: Path, tmp_path: Path) -> None:
    shutil.copytree(mnist_root / "MNIST", tmp_path / "MNIST")
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: damaged"):
        opened("mnist", tmp_path, "test")


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
    for header in (b"\0\0\x08\x03" + (2**31).to_bytes(4, "big") * 3, b"\0\0\x08\x01" + (100).to_bytes(4, "big")):
        with pytest.raises(DataError, match="values, and it has 99"):
            read_idx(header + b"x" * 99, "x")


def python_2_batch(pixels: bytes, labels: list[int]) -> bytes:
    """A pickle as Python 2 and its NumPy wrote CIFAR: protocol 2, byte strings."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    shape = b"K" + bytes([len(labels)]) + b"M" + struct.pack("<H", 3072) + b"\x86"
    state = b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<I", len(pixels)) + pixels + b"tb"
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return b"\x80\x02}(U\x04data" + array + state + b"U\x06labels](" + numbers + b"eu."


def put(root: Path, name: str, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the files of a dataset, into its archive if it has one, whose path is returned; and set their checksums."""
    which = named_sets.REMOTE[name]
    if which.archive:
        with tarfile.open(root / which.archive, "w:gz") as tar:
            for file, content in files.items():
                info = tarfile.TarInfo(f"{which.folder}/{file}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    else:
        for file, content in files.items():
            (root / file).write_bytes(content)
    md5 = {file: hashlib.md5(content).hexdigest() for file, content in files.items()}
    monkeypatch.setattr(named_sets, "REMOTE", {name: dataclasses.replace(which, md5=md5)})
    return root / which.archive


def test_cifar_is_read_from_its_archive_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    names = pickle.dumps({b"label_names": [b"cat", b"dog"]}, 2)
    batch = python_2_batch(pixels.numpy().tobytes(), [1, 0])
    archive = put(tmp_path, "cifar10", {"test_batch": batch, "batches.meta": names}, monkeypatch)
    source = opened("cifar10", tmp_path, "test")
    assert torch.equal(source.images, pixels)
    assert (source.labels.tolist(), source.class_names) == ([1, 0], ("cat", "dog"))
    archive.unlink()
    assert torch.equal(opened("cifar10", tmp_path, "test").images, pixels), "it was cached"


def test_a_pickle_that_names_anything_else_is_refused() -> None:
    with pytest.raises(DataError, match=r"it names os\.system"):
        read_cifar(b"cos\nsystem\n(S'touch hacked'\ntR.", "data_batch_1")
    assert not Path("hacked").exists()


@settings(deadline=2000)
@given(st.binary(max_size=300))
def test_any_bytes_are_one_error_for_cifar(content: bytes) -> None:
    with pytest.raises(DataError):
        read_cifar(content, "x")


def test_stl10_images_are_upright_and_labels_start_at_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upright = torch.zeros(1, 3, 96, 96, dtype=torch.uint8)
    upright[:, 0, 5] = 255  # a red row
    content = {"test_X.bin": upright.transpose(2, 3).contiguous().numpy().tobytes(), "test_y.bin": bytes([10])}
    put(tmp_path, "stl10", content, monkeypatch)
    source = opened("stl10", tmp_path, "test")
    assert torch.equal(source.images, upright)
    assert source.class_names[int(source.labels[0])] == "truck"
    assert opened("stl10", tmp_path, "test", 32).images.shape == (1, 3, 32, 32)


def test_a_damaged_file_in_an_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = put(tmp_path, "stl10", {"test_X.bin": bytes(96 * 96 * 3), "test_y.bin": b"\1"}, monkeypatch)
    which = named_sets.REMOTE["stl10"]
    wrong = dataclasses.replace(which, md5={**which.md5, "test_y.bin": "0" * 32})
    monkeypatch.setattr(named_sets, "REMOTE", {"stl10": wrong})
    with pytest.raises(DataError, match=r"stl10_binary\.tar\.gz: damaged: the MD5 of test_y\.bin is not 0+;"):
        opened("stl10", tmp_path, "test")
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(DataError, match=r"stl10_binary\.tar\.gz: "):
        opened("stl10", tmp_path, "test")


def matlab(arrays: dict[str, tuple[tuple[int, ...], bytes]]) -> bytes:
    """A MATLAB 5 file of uint8 arrays, compressed as SVHN's are."""

    def element(kind: int, values: bytes) -> bytes:
        return struct.pack("<II", kind, len(values)) + values + bytes(-len(values) % 8)

    data = b"MATLAB 5.0".ljust(124) + b"\0\1IM"
    for name, (shape, values) in arrays.items():
        short_name = struct.pack("<HH", 1, len(name)) + name.encode().ljust(4, b"\0")
        sizes = element(5, struct.pack(f"<{len(shape)}i", *shape))
        matrix = element(14, element(6, struct.pack("<II", 9, 0)) + sizes + short_name + element(2, values))
        packed = zlib.compress(matrix)
        data += struct.pack("<II", 15, len(packed)) + packed
    return data


def test_svhn_is_read_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    columns_first = pixels.transpose(2, 3).contiguous().numpy().tobytes()
    data = matlab({"X": ((32, 32, 3, 4), columns_first), "y": ((4, 1), bytes([1, 10, 9, 5]))})
    put(tmp_path, "svhn", {"test_32x32.mat": data}, monkeypatch)
    source = opened("svhn", tmp_path, "test")
    assert torch.equal(source.images, pixels)
    assert source.labels.tolist() == [1, 0, 9, 5]  # MATLAB's tenth class is the digit 0


@settings(deadline=2000)
@given(st.data())
def test_a_mangled_matlab_file_is_read_or_one_error(data: st.DataObject) -> None:
    raw = bytearray(matlab({"X": ((2, 2, 3, 1), bytes(12)), "y": ((1, 1), b"\1")}))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(124, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_mat(bytes(raw), "x.mat")
    except DataError as error:
        assert "x.mat" in str(error)  # noqa: PT017 - either way is right


@pytest.mark.parametrize("name", ["mnist", "stacked-mnist", "cifar10", "cifar100", "svhn", "stl10"])
def test_without_files_or_download_the_error_says_what_to_put_where(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"--dataset {name}: .*--no-download is given; put .* into {tmp_path}"):
        opened(name, tmp_path)


def test_the_table_is_torchvisions() -> None:
    from torchvision import datasets

    idx: dict[str, Any] = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
    for name, theirs in idx.items():
        ours = named_sets.REMOTE[name]
        assert [*ours.md5.items()] == theirs.resources
        assert [*ours.splits["train"], *ours.splits["test"]] == [file for file, _ in theirs.resources]
        assert (ours.folder, ours.mirrors) == (f"{theirs.__name__}/raw", theirs.mirrors)
    archives: dict[str, Any] = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100, "stl10": datasets.STL10}
    for name, theirs in archives.items():
        ours = named_sets.REMOTE[name]
        where = (ours.archive, ours.md5[ours.archive], f"{ours.mirrors[0]}{ours.archive}", ours.folder)
        assert where == (theirs.filename, theirs.tgz_md5, theirs.url, theirs.base_folder)
        sums = dict([*theirs.train_list, *theirs.test_list])
        assert all(sums[file] == md5 for file, md5 in ours.md5.items() if file in sums)
    svhn = named_sets.REMOTE["svhn"]
    for split in ("train", "test"):
        (file,) = svhn.splits[split]
        assert [f"{svhn.mirrors[0]}{file}", file, svhn.md5[file]] == datasets.SVHN.split_list[split]


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_channel_of_a_stack_shows_the_digit_that_the_label_says(tmp_path: Path, split: Split) -> None:
    write_tiny_mnist(tmp_path)
    source = opened("stacked-mnist", tmp_path, split)
    assert source.images.shape == ({"train": 128_000, "test": 26_000}[split], 3, 4, 4)
    names = [source.class_names[label] for label in source.labels[:500].tolist()]
    assert names == ["".join(map(str, digits)) for digits in tiny_digits(source.images[:500]).tolist()]
    assert torch.equal(digits_to_number(tiny_digits(source.images)), source.labels)
    assert len(source.class_names) == 1000
    assert torch.bincount(source.labels, minlength=1000).min() > 0, "all modes occur"


def test_the_stacks_are_the_same_for_everybody_and_come_in_other_sizes(tmp_path: Path) -> None:
    assert choose_digits(60_000, "train")[[0, -1]].tolist() == [[41454, 31288, 33590], [40155, 55796, 24187]]
    assert choose_digits(10_000, "test")[[0, -1]].tolist() == [[4984, 1143, 5420], [9900, 45, 5175]]
    write_tiny_mnist(tmp_path)
    source = opened("stacked-mnist", tmp_path, "test", 8)
    assert source.images.shape == (26_000, 3, 8, 8)
    assert torch.equal(digits_to_number(tiny_digits(source.images)), source.labels)


def test_no_file_is_opened_to_choose_a_variant_for_stacks() -> None:
    assert probe("stacked-mnist") == Probe(coloured=True, side=28, square=True)
    assert choose({"dataset": "stacked-mnist"}, {}, None, None).variant == "dcgan"


def test_apart_undoes_together() -> None:
    pixels = torch.arange(2 * 3 * 4, dtype=torch.uint8).view(2, 3, 2, 2)
    images, digits = unstack(pixels, torch.tensor([907, 42]))
    assert digits.tolist() == [9, 0, 7, 0, 4, 2]
    assert torch.equal(images[1], pixels[0, 1:2])
    assert torch.equal(images[5], pixels[1, 2:])
    assert digits_to_number(digits.view(2, 3)).tolist() == [907, 42]


def test_mnists_files_are_checked_against_their_checksum_and_each_other(tmp_path: Path) -> None:
    write_tiny_mnist(tmp_path)
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw / "train-labels-idx1-ubyte", torch.zeros(7, dtype=torch.uint8))
    with pytest.raises(DataError, match="the train images and labels do not fit each other"):
        opened("stacked-mnist", tmp_path)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: damaged"):
        opened("stacked-mnist", tmp_path)


def test_stacks_too_large_for_memory_are_a_map_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_mnist(tmp_path)
    plain = opened("stacked-mnist", tmp_path, "test")
    assert not (tmp_path / "cache").exists(), "else they are not cached"
    for module in ("gancli.data.cache", "gancli.data.stacked"):
        monkeypatch.setattr(f"{module}.is_too_large", lambda _: True)
    for _ in ("made", "found again"):
        mapped = opened("stacked-mnist", tmp_path, "test")
        assert (mapped.mapped_file is not None, mapped.stacked) == (True, True)
        assert torch.equal(mapped.images, plain.images)
        assert mapped.fingerprint == plain.fingerprint
    assert len(list((tmp_path / "cache").glob("stacked-mnist-test-*.npy"))) == 1


def test_real_stacks_have_real_digits_and_all_modes(mnist_root: Path) -> None:
    for split in COUNTS:
        source, mnist = opened("stacked-mnist", mnist_root, split), opened("mnist", mnist_root, split)
        assert source.images.shape == (COUNTS[split], 3, 28, 28)
        chosen = choose_digits(len(mnist.images), split)
        for channel in range(3):
            some = chosen[::997, channel]
            assert torch.equal(source.images[::997, channel], mnist.images[some, 0])
            assert torch.equal(source.labels[::997] // 10 ** (2 - channel) % 10, mnist.labels[some])
        assert torch.bincount(source.labels, minlength=1000).min() > 0
