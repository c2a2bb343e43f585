"""Where enlarged pictures go: each to a place of its own."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
