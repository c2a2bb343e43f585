"""Parquet files of pictures, as hubs serve image data sets."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from gancli.data.listing import probe
from gancli.errors import DataError
from tests.conftest import TINY, Gan
from tests.data.packed import features, in_parquet, opened, pets, png, rows

PICTURES = [png(value) for value in range(10)]
STRUCTS = [{"bytes": content, "path": None} for content in PICTURES]
LABELS = [0, 1] * 5


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.binary(), pyarrow.large_binary(), pyarrow.binary_view(), pyarrow.struct([("bytes", pyarrow.binary())]),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.binary()),
    ],
    ids=str,
)  # fmt: skip
def test_pictures_are_found_by_what_a_column_holds(kind: Any, tmp_path: Path) -> None:
    values = [{"bytes": content} for content in PICTURES] if pyarrow.types.is_struct(kind) else PICTURES
    columns = {"text": ["x"] * 10, "photo": pyarrow.array(values, kind)}
    table = pyarrow.table(columns)
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    source, told = opened(tmp_path / "a.parquet")
    assert (source.images[:, 0, 0, 0].tolist(), source.class_names, told) == (list(range(10)), (), [])


@pytest.mark.parametrize(
    ("labels", "metadata", "names"),
    [
        (LABELS, None, ("0", "1")),
        (LABELS, features(image=None, label=["ape", "bee"]), ("ape", "bee")),
        (LABELS, {b"huggingface": b"{{"}, ("0", "1")),
        (LABELS, features(image=None, label=["ape", "ape"]), ("0", "1")),
        (["ape", "bee"] * 5, None, ("ape", "bee")),
        ([True, False] * 5, None, ("0", "1")),
        (pyarrow.array(["ape", "bee"] * 5).dictionary_encode(), None, ("ape", "bee")),
    ],
)
def test_labels_are_numbers_or_texts_with_the_names_that_the_schema_knows(
    labels: Any, metadata: Any, names: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"image": STRUCTS, "label": labels}).replace_schema_metadata(metadata)
    parquet.write_table(table, path, row_group_size=4)
    source, told = opened(path)
    assert (source.class_names, told) == (names, [])
    assert source.labels.tolist() == ([1, 0] * 5 if labels == [True, False] * 5 else LABELS)


def test_of_several_columns_one_is_taken_by_its_name_or_all_are_named(tmp_path: Path) -> None:
    both: dict[str, list[Any]] = {"image": STRUCTS, "mask": STRUCTS, "fine_label": LABELS, "coarse_label": [0] * 10}
    path = in_parquet(tmp_path / "a.parquet", both, features(fine_label=["ape", "bee"], coarse_label=["animal"]))
    source, told = opened(path)
    assert source.class_names == ("ape", "bee")
    assert told == [
        "images are taken from the column image, not from mask",
        "classes are taken from the column fine_label, not from coarse_label",
    ]
    with pytest.raises(
        DataError, match=r"several columns may have images \(left, right\); choose one with --image-column"
    ):
        opened(in_parquet(tmp_path / "b.parquet", {"left": STRUCTS, "right": STRUCTS}))
    with pytest.raises(DataError, match=r"no column has images .* it has x \(double\)"):
        opened(in_parquet(tmp_path / "c.parquet", {"x": [0.5] * 10}))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0.5] * 10, "no classes: the column label has the type double, neither numbers nor texts"),
        ([[1, 2]] * 10, "no classes: the column label has the type list<element: int64>, neither numbers nor texts"),
        (
            [-1] * 10,
            "no classes: the column label: in row 0 of a.parquet it is -1, neither a class number nor a class name",
        ),
        (["x" * 1000] * 10, "no classes: the column label: in row 0 of a.parquet it is a text of 1000 bytes"),
    ],
)
def test_labels_that_are_no_classes_are_told(labels: list[Any], said: str, tmp_path: Path) -> None:
    source, told = opened(in_parquet(tmp_path / "a.parquet", {"image": STRUCTS, "label": labels}))
    assert (source.class_names, told) == ((), [said])


def test_a_row_without_a_label_or_a_picture_is_named_or_left_out(tmp_path: Path) -> None:
    labels = [*LABELS[:9], None]
    path = in_parquet(tmp_path / "a.parquet", {"image": STRUCTS, "label": labels})
    with pytest.raises(
        DataError, match=r"1 of 10 images have no label in the column label.* in row 9 of a\.parquet it is null"
    ):
        opened(path)
    assert len(opened(path, bad="skip")[0].images) == 9
    odd = [*STRUCTS[:7], None, {"bytes": None, "path": "elsewhere.png"}, {"bytes": b"words", "path": None}]
    path = in_parquet(tmp_path / "b.parquet", {"image": odd, "label": LABELS})
    with pytest.raises(DataError, match=r"b\.parquet/row 7: cannot be read \(the row has no bytes of an image\)"):
        opened(path)
    source, told = opened(path, bad="skip")
    assert source.labels.tolist() == LABELS[:7]
    assert told[0].startswith("3 unreadable images left out")


def test_the_unlabelled_test_split_of_a_hub_is_one_without_labels(tmp_path: Path) -> None:
    in_parquet(tmp_path / "set" / "train-00000-of-00001.parquet", {"image": STRUCTS, "label": LABELS})
    in_parquet(tmp_path / "set" / "test-00000-of-00001.parquet", {"image": STRUCTS[:4], "label": [-1] * 4})
    assert opened(tmp_path / "set")[0].class_names == ("0", "1")
    source, told = opened(tmp_path / "set", "test")
    assert (source.class_names, len(source.images)) == ((), 4)
    assert any("without labels" in line for line in told)


def test_files_of_one_set_must_agree_on_the_column_of_pictures(tmp_path: Path) -> None:
    in_parquet(tmp_path / "set" / "a-0.parquet", {"image": STRUCTS})
    in_parquet(tmp_path / "set" / "a-1.parquet", {"photo": STRUCTS})
    with pytest.raises(
        DataError, match=r"a-1\.parquet: its images are in the column photo, those of the others in image"
    ):
        opened(tmp_path / "set")
    (tmp_path / "set" / "b.tar").write_bytes(b"")
    with pytest.raises(DataError, match="several files must be all tar or all Parquet"):
        opened(tmp_path / "set")


@pytest.mark.parametrize("how", ["nothing", "text", "cut", "no rows", "no columns"])
def test_what_is_no_sound_file_is_one_line(how: str, tmp_path: Path) -> None:
    path = in_parquet(tmp_path / "a.parquet", {"image": STRUCTS})
    contents: dict[str, Callable[[], object]] = {
        "nothing": lambda: path.write_bytes(b""),
        "text": lambda: path.write_bytes(b"words" * 50),
        "cut": lambda: path.write_bytes(path.read_bytes()[:-50]),
        "no rows": lambda: parquet.write_table(pyarrow.table({"image": STRUCTS})[:0], path),
        "no columns": lambda: parquet.write_table(pyarrow.table({}), path),
    }
    contents[how]()
    with pytest.raises(DataError, match=r"a\.parquet: (cannot be read as a Parquet file|holds no images|no column)"):
        opened(path)


def test_a_file_that_claims_more_than_it_can_hold_is_refused(tmp_path: Path) -> None:
    bombs = {"a": pyarrow.array([bytes(1 << 24)] * 2), "b": pyarrow.array([None] * 100_000, pyarrow.binary())}
    for name, cells in bombs.items():
        column = pyarrow.StructArray.from_arrays([cells], ["bytes"])
        parquet.write_table(pyarrow.table({"image": column}), tmp_path / f"{name}.parquet", compression="zstd")
        with pytest.raises(DataError, match=r"\.parquet: claims .* more than a file of its size can contain"):
            opened(tmp_path / f"{name}.parquet")


def test_damage_in_one_row_group_costs_that_one(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"image": [{"bytes": content * 20} for content in PICTURES]})
    parquet.write_table(
        table, path, row_group_size=4, compression="none", use_dictionary=False, write_page_checksum=True
    )
    raw = bytearray(path.read_bytes())
    raw[raw.index(PICTURES[5]) + 300] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.parquet/row 4: cannot be read"):
        opened(path)
    source, told = opened(path, bad="skip")
    assert source.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 8, 9]
    assert told[0].startswith("4 unreadable")


def test_without_pyarrow_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = in_parquet(tmp_path / "a.parquet", {"image": STRUCTS})
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=r"a\.parquet: pyarrow.* is missing.*pip install 'gancli\[parquet\]'"):
        opened(path)
    assert probe(str(path)) is None


def test_a_first_look_sees_colour_and_size_in_parquet_and_chooses_by_them(gan: Gan, tmp_path: Path) -> None:
    path = in_parquet(tmp_path / "a.parquet", rows(pets()))
    seen = probe(str(path))
    assert seen is not None
    assert (seen.coloured, seen.side, seen.square) == (True, 8, True)
    outcome = gan("train", "-d", path, *TINY, "--steps", "1", "--out", tmp_path / "run")
    assert (outcome.code, "variant dcgan" in outcome.err) == (0, True), outcome
