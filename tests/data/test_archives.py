"""CIFAR, STL-10 and SVHN out of files made here in the form of the real ones, and the table of where those lie."""

import dataclasses
import hashlib
import io
import pickle
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.data import cifar, remote, torchvision_sets
from gancli.data.mat import read_mat
from gancli.data.names import Split
from gancli.data.opening import open_source
from gancli.data.source import Source
from gancli.errors import DataError
from gancli.events import ignore


def opened(name: str, root: Path, split: Split = "train", size: int | None = None) -> Source:
    how: dict[str, Any] = {"image_size": size, "download": False, "on_bad_image": "fail", "split": split}
    return open_source(name, ignore, data_root=root, **how)


def python_2_batch(pixels: bytes, labels: list[int]) -> bytes:
    """A pickle as Python 2 and its NumPy wrote CIFAR: protocol 2, byte strings."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    shape = b"K" + bytes([len(labels)]) + b"M" + struct.pack("<H", 3072) + b"\x86"
    state = b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<I", len(pixels)) + pixels + b"tb"
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return b"\x80\x02}(U\x04data" + array + state + b"U\x06labels](" + numbers + b"eu."


def put(root: Path, which: remote.ArchiveSet, members: dict[str, bytes]) -> remote.ArchiveSet:
    """Write an archive of `members`, and give its table with their checksums."""
    with tarfile.open(root / which.archive.path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{which.folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return dataclasses.replace(which, md5={name: hashlib.md5(c).hexdigest() for name, c in members.items()})


def test_cifar_is_read_out_of_its_archive_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    names = pickle.dumps({b"label_names": [b"cat", b"dog"]}, 2)
    batch = python_2_batch(pixels.numpy().tobytes(), [1, 0])
    table = put(tmp_path, remote.CIFAR10, {"test_batch": batch, "batches.meta": names})
    reader = torchvision_sets._read_cifar("cifar10", table, {"test": ("test_batch",), "train": ()}, "batches.meta")
    monkeypatch.setitem(torchvision_sets.READERS, "cifar10", reader)
    source = opened("cifar10", tmp_path, "test")
    assert torch.equal(source.images, pixels)
    assert (source.labels.tolist(), source.class_names) == ([1, 0], ("cat", "dog"))
    (tmp_path / table.archive.path).unlink()
    assert torch.equal(opened("cifar10", tmp_path, "test").images, pixels), "it was cached"


def test_a_pickle_that_names_anything_else_is_refused() -> None:
    hostile = b"cos\nsystem\n(S'touch hacked'\ntR."
    with pytest.raises(DataError, match=r"it names os\.system"):
        cifar.read_batch(hostile, "data_batch_1")
    assert not Path("hacked").exists()


def test_stl10_pictures_stand_upright_and_labels_count_from_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upright = torch.zeros(1, 3, 96, 96, dtype=torch.uint8)
    upright[:, 0, 5] = 255  # a red row
    content = {"test_X.bin": upright.transpose(2, 3).contiguous().numpy().tobytes(), "test_y.bin": bytes([10])}
    monkeypatch.setattr(remote, "STL10", put(tmp_path, remote.STL10, content))
    source = opened("stl10", tmp_path, "test")
    assert torch.equal(source.images, upright)
    assert source.class_names[int(source.labels[0])] == "truck"
    assert opened("stl10", tmp_path, "test", 32).images.shape == (1, 3, 32, 32)


def test_a_damaged_member_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = put(tmp_path, remote.STL10, {"test_X.bin": bytes(96 * 96 * 3), "test_y.bin": b"\1"})
    wrong = dataclasses.replace(table, md5=table.md5 | {"test_y.bin": "0" * 32})  # type: ignore[operator]
    monkeypatch.setattr(remote, "STL10", wrong)
    with pytest.raises(DataError, match=r"damaged: stl10_binary/test_y\.bin"):
        opened("stl10", tmp_path, "test")
    archive = tmp_path / table.archive.path
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
        packed = zlib.compress(
            element(14, element(6, struct.pack("<II", 9, 0)) + sizes + short_name + element(2, values))
        )
        data += struct.pack("<II", 15, len(packed)) + packed
    return data


def test_svhn_is_read_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    columns_first = pixels.transpose(2, 3).contiguous().numpy().tobytes()
    data = matlab({"X": ((32, 32, 3, 4), columns_first), "y": ((4, 1), bytes([1, 10, 9, 5]))})
    (tmp_path / "test_32x32.mat").write_bytes(data)
    file = dataclasses.replace(remote.SVHN["test"], md5=hashlib.md5(data).hexdigest())
    monkeypatch.setattr(torchvision_sets, "SVHN", {"test": file})
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


@settings(deadline=2000)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_cifar_batch_or_one_error(content: bytes) -> None:
    with pytest.raises(DataError):
        cifar.read_batch(content, "x")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100", "svhn", "stl10"])
def test_without_files_or_download_the_error_says_what_to_put_where(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"--dataset {name}: .*--no-download is given; put .* into {tmp_path}"):
        opened(name, tmp_path)


def test_the_table_is_torchvisions() -> None:
    from torchvision import datasets

    idx: dict[str, Any] = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
    for name, theirs in idx.items():
        ours = [*remote.IDX_SETS[name].files["train"], *remote.IDX_SETS[name].files["test"]]
        assert [(Path(file.path).name, file.md5) for file in ours] == theirs.resources
        assert {Path(file.path).parts[0] for file in ours} == {theirs.__name__}
        assert ours[0].urls == tuple(f"{mirror}{theirs.resources[0][0]}" for mirror in theirs.mirrors)
    archives: list[tuple[remote.ArchiveSet, Any]] = [
        (remote.CIFAR10, datasets.CIFAR10),
        (remote.CIFAR100, datasets.CIFAR100),
        (remote.STL10, datasets.STL10),
    ]
    for archive, theirs in archives:
        where = (archive.archive.path, archive.archive.md5, archive.archive.urls, archive.folder)
        assert where == (theirs.filename, theirs.tgz_md5, (theirs.url,), theirs.base_folder)
        sums = dict([*theirs.train_list, *theirs.test_list])
        assert all(sums[name] == md5 for name, md5 in archive.md5.items() if name in sums)
    for split, file in remote.SVHN.items():
        assert [file.urls[0], file.path, file.md5] == datasets.SVHN.split_list[split]
