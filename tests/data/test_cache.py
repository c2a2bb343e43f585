"""Decoded datasets on disk: within their limit, and while others decode and are killed."""

import errno
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gancli
from gancli import events
from gancli.data import cache as module
from gancli.data import cache_entries
from gancli.data.cache import Cache
from gancli.data.dataset import Dataset
from gancli.data.opening import open_dataset
from gancli.data.options import DatasetOptions
from gancli.data.photographs import open_photographs
from gancli.errors import UsageError
from gancli.metrics.classifier import evaluation_classifier
from tests.conftest import OPTIONS, warned

SHAPE = (12, 1, 8, 8)
DAY_S = 24 * 3600.0
needs_fallocate = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no call reserves the size here")


def cache_of(root: Path, stem: str = "images", emit: events.Emit = events.ignore) -> Cache:
    return Cache(root, stem, "content", f"/SOURCES/{stem}", emit)


def source(images: torch.Tensor) -> Dataset:
    labels = torch.zeros(len(images), dtype=torch.int64)
    return Dataset("images", images, labels, ("all",), note="three are damaged")


def save(cache: Cache, value: int = 5, num_images: int = SHAPE[0]) -> Dataset:
    """Decode into the cache as a dataset does; `num_images` of its images can be read."""
    with cache.allocate(SHAPE) as images:
        return cache.save_source(source(images.fill_(value)[:num_images]))


def add(root: Path, stem: str, age_days: float = 0.0) -> Cache:
    """Add an entry that was last used some time ago."""
    save(cache := cache_of(root, stem))
    for path in (cache.array, cache.description):
        os.utime(path, (time.time() - age_days * DAY_S,) * 2)
    return cache


def stems(root: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in (root / "cache").glob("*.npy"))


def failing(number: int, when: Callable[[], bool] = lambda: True, otherwise: Any = None) -> Callable[..., Any]:
    """A call of the system that fails."""

    def call(*args: object, **_: object) -> Any:
        if when():
            raise OSError(number, os.strerror(number))
        return otherwise(*args)

    return call


@pytest.fixture(params=[True, False], ids=["mapped", "in memory"])
def mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(module, "is_too_large", lambda _: request.param)
    return bool(request.param)


def test_decoded_images_are_found_again_and_numpy_reads_them(tmp_path: Path, mapped: bool) -> None:
    assert cache_of(tmp_path).load_source("images") is None
    made = save(cache := cache_of(tmp_path), num_images=9)  # a shorter header in the same place
    found = cache_of(tmp_path).load_source("images")
    assert found is not None
    expected = torch.full(SHAPE, 5, dtype=torch.uint8)[:9]
    for each in (made, found):
        assert torch.equal(each.images, expected)
        assert (each.class_names, each.note, each.digest) == (("all",), "three are damaged", made.digest)
        assert (each.mapped_file is not None) == mapped
    assert np.array_equal(np.load(cache.array), expected.numpy())
    assert sorted(path.suffix for path in cache.folder.iterdir()) == [".json", ".npy"]


@pytest.mark.parametrize("where", [7, 40, -1])  # the header's length, the shape, the pixels
def test_a_damaged_array_is_made_again(tmp_path: Path, where: int) -> None:
    save(cache := cache_of(tmp_path))
    damaged = bytearray(cache.array.read_bytes())
    damaged[where] ^= 1
    cache.array.write_bytes(damaged)
    assert cache.load_source("images") is None
    save(cache_of(tmp_path))
    assert cache.load_source("images") is not None


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("content", ["", "[1]", "{", '{"shape": ["x"]}', '{"shape": [1e99, 2]}', "[" * 100_000])
def test_a_damaged_description_is_made_again(tmp_path: Path, content: str) -> None:
    save(cache := cache_of(tmp_path))
    cache.description.write_text(content)
    assert cache.load_source("images") is None
    save(cache_of(tmp_path))
    assert cache.load_source("images") is not None


def test_an_array_without_a_description_does_not_count_and_stays(tmp_path: Path) -> None:
    """Another run puts the array in its place first, or was killed then."""
    save(cache := cache_of(tmp_path))
    cache.description.unlink()
    assert cache.load_source("images") is None
    assert cache.array.exists()


@pytest.mark.usefixtures("mapped")
def test_of_two_runs_that_decode_the_same_the_file_of_the_first_stays(tmp_path: Path) -> None:
    """Others may have it mapped from the other side of a network, where a replaced file is gone."""
    first, second = cache_of(tmp_path), cache_of(tmp_path)
    with second.allocate(SHAPE) as images:
        save(first)
        before = first.array.stat().st_ino
        assert bool((second.save_source(source(images.fill_(5))).images == 5).all())
    assert first.array.stat().st_ino == before
    assert sorted(path.suffix for path in first.folder.iterdir()) == [".json", ".npy"]


def decode(root: Path, stem: str, created: Event | None) -> None:
    """Decode into a map: until a signal, or to be killed."""
    module.is_too_large = lambda _: True  # type: ignore[assignment]
    cache = cache_of(root, stem)
    with cache.allocate(SHAPE) as images:
        if created is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            created.set()
            signal.sigwait({signal.SIGUSR1})
            cache.save_source(source(images.fill_(7)))


@pytest.mark.slow
def test_unfinished_files_of_killed_runs_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    created = context.Event()
    killed = context.Process(target=decode, args=(tmp_path, "killed", None))
    living = context.Process(target=decode, args=(tmp_path, "living", created))
    for process in (killed, living):
        process.start()
    killed.join()
    assert created.wait(60)
    folder = tmp_path / "cache"
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {".killed", ".living"}
    for path in folder.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    save(cache_of(tmp_path, "own"))
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"own", ".living"}
    assert living.pid is not None
    os.kill(living.pid, signal.SIGUSR1)
    living.join()
    assert living.exitcode == 0
    found = cache_of(tmp_path, "living").load_source("images")
    assert found is not None
    assert bool((found.images == 7).all())


@needs_fallocate
@pytest.mark.parametrize(("call", "number"), [("os.posix_fallocate", errno.ENOSPC), ("numpy.memmap", errno.ENODEV)])
def test_without_a_file_to_map_images_are_decoded_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool, call: str, number: int
) -> None:
    monkeypatch.setattr(call, failing(number))
    said = list[events.Event]()
    assert bool((save(cache := cache_of(tmp_path, emit=said.append), 1).images == 1).all())
    saved = call == "numpy.memmap" and not mapped
    assert [os.strerror(number) in str(event) for event in said] == ([] if saved else [True])
    assert (cache.load_source("images") is not None) == saved
    assert len(list(cache.folder.iterdir())) == 2 * saved


@pytest.mark.parametrize("number", [errno.EINVAL, None])
def test_the_size_is_reserved_on_disks_without_a_call_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    """A map of a hole would kill the process when the disk is full."""
    if number is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", failing(number), raising=False)
    monkeypatch.setattr(module, "is_too_large", lambda _: True)
    with (cache := cache_of(tmp_path)).allocate((3, 1, 1000, 1000)) as images:
        (part,) = cache.folder.iterdir()
        assert part.stat().st_blocks * 512 >= 3_000_000, "no hole"
        cache.save_source(source(images.fill_(3)))
    found = cache.load_source("images")
    assert found is not None
    assert bool((found.images == 3).all())


@pytest.mark.parametrize("fault", ["cache is a file", "root is a file", "os.replace", "os.fsync"])
def test_if_nothing_can_be_written_a_warning_says_so_and_the_run_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    (tmp_path / "images").mkdir()
    for index in range(24):
        Image.new("RGB", (8, 8), (index, 9, 9)).save(tmp_path / "images" / f"{index}.png")
    root = tmp_path / "root"
    if fault.startswith("os."):
        monkeypatch.setattr(fault, failing(errno.ENOSPC if fault == "os.replace" else errno.EIO))
    elif fault == "cache is a file":
        root.mkdir()
        (root / "cache").write_text("in the way")
    else:
        root.write_text("in the way")
    options = DatasetOptions(root, 8)
    opened, warnings = warned(open_dataset, str(tmp_path / "images"), options)
    assert opened.images[:, 0, 0, 0].sort().values.tolist() == list(range(24))
    photographs, more = warned(open_photographs, str(tmp_path / "images"), options)
    assert photographs.num_images == 24
    monkeypatch.setattr("gancli.metrics.classifier.NUM_STEPS", 2)
    _, of_classifier = warned(evaluation_classifier, opened, root, torch.device("cpu"))
    for lines in (warnings, more, of_classifier):
        (line,) = lines
        assert f"{root / 'cache'}: " in line
        assert "[Errno" not in line
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_beyond_the_limit_the_least_recently_used_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "oldest", 4)
    add(tmp_path, "older", 3)
    used = add(tmp_path, "used", 5)
    size = sum(path.stat().st_size for path in (tmp_path / "cache").iterdir())
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, str(size + 100))
    assert used.load_source("images") is not None  # counts as use
    add(tmp_path, "new")
    assert stems(tmp_path) == ["new", "older", "used"]


def test_entries_used_within_a_day_stay_whatever_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may have them mapped, on another machine too. A clock that was wrong keeps nothing for ever."""
    add(tmp_path, "yesterday", 0.9)
    add(tmp_path, "before", 1.1)
    add(tmp_path, "future", -400)
    assert all(entry.last_used <= time.time() for entry in cache_entries.list_entries(tmp_path / "cache"))
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, "0")
    add(tmp_path, "new")
    assert stems(tmp_path) == ["new", "yesterday"]


@needs_fallocate
def test_on_a_full_disk_the_least_recently_used_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "oldest", 3)
    add(tmp_path, "older", 2)
    full = failing(errno.ENOSPC, lambda: "oldest" in stems(tmp_path), os.posix_fallocate)
    monkeypatch.setattr(os, "posix_fallocate", full)
    add(tmp_path, "new")
    assert stems(tmp_path) == ["new", "older"]


def test_old_and_unfinished_entries_go_and_other_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_an_invalid_size_is_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(cache_entries.SIZE_VARIABLE, text)
    with pytest.raises(UsageError, match=f"GAN_CACHE_SIZE={text}: must be a size such as"):
        cache_of(Path("nowhere"))


def test_a_disk_of_unknown_size_sets_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(shutil, "disk_usage")
    assert cache_entries.limit(tmp_path) is None
    add(tmp_path, "a", 3)
    add(tmp_path, "b")
    assert stems(tmp_path) == ["a", "b"]


def test_a_run_that_has_an_entry_mapped_keeps_it_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_too_large", lambda _: True)
    (tmp_path / "images").mkdir()
    for index in range(20):
        Image.new("L", (8, 8), index).save(tmp_path / "images" / f"{index}.png")

    def age(event: events.Event) -> None:
        if isinstance(event, events.RunStarted):
            for path in (tmp_path / "root" / "cache").iterdir():
                os.utime(path, (time.time() - 2 * DAY_S,) * 2)

    where: dict[str, Any] = {"data_root": str(tmp_path / "root"), "out": str(tmp_path / "run")}
    gancli.train("vanilla", steps=4, dataset=str(tmp_path / "images"), on_event=age, **where, **OPTIONS)
    (entry,) = cache_entries.list_entries(tmp_path / "root" / "cache")
    assert time.time() - entry.last_used < DAY_S
