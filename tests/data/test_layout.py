"""The splits and classes of a dataset, by the names of its folders and by label files; class names."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from gancli.data.image_files import Contents, ImageFiles
from gancli.data.label_files import Labels, read_label_file
from gancli.data.layout import Layout, find_layout
from gancli.data.names import Split, match_classes, match_names, natural_order
from gancli.data.walk import FolderListing
from gancli.errors import DataError, UsageError

PETS = ("cat/1.png", "dog/1.png")


class Named(ImageFiles):
    """Images of these names, never read; a name that ends in / is a folder without images. `files`: labels by folder."""

    def __init__(self, names: Iterable[str], files: dict[str, Labels]) -> None:
        super().__init__(Path("set"), FolderListing())
        self._label_files |= dict.fromkeys([""]) | files
        for name in names:
            parts = name.split("/")
            for folder in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
                self.found.folders.add(folder)
                self._label_files.setdefault(f"{folder}/", None)
            if parts[-1]:
                self.found.marks[name] = (0, 0)

    def read(self, names: Iterable[str], limit: int = 0) -> Contents:
        raise NotImplementedError

    def holds(self, name: str) -> bool:
        raise NotImplementedError


def layout(
    names: Iterable[str], split: Split = "train", files: dict[str, Labels] | None = None, with_classes: bool = True
) -> Layout:
    return find_layout(Named(names, files or {}), split, with_classes)


def classes_of(result: Layout) -> dict[str, str]:
    return {name: result.class_names[label] for name, label in result.labels.items()}


def in_splits(*splits: str) -> list[str]:
    return [f"{split}/{name}" for split in splits for name in PETS]


LEFT_OUT = {
    (*PETS, "x.png"): "1 image left out: not in a class folder, as the others are (x.png)",
    (*in_splits("train", "test"), "x.png"): "1 image left out: next to train and test, which are splits (x.png)",
    (*in_splits("train", "test"), "docs/a/x.png"): "next to train and test, which are splits (docs/a/x.png)",
    (*in_splits("train", "test"), *(f"{f}/x.png" for f in "abcde")): "5 images left out: next to train and test, which",
    (*in_splits("a/b/train", "a/b/test"), "a/b/x.png"): "1 image left out: next to train and test, which are splits",
    (*in_splits("a/b/train", "a/b/test"), "x.png"): "1 image left out: next to a, which contains the others (x.png)",
}


@pytest.mark.parametrize("names", LEFT_OUT, ids=lambda names: names[-1])
def test_stray_images_are_left_out_by_name_and_mix_no_splits(names: tuple[str, ...]) -> None:
    result = layout(names)
    assert [name.rpartition("/")[2] for name in result.labels] == ["1.png", "1.png"]
    assert result.class_names == ("cat", "dog")
    assert len(result.notes) == 1
    assert LEFT_OUT[names] in result.notes[0]


@pytest.mark.parametrize(
    ("images", "others"),
    [
        (["1.png", "2.png", "more/3.png"], []),
        (["a/b/1.png", "a/b/2.png"], []),
        (["train/1.png", "train/2.png"], ["test/1.png", "x.png"]),
        (["trainA/1.png"], ["testA/1.png"]),
        ([f"{'deep/' * 400}{n}.png" for n in range(9)], []),
    ],
    ids=lambda names: "-".join(names)[:12],
)
def test_images_without_class_folders_have_no_classes(images: list[str], others: list[str]) -> None:
    result = layout([*images, *others])
    assert (result.class_names, list(result.labels)) == ((), images)


@pytest.mark.parametrize("above", ["", "data/", "a/b/"])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"), ("Train", "Test"), ("training", "testing"), ("train", "val"), ("TRAIN", "valid"),
        ("training_set", "test_set"), ("seg_train", "seg_test"), ("train2017", "val2017"), ("train-images", "test-images"),
        ("trainset", "testset"), ("cifar.train", "cifar.test"), ("trainA", "testA"),
    ],
)  # fmt: skip
def test_splits_have_many_names(train: str, test: str, above: str) -> None:
    names = in_splits(above + train, above + test)
    for split, own in (("train", names[:2]), ("test", names[2:])):
        result = layout(names, "train" if split == "train" else "test")
        assert (classes_of(result), result.notes) == (dict(zip(own, ("cat", "dog"), strict=True)), ())


@pytest.mark.parametrize(("test", "val"), [("test", "val"), ("Test", "Val"), ("testing", "Validation")])
def test_of_test_and_val_test_is_the_test_split(test: str, val: str) -> None:
    names = ["train/1.png", f"{val}/1.png", f"{test}/1.png"]
    assert list(layout(names, "test").labels) == [f"{test}/1.png"]
    assert layout(names) == Layout({"train/1.png": 0}, (), ())


def test_folders_that_are_no_pair_are_classes() -> None:
    result = layout([f"{name}/1.png" for name in ("train", "car", "boat", "plane")])
    assert result.class_names == ("boat", "car", "plane", "train")
    assert result.notes == ("classes, not splits, as there is no pair: train",)
    assert layout([f"{name}/1.png" for name in ("train station", "test tube", "car")]).notes == ()


@pytest.mark.parametrize(
    "names", [[f"{pet}/{split}/1.png" for pet in ("cat", "dog") for split in ("test", "train")],
              [f"{split}{own}/1.png" for split in ("train", "test") for own in "AB"]],
)  # fmt: skip
def test_several_train_folders_are_refused_with_what_to_do(names: list[str]) -> None:
    with pytest.raises(DataError, match=r"--dataset set: there are several train .*name one folder .*train/CLASS"):
        layout(names)


def test_a_train_split_without_images_is_not_replaced_by_the_test_split() -> None:
    with pytest.raises(DataError, match="--dataset set: train contains no images that can be read"):
        layout(["train/", "test/1.png"])
    assert list(layout(["train/1.png", "test/"], "test").labels) == ["train/1.png"]


TRAIN = [f"train/{pet}/1.png" for pet in ("cat", "dog", "horse")]


@pytest.mark.parametrize(
    ("test", "classes", "notes"),
    [
        (["dog/1.png", "Horse/1.png"], ["dog", "horse"], ["the test split has no images of 1 of 3 classes (cat)"]),
        (["images/dog/1.png"], ["dog"], ["the test split has no images of 2 of 3 classes (cat, horse)"]),
        (["cat/1.png", "dog/1.png", "horse/1.png", "wolf/1.png", "x.png"], ["cat", "dog", "horse"],
         ["2 images left out: of the test split, not in a class of the train split (test/wolf/1.png, test/x.png)"]),
        (["a.png", "b.png"], None, ["the images of the test split have no classes: metrics use them without labels"]),
    ],
)  # fmt: skip
def test_a_test_split_has_the_classes_of_the_train_split(
    test: list[str], classes: list[str] | None, notes: list[str]
) -> None:
    result = layout([*TRAIN, *(f"test/{name}" for name in test)], "test")
    assert list(result.notes) == notes
    assert result.class_names == (() if classes is None else ("cat", "dog", "horse"))
    assert classes is None or sorted(set(classes_of(result).values())) == classes


def test_a_test_split_of_other_classes_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"none of the classes of the test split \(fox, wolf\) is .* \(cat, dog, horse\)"
    ):
        layout([*TRAIN, "test/wolf/1.png", "test/fox/1.png"], "test")
    assert layout(["train/1.png", "test/cat/1.png", "test/dog/1.png"], "test").class_names == ()


def test_photographs_have_splits_but_no_classes() -> None:
    names = ["1.png", *PETS]
    assert layout(names, with_classes=False) == Layout(dict.fromkeys(names, 0), (), ())
    split = layout(["train/a/1.png", "train/2.png", "val/1.png", "x.png"], with_classes=False)
    assert list(split.labels) == ["train/2.png", "train/a/1.png"]


SHARDS = [f"0000{shard}/img{n}.png" for shard in (0, 1) for n in range(2)]
NUMBERS = {name: index + 5 for index, name in enumerate(SHARDS)}


@pytest.mark.parametrize("above", ["", "ffhq/"])
def test_a_label_file_has_the_classes_and_shards_are_none(above: str) -> None:
    names = [above + name for name in SHARDS]
    result = layout(names, files={above: Labels(NUMBERS)})
    assert classes_of(result) == {above + name: str(label) for name, label in NUMBERS.items()}
    assert layout(names, files={above: Labels({})}) == Layout(dict.fromkeys(names, 0), (), ())


def test_a_label_file_of_some_images() -> None:
    most = dict(zip([*SHARDS[:3], "0/gone.png"], (0, 1, 1, 1), strict=True))
    result = layout(SHARDS, files={"": Labels(most)})
    assert list(result.labels) == SHARDS[:3]
    assert result.notes == (
        "1 label in dataset.json without an image (0/gone.png)",
        f"1 image left out: not labelled in dataset.json, as the others are ({SHARDS[3]})",
    )
    half = layout(SHARDS, files={"": Labels({SHARDS[0]: 0, SHARDS[1]: 1})})
    assert (half.class_names, len(half.labels)) == ((), 4)
    assert half.notes == (f"no classes: 2 of 4 images are not labelled in dataset.json ({SHARDS[2]}, {SHARDS[3]})",)
    odd = layout(SHARDS, files={"": Labels({}, problem="its labels are not pairs")})
    assert odd.notes == ("no labels in dataset.json: its labels are not pairs",)


def test_each_split_may_have_its_label_file() -> None:
    names = [f"{split}/0/{n}.png" for split in ("train", "test") for n in range(4)]
    train, test = Labels({f"0/{n}.png": n + 1 for n in range(4)}), Labels({f"0/{n}.png": 3 for n in range(4)})
    result = layout(names, "test", {"train/": train, "test/": test})
    assert result.class_names == ("1", "2", "3", "4")
    assert set(classes_of(result).values()) == {"3"}


def test_dataset_json_is_read_as_stylegan_writes_it() -> None:
    labels = read_label_file(b'{"labels": [["00000/a.png", 6], ["b\\\\c.png", 0]]}', "dataset.json")
    assert labels == Labels({"00000/a.png": 6, "b/c.png": 0})
    assert (
        read_label_file(b'{"labels": null}', "dataset.json")
        == read_label_file(b'{"labels": []}', "dataset.json")
        == Labels({})
    )
    assert read_label_file(b'{"images": []}', "dataset.json") is read_label_file(b"[1]", "dataset.json") is None


@pytest.mark.parametrize(
    "label", ["-1", "true", "1.5", '"cat"', "[0.1, 0.2]", "null", "99999999999", "{}"], ids=lambda label: label[:8]
)
def test_labels_that_are_not_class_numbers_make_no_classes(label: str) -> None:
    found = read_label_file(f'{{"labels": [["a.png", {label}]]}}'.encode(), "dataset.json")
    assert found is not None
    assert (found.by_name, "a.png" in found.problem) == ({}, True)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[" * 100_000, b'{"labels": [], "labels": []}', b"\xff\xfe", b'{"labels": [["a", 1], ["a", 2]]}',
        b'{"labels": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_a_damaged_dataset_json_is_one_line(text: bytes) -> None:
    with pytest.raises(DataError, match=r"^set/dataset\.json: [^\n]*correct it"):
        read_label_file(text, "set/dataset.json")


def test_classes_are_in_natural_order() -> None:
    twelve = [f"{number}/a.png" for number in range(1, 13)]
    assert layout(twelve).class_names == tuple(str(number) for number in range(1, 13))
    assert classes_of(layout(twelve))["10/a.png"] == "10"
    assert natural_order(["class10", "class2", "Class1"]) == ("Class1", "class2", "class10")
    assert natural_order(["010", "9", "08", "8", "008", "8a"]) == ("008", "08", "8", "8a", "9", "010")
    assert natural_order(["b", "B", "a", "\udce9", "10" * 3000, "2"])[0] == "2"


def test_names_of_two_datasets_are_matched() -> None:
    assert match_names(("dog", "cat"), ("cat", "dog")) == (1, 0)
    assert match_names(("Dog", "cat ", "Zoë", "dataset.json"), ("cat", "dog", "Zoe\u0308")) == (1, 0, 2, None)
    assert match_names(("Cat", "CAT"), ("cat",)) == (None, None)
    assert match_names(("cat", "Cat"), ("cat",)) == (0, None)
    assert match_classes(("2", "10"), ("10", "2"), "x") == (1, 0)
    with pytest.raises(UsageError, match="--dataset x: lacks classes that the model generates: wolf; it has cat, dog"):
        match_classes(("cat", "wolf"), ("cat", "dog"), "x")
    with pytest.raises(UsageError, match="--dataset x: has classes that the model does not know: dog"):
        match_classes(("cat",), ("cat", "dog"), "x")
    with pytest.raises(UsageError, match="it has no classes"):
        match_classes(("cat", "dog"), (), "x")
