"""How a cache of decoded data sets is kept small."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gancli.data import cache as cache_module
from gancli.data import kept
from gancli.data.cache import Cache
from gancli.errors import UsageError
from tests.conftest import Gan

LABELS = torch.zeros(4, dtype=torch.int64)
BYTES = 4 * 3 * 8 * 8
DAY_S = 24 * 3600.0


def keep(root: Path, stem: str, listing: object = (), request: object = "as it is", age_s: float = 0.0) -> Path:
    """Keep a data set made of `/SOURCES/stem`, last used some time ago; gives its pixels' file."""
    cache = Cache(root, stem, request, listing, f"/SOURCES/{stem}")
    cache.create((4, 3, 8, 8)).fill_(len(stem))
    cache.commit(torch.full((4, 3, 8, 8), len(stem), dtype=torch.uint8), LABELS, ("all",))
    os.utime(cache.description, (time.time() - age_s,) * 2)
    return cache.pixels


def stems(root: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in (root / "cache").glob("*.u8"))


def total(root: Path) -> int:
    return sum(path.stat().st_size for path in (root / "cache").iterdir())


def test_what_was_made_before_a_folder_changed_is_removed_and_nothing_else(tmp_path: Path) -> None:
    before = keep(tmp_path, "pics", ["a.png", 1])
    small = keep(tmp_path, "pics", ["a.png", 1], request="smaller")
    namesake = Cache(tmp_path, "pics", "as it is", ["a.png", 1, "x"], "/ELSEWHERE/pics")
    namesake.store(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("all",))
    after = keep(tmp_path, "pics", ["a.png", 2])
    assert not before.exists()
    assert not before.with_suffix(".json").exists()
    assert small.exists()
    assert namesake.pixels.exists()
    assert after.exists()


def test_the_two_splits_of_a_folder_are_two_things(tmp_path: Path) -> None:
    for split in ("train", "test"):
        cache = Cache(tmp_path, "pics", "as it is", [split], "/SOURCES/pics", split)
        cache.store(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), LABELS, ("all",))
    assert stems(tmp_path) == ["pics", "pics"]


def test_beyond_its_limit_what_was_not_used_for_longest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, "oldest", age_s=3 * DAY_S)
    keep(tmp_path, "older", age_s=2 * DAY_S)
    keep(tmp_path, "used", age_s=4 * DAY_S)
    monkeypatch.setenv(kept.SIZE_VARIABLE, str(total(tmp_path)))
    assert Cache(tmp_path, "used", "as it is", (), "/SOURCES/used").load() is not None  # counts as use
    keep(tmp_path, "new")
    assert stems(tmp_path) == ["new", "older", "used"]
    monkeypatch.setenv(kept.SIZE_VARIABLE, "0")
    keep(tmp_path, "newest")
    assert stems(tmp_path) == ["newest"], "what was just made stays in any case"


def test_a_clock_that_was_wrong_keeps_nothing_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, "future", age_s=-400 * DAY_S)
    (first,) = kept.kept(tmp_path / "cache")
    assert first.last_used <= time.time()
    assert first.files[-1].stat().st_mtime == pytest.approx(time.time(), abs=60), "it grows old from here on"
    keep(tmp_path, "past", age_s=20_000 * DAY_S)
    monkeypatch.setenv(kept.SIZE_VARIABLE, "1")
    keep(tmp_path, "new")
    assert stems(tmp_path) == ["new"]


USING = """
import sys
from pathlib import Path
from gancli.files import locks
from gancli.data import kept
if sys.argv[3] == "without":
    locks.fcntl = None
kept.note_use(Path(sys.argv[1]), sys.argv[2])
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("way", ["with", "without"])
def test_what_a_living_process_has_mapped_stays_until_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "without":
        monkeypatch.setattr("gancli.files.locks.fcntl", None)
    mapped = keep(tmp_path, "mapped", age_s=2 * DAY_S)
    command = [sys.executable, "-c", USING, str(mapped.parent), mapped.stem.rpartition("-")[2], way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        user.stdout.readline()
        (one,) = kept.kept(tmp_path / "cache")
        assert one.is_in_use()
        monkeypatch.setenv(kept.SIZE_VARIABLE, "1")
        keep(tmp_path, "new")
        assert stems(tmp_path) == ["mapped", "new"]
        user.send_signal(signal.SIGKILL)
    assert not one.is_in_use()
    keep(tmp_path, "newer")
    assert stems(tmp_path) == ["newer"]
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")]


def test_a_process_that_ends_by_itself_leaves_no_mark(tmp_path: Path) -> None:
    command = [sys.executable, "-c", USING, str(tmp_path), "0123", "with"]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("\n", "")
    assert list(tmp_path.iterdir()) == []


def test_what_is_mapped_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "too_large", lambda _: True)
    keep(tmp_path, "mapped")
    (one,) = kept.kept(tmp_path / "cache")
    assert not one.is_in_use()
    found = Cache(tmp_path, "mapped", "as it is", (), "/SOURCES/mapped").load()
    assert found is not None
    assert found.mapped
    assert one.is_in_use()


def test_a_full_disk_takes_the_room_of_what_was_not_used_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, "oldest", age_s=3 * DAY_S)
    keep(tmp_path, "older", age_s=2 * DAY_S)
    really = os.posix_fallocate

    def almost_full(handle: int, start: int, size: int) -> None:
        if "oldest" in stems(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device")
        really(handle, start, size)

    monkeypatch.setattr(os, "posix_fallocate", almost_full)
    keep(tmp_path, "new")
    assert stems(tmp_path) == ["new", "older"]


def test_what_is_not_whole_is_left_alone_while_it_is_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run puts the pixels in their place first, then their description."""
    folder = tmp_path / "cache"
    folder.mkdir()
    for name, age_s in (("young", 60.0), ("old", 2 * 3600.0)):
        path = folder / f"{name}-{'0123456789' * 2}.u8"
        path.write_bytes(b"some")
        os.utime(path, (time.time() - age_s,) * 2)
    monkeypatch.setenv(kept.SIZE_VARIABLE, "1")
    keep(tmp_path, "new")
    assert stems(tmp_path) == ["new", "young"]


def test_what_is_not_ours_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("notes.json", "raw.u8", "my-weights.safetensors", ".hidden-01234567890123456789.u8")
    (tmp_path / "cache").mkdir()
    for name in names:
        (tmp_path / "cache" / name).write_bytes(b"some")
        os.utime(tmp_path / "cache" / name, (1, 1))
    monkeypatch.setenv(kept.SIZE_VARIABLE, "0")
    pixels = keep(tmp_path, "new")
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {*names, pixels.name, f"{pixels.stem}.json"}
    assert [one.name for one in kept.kept(tmp_path / "cache")] == [pixels.stem]


@pytest.mark.parametrize(
    ("text", "size"),
    [("20G", 20 * 10**9), ("1.5 tb", 15 * 10**11), ("500M", 5 * 10**8), ("1000", 1000), ("0", 0), ("", None)],
)
def test_a_size_is_read(monkeypatch: pytest.MonkeyPatch, text: str, size: int | None) -> None:
    monkeypatch.setenv(kept.SIZE_VARIABLE, text)
    assert kept.own_limit() == size


@pytest.mark.parametrize("text", ["a lot", "-1", "1e9", "20X", "nan", "9" * 30])
def test_what_is_no_size_is_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(kept.SIZE_VARIABLE, text)
    with pytest.raises(UsageError, match=f"GAN_CACHE_SIZE={text}: must be a size such as"):
        Cache(Path("nowhere"), "own", "own")


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"source": 3, "shape": [1, "x"]}', "[" * 100_000])
def test_a_description_that_is_none_is_listed_and_can_go(tmp_path: Path, content: str) -> None:
    pixels = keep(tmp_path, "odd", age_s=DAY_S)
    pixels.with_suffix(".json").write_text(content)
    (one,) = kept.kept(tmp_path / "cache")
    assert one.what == "unfinished or damaged"
    one.remove()
    assert kept.kept(tmp_path / "cache") == []


def test_a_cache_without_a_disk_s_size_has_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(shutil, "disk_usage")
    assert kept.limit(tmp_path) is None
    keep(tmp_path, "a")
    keep(tmp_path, "b")
    assert stems(tmp_path) == ["a", "b"]
    assert cache_module.too_large(2**60)


def test_compiled_steps_are_listed_as_one_and_can_go(tmp_path: Path, gan: Gan) -> None:
    place = tmp_path / "cache" / "compiled" / "ab"
    place.mkdir(parents=True)
    (place / "step.so").write_bytes(bytes(1000))
    shown = gan("cache", "--data-root", str(tmp_path))
    assert "compiled steps" in shown.out
    assert json.loads(gan("cache", "--data-root", str(tmp_path), "--json").out)["kept"][0]["bytes"] >= 1000
    assert gan("cache", "--data-root", str(tmp_path), "--clear").code == 0
    assert not (tmp_path / "cache" / "compiled").exists()
