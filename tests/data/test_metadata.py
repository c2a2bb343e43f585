"""Labels in `metadata.csv` or `metadata.jsonl`, as hubs lay them out; and Git LFS pointers in place of files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gancli.errors import DataError
from tests.conftest import Gan
from tests.data.packed import Files, in_folder, in_tar, in_zip, opened, pets, png

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
FLAT = {f"{n}.png": png(n) for n in range(6)}
Rows = list[dict[str, Any]]


def in_csv(rows: Rows) -> bytes:
    names = list(rows[0])
    lines = [",".join(names), *(",".join("" if row[n] is None else str(row[n]) for n in names) for row in rows)]
    return "\ufeff".encode() + "\r\n".join(lines).encode()


def in_jsonl(rows: Rows) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


WRITERS = {"metadata.csv": in_csv, "metadata.jsonl": in_jsonl}


def labelled(values: list[Any], prefix: str = "", column: str = "label") -> Rows:
    return [{"file_name": f"{prefix}{n}.png", "text": "a caption", column: value} for n, value in enumerate(values)]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("values", "names"),
    [(["dog", "cat"], ("cat", "dog")), ([10, 2], ("2", "10")), ([1.0, 0.0], ("0", "1"))],
    ids=["text", "numbers", "whole floats"],
)
@pytest.mark.parametrize(("packed", "ending"), [(in_folder, ""), (in_zip, ".zip"), (in_tar, ".tar")])
def test_metadata_has_the_labels(
    packed: Callable[[Path, Files], Path],
    ending: str,
    values: list[Any],
    names: tuple[str, ...],
    name: str,
    tmp_path: Path,
) -> None:
    files = {**FLAT, name: WRITERS[name](labelled(values * 3))}
    source, said = opened(packed(tmp_path / f"set{ending}", files))
    assert (source.class_names, source.labels.tolist(), said) == (names, [1, 0, 1, 0, 1, 0], [])


@pytest.mark.parametrize("at_top", [False, True])
def test_each_split_has_its_labels_in_its_metadata_or_in_that_of_the_whole(at_top: bool, tmp_path: Path) -> None:
    splits = {"train": ["cat", "dog"] * 3, "test": ["dog", "cat"] * 3}
    files = {f"{split}/{name}": content for split in splits for name, content in FLAT.items()}
    if at_top:
        files["metadata.csv"] = in_csv([r for split, values in splits.items() for r in labelled(values, f"{split}/")])
    else:
        files |= {f"{split}/metadata.csv": in_csv(labelled(values)) for split, values in splits.items()}
    path = in_folder(tmp_path / "set", files)
    found = {split: opened(path, split) for split in ("train", "test")}
    assert [source.labels.tolist() for source, _ in found.values()] == [[0, 1] * 3, [1, 0] * 3]
    assert [said for _, said in found.values()] == [[], []]


def test_missing_labels_and_missing_files_are_named(tmp_path: Path) -> None:
    rows = [*labelled(["cat", "dog", "cat", "dog", None]), {"file_name": "gone.png", "text": "", "label": "cat"}]
    source, said = opened(in_folder(tmp_path / "set", {**FLAT, "metadata.csv": in_csv(rows)}))
    assert source.labels.tolist() == [0, 1, 0, 1]
    assert said == [
        "1 label in metadata.csv without an image (gone.png)",
        "2 images left out: not labelled in metadata.csv, as the others are (4.png, 5.png)",
    ]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (labelled(["a"] * 6, column="caption"), "no column label (file_name, text, caption)"),
        ([{"id": 1, "label": 2}], "no column file_name (id, label)"),
        (labelled([0.5] * 6), "the label of 0.png is"),
        (labelled([None] * 6), "its column label is empty"),
    ],
)
def test_metadata_without_labels_is_one_note_and_folders_are_the_classes(rows: Rows, why: str, tmp_path: Path) -> None:
    for number, files in enumerate((pets(), FLAT)):
        source, (line,) = opened(in_folder(tmp_path / f"{number}", {**files, "metadata.csv": in_csv(rows)}))
        assert why in line
        assert source.class_names == (() if number else ("cat", "dog"))


@pytest.mark.parametrize("text", [b'file_name,label\n"a.png', b"\xff\xfe", b'{"file_name": "a.png"', b"[" * 100_000])
def test_damaged_metadata_is_one_line(text: bytes, tmp_path: Path) -> None:
    name = "metadata.csv" if text[:1] in (b"f", b"\xff") else "metadata.jsonl"
    with pytest.raises(DataError, match=rf"{name}: cannot be read .*; correct it or remove it$"):
        opened(in_folder(tmp_path / "set", {**FLAT, name: text}))


@pytest.mark.parametrize("name", ["set/0.png", "x.npz", "x.npy", "x.zip", "x.tar", "x.parquet", "set/metadata.csv"])
def test_a_git_lfs_pointer_is_told_with_what_to_do(name: str, tmp_path: Path) -> None:
    in_folder(tmp_path, {"set/a.png": png(1), name: LFS})
    with pytest.raises(DataError, match=r"Git LFS pointer, .*`git lfs pull`"):
        opened(tmp_path / name.partition("/")[0])


def test_pointers_in_archives_and_instead_of_checkpoints_are_told(gan: Gan, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="git lfs pull"):
        opened(in_zip(tmp_path / "set.zip", {"0.png": LFS}))
    in_folder(tmp_path, {"ckpt.safetensors": LFS, "0.png": LFS, "shards/a-000000.tar": LFS})
    for args in (("inspect", "ckpt.safetensors"), ("sample", "srgan-x4", "-i", "0.png"), ("train", "-d", "shards")):
        assert "git lfs pull" in gan(*args).err


def test_a_small_file_of_another_kind_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 4, 4), np.uint8))
    assert len(opened(tmp_path / "x.npy")[0].images) == 2
