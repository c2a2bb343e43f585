"""What folders mean, decided by names alone: splits, classes, what lies beside them."""

from collections.abc import Iterable

import pytest

from gancli.data.arrange import Arranged, Arranger
from gancli.data.classes import ordered, renumbered, translated
from gancli.data.manifest import Manifest, parsed
from gancli.data.names import Split
from gancli.data.walk import Found
from gancli.errors import DataError, UsageError


def arranged(
    names: Iterable[str],
    split: Split = "train",
    manifests: dict[str, Manifest] | None = None,
    with_classes: bool = True,
) -> Arranged:
    """How pictures of these names are arranged; names that end in / are empty folders."""
    found = Found()
    for name in names:
        parts = name.split("/")
        found.folders |= {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if parts[-1]:
            found.marks[name] = (0, 0)
        else:
            found.empty.add(name[:-1])
    return Arranger("--dataset set", found, (manifests or {}).get).arrange(split, with_classes)


def classes_of(result: Arranged) -> dict[str, str]:
    return {name: result.class_names[label] for name, label in result.labels.items()}


def both(names: Iterable[str], manifests: dict[str, Manifest] | None = None) -> tuple[Arranged, Arranged]:
    return arranged(names, "train", manifests), arranged(names, "test", manifests)


def test_classes_are_in_the_order_people_count_in() -> None:
    twelve = [f"{number}/a.png" for number in range(1, 13)]
    assert arranged(twelve).class_names == tuple(str(number) for number in range(1, 13))
    assert classes_of(arranged(twelve))["10/a.png"] == "10"
    assert ordered(["class10", "class2", "Class1"]) == ("Class1", "class2", "class10")
    assert ordered(["010", "9", "08", "8", "008", "8a"]) == ("008", "08", "8", "8a", "9", "010")
    assert ordered(["b", "B", "a", "\udce9", "10" * 3000, "2"])[0] == "2"


def test_one_picture_beside_class_folders_is_left_out_by_name() -> None:
    result = arranged(["cat/1.png", "dog/1.png", "teaser.png"])
    assert classes_of(result) == {"cat/1.png": "cat", "dog/1.png": "dog"}
    assert result.notes == ("1 picture left out: not in class folders, as the others are (teaser.png)",)
    many = arranged([f"{n}.png" for n in range(4)] + [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(9)])
    assert many.notes == ("4 pictures left out: not in class folders, as the others are (0.png, 1.png, 2.png, …)",)


def test_a_folder_beside_pictures_is_no_class() -> None:
    names = ["1.png", "2.png", "more/3.png"]
    assert arranged(names) == Arranged(dict.fromkeys(names, 0), (), ())


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"), ("Train", "Test"), ("training", "testing"), ("train", "val"), ("TRAIN", "valid"),
        ("training_set", "test_set"), ("seg_train", "seg_test"), ("train2017", "val2017"), ("train-images", "test-images"),
        ("trainset", "testset"), ("cifar.train", "cifar.test"),
    ],
)  # fmt: skip
def test_splits_go_by_many_names(train: str, test: str) -> None:
    names = [f"{train}/cat/1.png", f"{train}/dog/1.png", f"{test}/cat/2.png", f"{test}/dog/2.png"]
    learnt, held_out = both(names)
    assert classes_of(learnt) == {names[0]: "cat", names[1]: "dog"}
    assert classes_of(held_out) == {names[2]: "cat", names[3]: "dog"}
    assert learnt.notes == held_out.notes == ()


@pytest.mark.parametrize("above", ["", "data/", "a/b/"])
@pytest.mark.parametrize("stray", ["teaser.png", "docs/figure.png", "docs/a/figure.png"])
def test_what_lies_beside_splits_does_not_mix_them(above: str, stray: str) -> None:
    names = [f"{above}{split}/{pet}/1.png" for split in ("train", "test") for pet in ("cat", "dog")]
    learnt, held_out = both([*names, f"{above}{stray}"])
    assert list(learnt.labels) == names[:2]
    assert list(held_out.labels) == names[2:]
    (note,) = learnt.notes
    assert note.startswith("1 picture left out: beside train and test, taken for splits")
    assert stray in note


def test_a_stray_picture_above_the_splits_does_not_mix_them() -> None:
    names = [f"data/{split}/{pet}/1.png" for split in ("train", "test") for pet in ("cat", "dog")]
    learnt = arranged([*names, "teaser.png"])
    assert list(learnt.labels) == names[:2]
    assert learnt.notes == ("1 picture left out: beside data, which holds the others (teaser.png)",)
    plain = arranged(["train/1.png", "train/2.png", "test/1.png", "teaser.png"])
    assert list(plain.labels) == ["train/1.png", "train/2.png"]


def test_of_test_and_val_test_is_the_test_split() -> None:
    for test, val in (("test", "val"), ("Test", "Val"), ("testing", "Validation")):
        names = [f"train/{n}.png" for n in range(3)] + [f"{val}/1.png", f"{test}/1.png"]
        learnt, held_out = both(names)
        assert len(learnt.labels) == 3
        assert list(held_out.labels) == [f"{test}/1.png"]
        assert learnt.notes == ()


def test_vehicles_are_no_splits() -> None:
    result = arranged([f"{name}/1.png" for name in ("train", "car", "boat", "plane")])
    assert result.class_names == ("boat", "car", "plane", "train")
    assert result.notes == ("taken for classes like boat, car, plane, not for splits: train",)
    stations = arranged([f"{name}/1.png" for name in ("train station", "test tube", "car")])
    assert len(stations.class_names) == 3
    assert stations.notes == ()
    many = arranged([f"{name}/1.png" for name in ("train", "test", "a", "b", "c")])
    assert many.class_names == ("a", "b", "c", "test", "train")
    assert many.notes == ("taken for classes like a, b, c, not for splits: test, train",)


def test_splits_with_the_same_classes_are_splits_whatever_lies_beside_them() -> None:
    names = [f"{split}/{pet}/1.png" for split in ("train", "test") for pet in ("cat", "dog")]
    result = arranged([*names, *(f"{other}/1.png" for other in "abcde")])
    assert result.class_names == ("cat", "dog")
    assert result.notes[0].startswith("5 pictures left out: beside train and test")


def test_splits_inside_of_each_class_are_splits() -> None:
    names = [f"{pet}/{split}/1.png" for pet in ("cat", "dog") for split in ("test", "train")]
    learnt, held_out = both([*names, "cat/masks/1.png", "teaser.png"])
    assert classes_of(learnt) == {"cat/train/1.png": "cat", "dog/train/1.png": "dog"}
    assert classes_of(held_out) == {"cat/test/1.png": "cat", "dog/test/1.png": "dog"}
    assert learnt.notes == (
        "2 pictures left out: in none of the splits that each class has (cat/masks/1.png, teaser.png)",
    )
    assert list(arranged(names, with_classes=False).labels) == ["cat/train/1.png", "dog/train/1.png"]


def test_horses_and_zebras_are_two_classes_with_two_splits() -> None:
    names = [f"{split}{domain}/1.png" for split in ("train", "test") for domain in "AB"]
    learnt, held_out = both(names)
    assert classes_of(learnt) == {"trainA/1.png": "A", "trainB/1.png": "B"}
    assert classes_of(held_out) == {"testA/1.png": "A", "testB/1.png": "B"}
    assert learnt.notes == held_out.notes == ()
    alone, _ = both(["trainA/1.png", "testA/1.png"])
    assert (list(alone.labels), alone.class_names) == (["trainA/1.png"], ())


def test_a_train_split_that_holds_nothing_readable_is_not_replaced_by_the_test_split() -> None:
    with pytest.raises(DataError, match="--dataset set: train holds no pictures that can be read here"):
        arranged(["train/", "test/1.png"])
    assert list(arranged(["train/1.png", "test/"], "test").labels) == ["train/1.png"]


def test_a_test_split_has_the_classes_of_the_train_split() -> None:
    train = [f"train/{pet}/1.png" for pet in ("cat", "dog", "horse")]
    held_out = arranged([*train, "test/dog/1.png", "test/Horse/1.png"], "test")
    assert held_out.class_names == ("cat", "dog", "horse")
    assert classes_of(held_out) == {"test/dog/1.png": "dog", "test/Horse/1.png": "horse"}
    assert held_out.notes == ("test has no pictures of 1 of 3 classes (cat)",)
    alone = arranged([*train, "test/images/dog/1.png", "test/images/dog/2.png"], "test")
    assert set(classes_of(alone).values()) == {"dog"}


def test_classes_of_the_test_split_that_were_not_learnt_are_left_out_by_name() -> None:
    train = [f"train/{pet}/1.png" for pet in ("cat", "dog")]
    held_out = arranged([*train, "test/cat/1.png", "test/dog/1.png", "test/wolf/1.png", "test/x.png"], "test")
    assert classes_of(held_out) == {"test/cat/1.png": "cat", "test/dog/1.png": "dog"}
    assert held_out.notes == (
        "2 pictures left out: of test, in none of the classes to train on but in wolf (test/wolf/1.png, test/x.png)",
    )
    with pytest.raises(
        DataError, match=r"none of the folders of test \(fox, wolf\) is one of the classes .* \(cat, dog\)"
    ):
        arranged([*train, "test/wolf/1.png", "test/fox/1.png"], "test")


def test_test_pictures_without_class_folders_have_no_labels() -> None:
    names = ["train/cat/1.png", "train/dog/1.png", "val/a.png", "val/b.png"]
    held_out = arranged(names, "test")
    assert (held_out.class_names, list(held_out.labels)) == ((), names[2:])
    assert held_out.notes == ("the pictures of val lie in no class folders: they are measured with, without labels",)
    assert arranged(["train/1.png", "test/cat/1.png", "test/dog/1.png"], "test").class_names == ()


def test_an_empty_class_folder_is_told() -> None:
    result = arranged(["cat/1.png", "dog/1.png", "horse/"])
    assert result.class_names == ("cat", "dog")
    assert result.notes == ("no class: 1 empty folder (horse)",)


def test_photographs_have_no_classes_but_splits() -> None:
    names = ["1.png", "cat/1.png", "dog/1.png"]
    assert arranged(names, with_classes=False) == Arranged(dict.fromkeys(names, 0), (), ())
    split = arranged(["train/a/1.png", "train/2.png", "val/1.png", "x.png"], with_classes=False)
    assert list(split.labels) == ["train/2.png", "train/a/1.png"]


def test_a_manifest_says_the_classes_and_shards_are_none() -> None:
    names = [f"0000{shard}/img{n}.png" for shard in (0, 1) for n in range(3)]
    labels = {name: index % 3 + 5 for index, name in enumerate(names)}
    result = arranged(names, manifests={"": Manifest(labels)})
    assert result.class_names == ("5", "6", "7")
    assert classes_of(result) == {name: str(label) for name, label in labels.items()}
    assert arranged(names, manifests={"": Manifest({})}) == Arranged(dict.fromkeys(names, 0), (), ())
    wrapped = arranged([f"ffhq/{name}" for name in names], manifests={"ffhq/": Manifest(labels)})
    assert wrapped.class_names == ("5", "6", "7")


def test_a_manifest_of_some_pictures() -> None:
    names = [f"0/{n}.png" for n in range(4)]
    most = Manifest({"0/0.png": 0, "0/1.png": 1, "0/2.png": 1, "0/9.png": 1})
    result = arranged(names, manifests={"": most})
    assert list(result.labels) == names[:3]
    assert result.notes == (
        "1 label in dataset.json without a picture (0/9.png)",
        "1 picture left out: not with a label in dataset.json, as the others are (0/3.png)",
    )
    few = arranged(names, manifests={"": Manifest({"0/0.png": 0, "0/1.png": 1})})
    assert (few.class_names, len(few.labels)) == ((), 4)
    assert few.notes == ("without classes: 2 of 4 pictures are not with a label in dataset.json (0/2.png, 0/3.png)",)
    odd = arranged(names, manifests={"": Manifest({}, "its labels are no list")})
    assert odd.notes == ("no labels in dataset.json: its labels are no list",)


def test_each_split_may_have_its_manifest() -> None:
    names = [f"{split}/0/{n}.png" for split in ("train", "test") for n in range(4)]
    train = Manifest({f"0/{n}.png": n + 1 for n in range(4)})
    test = Manifest({f"0/{n}.png": 3 for n in range(4)})
    held_out = arranged(names, "test", {"train/": train, "test/": test})
    assert held_out.class_names == ("1", "2", "3", "4")
    assert set(classes_of(held_out).values()) == {"3"}


def test_a_manifest_is_read_as_stylegan_writes_it() -> None:
    assert parsed(b'{"labels": [["00000/a.png", 6], ["b\\\\c.png", 0]]}', "x") == Manifest(
        {"00000/a.png": 6, "b/c.png": 0}
    )
    assert parsed(b'{"labels": null}', "x") == parsed(b'{"labels": []}', "x") == Manifest({})
    assert parsed(b'{"images": []}', "x") is None
    assert parsed(b"[1]", "x") is None


@pytest.mark.parametrize(
    "label", ["-1", "true", "1.5", '"cat"', "[0.1, 0.2]", "null", "99999999999", "{}"], ids=lambda label: label[:8]
)
def test_labels_that_are_no_class_numbers_make_no_classes(label: str) -> None:
    found = parsed(f'{{"labels": [["a.png", {label}]]}}'.encode(), "x")
    assert found is not None
    assert found.labels == {}
    assert "a.png" in found.odd


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[" * 100_000, b'{"labels": [], "labels": []}', b"\xff\xfe", b'{"labels": [["a", 1], ["a", 2]]}',
        b'{"labels": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_a_damaged_manifest_is_one_line(text: bytes) -> None:
    with pytest.raises(DataError, match=r"^set/dataset\.json: ") as failure:
        parsed(text, "set/dataset.json")
    assert "\n" not in str(failure.value)


def test_hostile_depth_ends() -> None:
    deep = "/".join(["a"] * 400)
    assert arranged([f"{deep}/{n}.png" for n in range(50)]).class_names == ()


def test_names_of_two_data_sets_are_matched() -> None:
    assert renumbered(("dog", "cat"), ("cat", "dog")) == (1, 0)
    assert renumbered(("Dog", "cat ", "Zoë", "x"), ("cat", "dog", "Zoe\u0308")) == (1, 0, 2, None)
    assert renumbered(("Cat", "CAT"), ("cat",)) == (None, None)
    assert renumbered(("cat", "Cat"), ("cat",)) == (0, None)
    assert translated(("2", "10"), ("10", "2"), "x") == (1, 0)
    with pytest.raises(UsageError, match="--dataset x: lacks classes that the model draws: wolf; it has cat, dog"):
        translated(("cat", "wolf"), ("cat", "dog"), "x")
    with pytest.raises(UsageError, match="--dataset x: has classes that the model does not know: dog"):
        translated(("cat",), ("cat", "dog"), "x")
    with pytest.raises(UsageError, match="it has no classes"):
        translated(("cat", "dog"), (), "x")
