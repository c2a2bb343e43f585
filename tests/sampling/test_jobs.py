"""Where enlarged pictures go: each to a place of its own."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.data.walk import Found, walked
from gancli.events import ignore
from gancli.sampling.jobs import targets


def places(*names: str) -> list[str]:
    return [target.as_posix() for target in targets([Path(name) for name in names])]


def key(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def test_a_picture_keeps_its_name_and_like_named_ones_keep_their_endings_too() -> None:
    assert places("b.png", "deep/c.jpg", "d.tiff") == ["b.png", "deep/c.png", "d.png"]
    assert places("a.jpg", "a.png") == ["a.jpg.png", "a.png.png"]
    assert places("a.jpg", "a.jpg.png", "a.png") == ["a.jpg.png", "a.jpg.png.png", "a.png.png"]
    assert places("a.jpg", "deep/a.png") == ["a.png", "deep/a.png"]


@pytest.mark.parametrize(
    "names",
    [("A.png", "a.PNG"), ("\u00e9.png", "e\u0301.png"), ("Deep/x.jpg", "deep/x.jpg"), ("Straße.png", "strasse.png")],
)
def test_names_that_are_one_on_some_disks_are_told_apart(names: tuple[str, ...]) -> None:
    first, second = places(*names)
    assert key(first) != key(second)


NAMES = st.lists(
    st.builds(
        lambda folder, stem, ending: f"{folder}{stem}{ending}",
        st.sampled_from(["", "a/", "A/", "a.png/"]),
        st.sampled_from(["a", "A", "b", "a.jpg", "a.png", "a.jpg.png", "\u00e4", "a\u0308", "a" * 251]),
        st.sampled_from([".jpg", ".png", ".PNG", ".webp"]),
    ),
    unique=True,
    max_size=12,
)


@given(NAMES)
def test_every_picture_has_a_place_of_its_own_on_every_disk(names: list[str]) -> None:
    found = places(*names)
    assert len({key(place) for place in found}) == len(names)
    folders = {key(parent.as_posix()) for name in names for parent in Path(name).parents}
    assert not folders & {key(place) for place in found}
    assert [Path(name).parent for name in names] == [Path(place).parent for place in found]


@given(NAMES, st.randoms())
def test_a_place_depends_on_like_names_only_not_on_their_order_nor_on_others(names: list[str], rng: object) -> None:
    before = dict(zip(names, places(*names), strict=True))
    shuffled = [*names, "other.png", "more/a.jpg"]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    after = dict(zip(shuffled, places(*shuffled), strict=True))
    assert {name: after[name] for name in names} == before


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.png", "b/c.png", "b/d/e.png", ".hidden/f.png", "out/g.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found_in(folder: Path, recursive: bool = True) -> Found:
    return walked(folder, True, ignore, deep=recursive, left_out=folder / "out")


def names_in(folder: Path, recursive: bool = True) -> list[str]:
    return sorted(found_in(folder, recursive).marks)


def test_subfolders_are_looked_into_if_asked_for_but_not_where_results_go(tree: Path) -> None:
    assert names_in(tree, recursive=False) == ["a.png"]
    assert names_in(tree) == ["a.png", "b/c.png", "b/d/e.png"]


def test_links_to_folders_are_followed_and_circles_end(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "x.png").touch()
    (tree / "a-link").symlink_to(tree / "b")  # comes before it in the alphabet, but `b` is its name
    (tree / "b" / "up").symlink_to(tree)
    (tree / "z").symlink_to(elsewhere)
    assert names_in(tree) == ["a.png", "b/c.png", "b/d/e.png", "z/x.png"]


def test_what_is_no_file_is_named(tree: Path) -> None:
    (tree / "nowhere.png").symlink_to("gone.png")
    (tree / "circle.png").symlink_to("circle.png")
    os.mkfifo(tree / "pipe.png")
    found = found_in(tree, recursive=False)
    assert list(found.marks) == ["a.png"]
    assert sorted(found.broken) == ["circle.png", "nowhere.png", "pipe.png"]
    assert "No such file" in found.broken["nowhere.png"]
