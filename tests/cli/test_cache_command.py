"""`gan cache`: lists and clears decoded datasets."""

import errno
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from gancli.data.cache_entries import CacheEntry
from tests.conftest import SMALL, Gan


@pytest.fixture
def root(gan: Gan, tmp_path: Path) -> Path:
    """A data root with the decoded images of two folders."""
    for name in ("cats", "some dogs"):
        (tmp_path / name).mkdir()
        for index in range(20):
            Image.new("RGB", (8, 8), (index, 5, 9)).save(tmp_path / name / f"{index}.png")
        done = gan("train", "-d", tmp_path / name, *SMALL, "--steps", 1, "--data-root", "root", "--progress", "none")
        assert done.code == 0, done.err
    return tmp_path / "root"


def sources(gan: Gan, root: Path) -> set[str]:
    listed = gan("cache", "--data-root", root, "--json")
    assert (listed.code, listed.err) == (0, "")
    return {Path(each["source"]).name for each in json.loads(listed.out)["kept"]}


def test_entries_are_listed_and_cleared(gan: Gan, root: Path, tmp_path: Path) -> None:
    shown = gan("cache", "--data-root", root)
    assert shown.code == 0
    assert str(tmp_path / "some dogs") in shown.out
    assert "20 images of 3×8×8" in shown.out
    assert str(root / "cache") in shown.out.splitlines()[-1]
    document = json.loads(gan("cache", "--data-root", root, "--json").out)
    assert Path(document["folder"]) == root / "cache"
    assert document["limit_bytes"] > 0
    for each in document["kept"]:
        assert Path(each["file"]).is_file()
        assert each["bytes"] >= 20 * 3 * 8 * 8
    cleared = gan("cache", "--data-root", root, "--clear")
    assert cleared.code == 0
    assert cleared.out.startswith("removed 2 of 2 from ")
    assert list((root / "cache").iterdir()) == []
    assert gan("cache", "--data-root", root, "--clear").out.startswith("removed 0 of 0")


@pytest.mark.parametrize("called", ["some dogs", "./some dogs", "the file"])
def test_one_data_set_is_cleared_by_its_name_path_or_file(gan: Gan, root: Path, called: str) -> None:
    if called == "the file":
        (called,) = (path.name for path in (root / "cache").glob("some-dogs*.npy"))
    cleared = gan("cache", "--data-root", root, "--clear", called, "--json")
    assert cleared.code == 0, cleared.err
    (removed,) = json.loads(cleared.out)["removed"]
    assert Path(removed["source"]).name == "some dogs"
    assert sources(gan, root) == {"cats"}


def test_entries_of_a_removed_folder_can_be_cleared(gan: Gan, root: Path) -> None:
    shutil.rmtree("cats")
    assert gan("cache", "--data-root", root, "--clear", "cats").code == 0
    assert sources(gan, root) == {"some dogs"}


def test_an_unknown_name_removes_nothing_and_suggests_one(gan: Gan, root: Path) -> None:
    refused = gan("cache", "--data-root", root, "--clear", "cat")
    assert refused.code == 2
    assert refused.err == "gan: --clear cat: is not in the cache (did you mean cats?); gan cache lists all entries\n"
    assert len(sources(gan, root)) == 2


def test_a_data_root_without_a_cache_is_empty(gan: Gan) -> None:
    for args in ((), ("--clear",)):
        nothing = gan("cache", "--data-root", "nowhere", *args)
        assert (nothing.code, nothing.err) == (0, "")
    assert json.loads(gan("cache", "--data-root", "nowhere", "--json").out)["kept"] == []


def test_a_cache_that_cannot_be_listed_is_one_line(gan: Gan, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "cache").write_text("in the way")
    refused = gan("cache", "--data-root", "root")
    assert (refused.code, refused.err) == (1, "gan: root/cache: cannot be listed (Not a directory)\n")


def test_an_invalid_size_is_refused(gan: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_CACHE_SIZE", "much")
    refused = gan("cache")
    assert refused.code == 2
    assert refused.err.startswith("gan: GAN_CACHE_SIZE=much: must be a size such as 500M or 20G")


def test_compiled_steps_are_one_entry_and_can_be_cleared(tmp_path: Path, gan: Gan) -> None:
    place = tmp_path / "cache" / "compiled" / "ab"
    place.mkdir(parents=True)
    (place / "step.so").write_bytes(bytes(1000))
    assert "compiled steps" in gan("cache", "--data-root", tmp_path).out
    assert json.loads(gan("cache", "--data-root", tmp_path, "--json").out)["kept"][0]["bytes"] >= 1000
    assert gan("cache", "--data-root", tmp_path, "--clear").code == 0
    assert not (tmp_path / "cache" / "compiled").exists()


def test_an_entry_that_cannot_be_removed_is_reported(gan: Gan, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, while a run has it mapped."""
    remove = CacheEntry.remove

    def only_dogs(entry: CacheEntry) -> None:
        if entry.name.startswith("cats"):
            raise PermissionError(errno.EACCES, "Permission denied")
        remove(entry)

    monkeypatch.setattr(CacheEntry, "remove", only_dogs)
    cleared = gan("cache", "--data-root", root, "--clear")
    assert cleared.code == 3
    assert cleared.out.startswith("removed 1 of 2")
    assert "1 of 2 were not removed; the first: " in cleared.err
    assert "cannot be removed (Permission denied)" in cleared.err
    assert sources(gan, root) == {"cats"}
