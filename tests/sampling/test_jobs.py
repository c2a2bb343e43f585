"""The paths of enlarged images, all different on every disk; and which files of a folder are enlarged."""

import os
import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gancli.data.walk import list_folder
from gancli.events import ignore
from gancli.sampling.jobs import targets


def places(*names: str) -> list[str]:
    return [target.as_posix() for target in targets([Path(name) for name in names])]


def key(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def test_an_image_keeps_its_name_and_similar_ones_also_keep_their_suffix() -> None:
    assert places("b.png", "deep/c.jpg", "d.tiff") == ["b.png", "deep/c.png", "d.png"]
    assert places("a.jpg", "a.png") == ["a.jpg.png", "a.png.png"]
    assert places("a.jpg", "a.jpg.png", "a.png") == ["a.jpg.png", "a.jpg.png.png", "a.png.png"]
    assert places("a.jpg", "deep/a.png") == ["a.png", "deep/a.png"]


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
def test_every_image_has_a_path_of_its_own_on_every_disk(names: list[str]) -> None:
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


def test_links_are_followed_once_and_what_is_no_file_is_named(tmp_path: Path) -> None:
    for name in ("a.png", "b/c.png", "b/d/e.png", ".hidden/f.png", "out/g.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a-link").symlink_to(tmp_path / "b")  # before it in the alphabet, but `b` is its name
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "nowhere.png").symlink_to("gone.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = list_folder(tmp_path, True, ignore, left_out=tmp_path / "out")
    assert sorted(found.marks) == ["a.png", "b/c.png", "b/d/e.png"]
    assert sorted(found.unreadable) == ["circle.png", "nowhere.png", "pipe.png"]
    assert "No such file" in found.unreadable["nowhere.png"]
