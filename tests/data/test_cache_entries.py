"""How the cache of decoded datasets stays within its limit."""

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import gancli
from gancli import events
from gancli.data import cache as cache_module
from gancli.data import cache_entries
from gancli.data.cache import Cache
from gancli.errors import UsageError

DAY_S = 24 * 3600.0


def add(root: Path, stem: str, age_days: float = 0.0) -> Cache:
    """Add an entry that was last used some time ago."""
    cache = Cache(root, stem, "own", f"/SOURCES/{stem}")
    cache.save(torch.full((4, 3, 8, 8), len(stem), dtype=torch.uint8), {})
    for path in (cache.array, cache.description):
        os.utime(path, (time.time() - age_days * DAY_S,) * 2)
    return cache


def stems(root: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in (root / "cache").glob("*.npy"))


def total(root: Path) -> int:
    return sum(path.stat().st_size for path in (root / "cache").iterdir())


def test_beyond_the_limit_what_was_not_used_for_longest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "oldest", 4)
    add(tmp_path, "older", 3)
    used = add(tmp_path, "used", 5)
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, str(total(tmp_path)))
    assert used.load() is not None  # counts as use
    add(tmp_path, "new")
    assert stems(tmp_path) == ["new", "older", "used"]


def test_what_was_used_within_a_day_stays_whatever_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may have it mapped, on another machine too."""
    add(tmp_path, "yesterday", 0.9)
    add(tmp_path, "before", 1.1)
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, "0")
    add(tmp_path, "new")
    assert stems(tmp_path) == ["new", "yesterday"]


def test_a_clock_that_was_wrong_keeps_nothing_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "future", -400)
    (first,) = cache_entries.list_entries(tmp_path / "cache")
    assert first.last_used <= time.time()
    add(tmp_path, "past", 20_000)
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, "1")
    add(tmp_path, "new")
    assert stems(tmp_path) == ["new"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the size is not taken of the disk at once here")
def test_a_full_disk_takes_the_room_of_what_was_not_used_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "oldest", 3)
    add(tmp_path, "older", 2)
    really = os.posix_fallocate

    def almost_full(handle: int, start: int, size: int) -> None:
        if "oldest" in stems(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device")
        really(handle, start, size)

    monkeypatch.setattr(os, "posix_fallocate", almost_full)
    add(tmp_path, "new")
    assert stems(tmp_path) == ["new", "older"]


def test_entries_of_earlier_versions_and_unfinished_ones_go_and_what_is_not_ours_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "0123456789" * 2
    ours = (f"a-{key}.u8", f"a-{key}.json", f"b-{key}.npy", f"classifier-{key}.safetensors")
    others = ("notes.json", "raw.npy", "my-weights.safetensors", f".hidden-{key}.npy")
    (tmp_path / "cache").mkdir()
    for name in (*ours, *others):
        (tmp_path / "cache" / name).write_bytes(b"some")
        os.utime(tmp_path / "cache" / name, (1, 1))
    assert {entry.what for entry in cache_entries.list_entries(tmp_path / "cache")} == {"unfinished or damaged"}
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, "0")
    new = add(tmp_path, "new")
    left = {*others, new.array.name, new.description.name}
    assert {path.name for path in (tmp_path / "cache").iterdir()} == left


@pytest.mark.parametrize(
    ("text", "size"),
    [("20G", 20 * 10**9), ("1.5 tb", 15 * 10**11), ("500M", 5 * 10**8), ("1000", 1000), ("0", 0), ("", None)],
)
def test_a_size_is_read(monkeypatch: pytest.MonkeyPatch, text: str, size: int | None) -> None:
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, text)
    assert cache_entries.own_limit() == size


@pytest.mark.parametrize("text", ["a lot", "-1", "1e9", "20X", "nan", "9" * 30])
def test_what_is_no_size_is_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, text)
    with pytest.raises(UsageError, match=f"GAN_CACHE_SIZE={text}: must be a size such as"):
        Cache(Path("nowhere"), "own", "own")


def test_a_cache_without_a_disk_s_size_has_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(shutil, "disk_usage")
    assert cache_entries.limit(tmp_path) is None
    add(tmp_path, "a", 3)
    add(tmp_path, "b")
    assert stems(tmp_path) == ["a", "b"]
    assert cache_module.is_too_large(2**60)


def test_a_run_that_has_an_entry_mapped_keeps_it_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "is_too_large", lambda _: True)
    (tmp_path / "pics").mkdir()
    for index in range(20):
        Image.new("L", (8, 8), index).save(tmp_path / "pics" / f"{index}.png")

    def age(event: events.Event) -> None:
        if isinstance(event, events.RunStarted):
            for path in (tmp_path / "root" / "cache").iterdir():
                os.utime(path, (time.time() - 2 * DAY_S,) * 2)

    small: dict[str, Any] = {
        "image_size": 8,
        "batch_size": 4,
        "width": 4,
        "latent_dim": 2,
        "device": "cpu",
        "threads": 1,
    }
    where: dict[str, Any] = {
        "dataset": str(tmp_path / "pics"),
        "data_root": str(tmp_path / "root"),
        "out": str(tmp_path / "run"),
    }
    gancli.train("vanilla", steps=4, on_event=age, **where, **small)
    (entry,) = cache_entries.list_entries(tmp_path / "root" / "cache")
    assert time.time() - entry.last_used < DAY_S
