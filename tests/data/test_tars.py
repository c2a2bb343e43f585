"""Tars of pictures: folders that were packed, and shards as WebDataset names them."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.data.names import Split
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from gancli.data.photographs import open_photographs
from gancli.errors import DataError, UsageError
from gancli.events import Event, RateLimiter, ignore
from tests.conftest import SMALL, Gan
from tests.data.packed import (
    features,
    in_folder,
    in_parquet,
    in_tar,
    in_zip,
    member,
    opened,
    pets,
    png,
    rows,
    samples,
    tar_of,
)

NUMBERS, NAMES = {"cat": "0", "dog": "1"}, {"cat": "cat", "dog": "dog"}


def sharded(folder: Path, files: dict[str, bytes], per_shard: int = 4) -> Path:
    names = list(files)
    for index, start in enumerate(range(0, len(names), per_shard)):
        in_tar(folder / f"pets-{index:06d}.tar", {name: files[name] for name in names[start : start + per_shard]})
    return folder


def test_folder_zip_tar_and_parquet_give_the_same(tmp_path: Path) -> None:
    files, places = pets(), [in_folder(tmp_path / "a" / "pets", pets()), in_zip(tmp_path / "pets.zip", pets())]
    places += [in_tar(tmp_path / f"pets{suffix}", files) for suffix in (".tar", ".tar.gz", ".tgz")]
    places += [in_tar(tmp_path / "b" / "pets.tar", samples(files, ".txt", NAMES))]
    places += [sharded(tmp_path / "pets", files), sharded(tmp_path / "c" / "pets", samples(files, ".txt", NAMES))]
    places += [tmp_path / "pets" / "pets-{000000..000001}.tar", tmp_path / "pets" / "pets*.tar"]
    places += [in_parquet(tmp_path / "pets.parquet", rows(files), features(image=None, label=["cat", "dog"]))]
    found = [opened(path) for path in places]
    expected = found[0][0]
    assert (expected.class_names, expected.labels.tolist()) == (("cat", "dog"), [0, 0, 0, 1, 1, 1])
    for path, (source, told) in zip(places, found, strict=True):
        assert torch.equal(source.images, expected.images), path
        assert (source.fingerprint, source.name, told) == (expected.fingerprint, "pets", []), path


def test_splits_are_those_of_a_folder_in_tars_and_parquet_files(tmp_path: Path) -> None:
    files = pets("train/", "test/")
    inside = {
        split: {n.removeprefix(f"{split}/"): c for n, c in files.items() if n.startswith(split)}
        for split in ("train", "test")
    }
    places = [in_folder(tmp_path / "a", files), in_tar(tmp_path / "b.tar", files)]
    for split, own in inside.items():
        in_tar(
            tmp_path / "c" / "data" / f"pets-{split}-000000.tar",
            samples(own, ".json", {n: f'{{"label_name": "{n}"}}' for n in NAMES}),
        )
        in_tar(tmp_path / "d" / split / "00000.tar", own)
        hub = rows(own), features(image=None, label=["cat", "dog"])
        in_parquet(
            tmp_path / "e" / "data" / f"{'validation' if split == 'test' else split}-00000-of-00001.parquet", *hub
        )
        in_parquet(tmp_path / "f" / "default" / split / "0000.parquet", *hub)
    splits: tuple[Split, Split] = ("train", "test")
    for split in splits:
        expected, _ = opened(places[0], split)
        for path in (places[1], *(tmp_path / name for name in "cdef")):
            source, told = opened(path, split)
            assert (source.fingerprint, source.class_names, told) == (expected.fingerprint, ("cat", "dog"), []), path


@pytest.mark.parametrize(
    ("ending", "labels", "names"),
    [
        (".cls", NUMBERS, ("0", "1")),
        (".CLS", {"cat": " 10\n", "dog": "2"}, ("2", "10")),
        (".json", {"cat": '{"label": 3}', "dog": '{"label": 1, "caption": "x"}'}, ("1", "3")),
        (".json", {"cat": '{"cls": 0, "class_name": "cat"}', "dog": '{"cls": 1, "class_name": "dog"}'}, ("cat", "dog")),
        (".txt", NAMES, ("cat", "dog")),
    ],
)
def test_labels_lie_beside_the_pictures(
    ending: str, labels: dict[str, str], names: tuple[str, ...], tmp_path: Path
) -> None:
    source, told = opened(in_tar(tmp_path / "a.tar", samples(pets(), ending, labels)))
    assert (source.class_names, told) == (names, [])
    assert len(set(source.labels[:3].tolist())) == len(set(source.labels[3:].tolist())) == 1


@pytest.mark.parametrize(
    ("caption", "notes"),
    [("image {}", ["no classes: 6 .txt next to images have 6 different contents"]), ("many\nlines", [])],
)
def test_captions_are_no_classes(caption: str, notes: list[str], tmp_path: Path) -> None:
    files = {f"{n}.png": png(n) for n in range(6)} | {f"{n}.txt": caption.format(n).encode() for n in range(6)}
    source, told = opened(in_tar(tmp_path / "a.tar", files))
    assert (source.class_names, told) == ((), notes)


def test_a_picture_without_a_label_beside_others_is_named(tmp_path: Path) -> None:
    files = samples(pets(), ".cls", NUMBERS)
    del files["000002.cls"]
    path = in_tar(tmp_path / "a.tar", files)
    with pytest.raises(DataError, match=r"1 of 6 images have no label next to them \(\.cls\).*\(000002\.png\).*skip"):
        opened(path)
    source, told = opened(path, bad="skip")
    assert (source.labels.tolist(), len(told)) == ([0, 0, 1, 1, 1], 1)
    with pytest.raises(DataError, match=r"000002\.cls cannot be used \('cat', not a class number\)"):
        opened(in_tar(tmp_path / "b.tar", {**files, "000002.cls": b"cat"}))


def test_of_a_sample_with_a_mask_the_picture_is_taken(tmp_path: Path) -> None:
    files = samples(pets(), ".cls", NUMBERS)
    source, told = opened(in_tar(tmp_path / "a.tar", {**files, "000000.mask.png": png(255)}))
    assert len(source.images) == 6
    assert told == ["1 image left out: next to another of the same key (000000.mask.png)"]
    folder = {"1.png": png(1), "1.edited.png": png(2)}
    assert len(opened(in_tar(tmp_path / "b.tar", folder))[0].images) == 2


def test_shards_whose_keys_begin_anew_hold_different_pictures(tmp_path: Path) -> None:
    for shard in range(3):
        in_tar(tmp_path / "set" / f"{shard}.tar", {"0.png": png(shard), "0.cls": str(shard % 2).encode()})
    source, told = opened(tmp_path / "set")
    assert (source.labels.tolist(), told) == ([0, 1, 0], [])
    assert source.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_tars_that_differ_by_more_than_a_number_are_as_folders(tmp_path: Path) -> None:
    for index, pet in enumerate(("cat", "dog")):
        in_tar(tmp_path / "set" / f"{pet}.tar", {f"{n}.png": png(40 * index + n) for n in range(2)})
    source, _ = opened(tmp_path / "set")
    assert (source.class_names, source.labels.tolist()) == (("cat", "dog"), [0, 0, 1, 1])


def test_what_a_file_is_shows_in_its_first_bytes_where_its_name_does_not_tell(tmp_path: Path) -> None:
    in_tar(tmp_path / "a.tar", pets()).rename(tmp_path / "tar")
    in_parquet(tmp_path / "a.parquet", rows(pets())).rename(tmp_path / "parquet")
    in_zip(tmp_path / "a.zip", {**pets(), "inner.tar": (tmp_path / "tar").read_bytes()}).rename(tmp_path / "zip")
    for name in ("tar", "parquet", "zip"):
        assert len(opened(tmp_path / name)[0].images) == 6


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_odd_names_are_read_in_every_kind_of_tar(kind: int, tmp_path: Path) -> None:
    names = [f"{'deep/' * 30}{'é' if kind != tarfile.USTAR_FORMAT else 'e'}{n}/a b.png" for n in range(2)]
    source, _ = opened(in_tar(tmp_path / "a b\u00e9.tar", {name: png(3) for name in names}, kind))
    assert len(source.class_names) == 2


def test_a_pattern_s_folder_may_have_any_name(tmp_path: Path) -> None:
    place = tmp_path / "data [old] {1,2}"
    sharded(place, pets())
    for pattern in ("*.tar", "pets-{000000..000001}.tar", "pets-00000[0-1].tar", "pets-00000?.tar"):
        assert len(opened(place / pattern)[0].images) == 6
    with pytest.raises(UsageError, match="did you mean"):
        opened(place / "pets-000000.ta")


def test_a_missing_shard_and_a_pattern_of_nothing_are_one_line(tmp_path: Path) -> None:
    sharded(tmp_path, pets())
    with pytest.raises(DataError, match=r"1 of 3 files are missing: .*pets-000002\.tar"):
        opened(tmp_path / "pets-{000000..000002}.tar")
    with pytest.raises(UsageError, match="no file matches the pattern"):
        opened(tmp_path / "dogs-*.tar")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(DataError, match=r"several files must be all tar or all Parquet .*notes\.txt"):
        opened(tmp_path / "*")


def test_a_folder_of_pictures_stays_one_and_tells_of_its_archives(tmp_path: Path) -> None:
    in_folder(tmp_path / "set", pets())
    in_tar(tmp_path / "set" / "original.tar.gz", pets())
    source, told = opened(tmp_path / "set")
    assert len(source.images) == 6
    assert told == [
        "1 archive skipped: name it with --dataset to read it, and unpack it if it is in another (original.tar.gz)"
    ]


GOOD, HOLES = member("a.png", png(1)), {"GNU.sparse.major": "1"}
HOSTILE = {
    "links": (GOOD, *(member(f"{k}.png", type=k.encode(), linkname="/etc/passwd") for k in "12346")),
    "outside": (GOOD, member("../../b.png", png(2)), member("x/../c.png", png(2)), member("y/" * 200 + "c.png", png(2))),
    "sparse": (GOOD, member("b.png", png(2), type=b"S"), member("c.png", png(2), tarfile.PAX_FORMAT, pax_headers=HOLES)),
    "twice": (member("a.png", png(9)), GOOD),
    "nested": (GOOD, member("in.tar", GOOD), member("in.zip", b"PK")),
    "no-text": (member("a\udcff.png", png(1)),),
}  # fmt: skip
DAMAGED = {
    "cut": (GOOD, member("b.png", png(2) * 90)[:-4000]),
    "huge-base-256": (GOOD, member("b.png", png(2), size=2**60)),
    "size-below-zero": (GOOD, member("b.png", png(2), tarfile.PAX_FORMAT, pax_headers={"size": "-512"})),
    "pax-bomb": (GOOD, member("x", b"", type=b"x", size=8**11 - 1)),
    "pax-long": (GOOD, member("x", b"1" * (1 << 17), type=b"x")),
    "sparse-below-zero": (GOOD, member("b.png", png(2), type=b"S", size=-1024)),
    "checksum": (GOOD, member("b.png", png(2)).replace(b"b.png", b"c.png", 1)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_plain_file_of_its_own_is_passed_over_and_told(name: str, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", *HOSTILE[name])
    source, told = opened(path)
    assert source.images[:, 0, 0, 0].tolist() == [1]
    assert len(told) == (name != "no-text")
    assert all(line.isprintable() for line in told)
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.tar", "root"}


@pytest.mark.parametrize("name", [*DAMAGED, "gzip-cut"])
def test_a_damaged_tar_is_one_line_or_read_up_to_the_damage(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    if name == "gzip-cut":
        files = {"a.png": png(1), **{f"{n}.png": png(n) + os.urandom(2000) for n in range(2)}}
        path.write_bytes(in_tar(tmp_path / "whole" / "a.tgz", files).read_bytes()[:-2500])
    else:
        tar_of(path, *DAMAGED[name])
    with pytest.raises(
        DataError, match=r"a\.tar: cannot be read as a tar \(.*; --on-bad-image skip takes what is before"
    ):
        opened(path)
    source, told = opened(path, bad="skip")
    assert source.images[:, 0, 0, 0].tolist()[-1:] == [1]
    assert "read up to the damage" in told[0]


@pytest.mark.parametrize("bad", ["fail", "skip"])
@pytest.mark.parametrize("content", [b"", b"hello" * 500, bytes(1024), b"\x1f\x8b" + bytes(50)], ids=range(4))
def test_what_is_no_tar_is_one_line(content: bytes, bad: Any, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar: (cannot be read as a tar|holds no images)"):
        opened(tmp_path / "a.tar", bad=bad)


def test_the_order_in_an_archive_is_that_of_names_and_what_cannot_be_read_leaves_no_gap(tmp_path: Path) -> None:
    files = {f"{n}.png": png(n)[:-30] if n % 3 == 0 else png(n) for n in (5, 8, 1, 0, 7, 3, 2, 6, 4)}
    places = [in_folder(tmp_path / "a", files), in_zip(tmp_path / "a.zip", files), in_tar(tmp_path / "a.tgz", files)]
    places.append(in_parquet(tmp_path / "a.parquet", {"image": [files[name] for name in sorted(files)]}))
    for path in places:
        assert opened(path, bad="skip")[0].images[:, 0, 0, 0].tolist() == [1, 2, 4, 5, 7, 8]
    photographs = [open_photographs(str(p), DatasetOptions(tmp_path, 8, on_bad_image="skip"), ignore) for p in places]
    assert len({one.fingerprint for one in photographs}) == 1
    assert [int(photographs[3].image(index)[0, 0, 0]) for index in range(6)] == [1, 2, 4, 5, 7, 8]


def test_another_tar_of_the_same_name_is_other_data(tmp_path: Path) -> None:
    for value in (1, 2):
        path = tar_of(tmp_path / "a.tar", member("a.png", png(value)))
        os.utime(path, ns=(value, value))
        assert opened(path)[0].images[0, 0, 0, 0] == value


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet"])
def test_an_error_of_the_callback_is_not_taken_for_damage(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Event) -> None:
        raise OSError("stop")

    monkeypatch.setattr(RateLimiter, "due", lambda _: True)
    make: dict[str, Callable[[], Path]] = {
        "folder": lambda: in_folder(tmp_path / "a", pets()),
        "tar": lambda: in_tar(tmp_path / "a.tar", pets()),
        "parquet": lambda: in_parquet(tmp_path / "a.parquet", rows(pets())),
    }
    options = DatasetOptions(tmp_path / "root", 8, on_bad_image="skip")
    with pytest.raises(OSError, match=r"^stop$"):
        open_dataset(str(make[kind]()), options, stop)


def test_a_run_trains_on_shards_by_a_pattern_and_goes_on_from_elsewhere(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded(tmp_path / "set", samples(pets(), ".cls", NUMBERS))
    monkeypatch.chdir(tmp_path)
    outcome = gan("train", "-v", "cgan", "-d", "set/pets-{000000..000002}.tar", *SMALL, "--steps", "2")
    assert outcome.code == 0, outcome
    run = tmp_path / "runs" / "cgan-pets-001"
    monkeypatch.chdir("/")
    assert gan("train", "--resume", run, "--steps", "3").code == 0
    assert gan("sample", run, "--label", "1", "-n", "2", "-o", tmp_path / "grid.png").code == 0
    assert "too few to measure with" in gan("evaluate", run, "-n", "12").err  # it knows where the shards lie
