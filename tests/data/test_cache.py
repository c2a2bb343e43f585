"""Decoded datasets on disk, while others decode and are killed."""

import errno
import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.data import cache as module
from gancli.data.cache import Cache
from gancli.data.opening import open_source
from gancli.data.photographs import open_photographs
from gancli.data.source import Source
from gancli.metrics.classifier import evaluation_classifier
from tests.conftest import warned

SHAPE = (12, 1, 8, 8)
LABELS = torch.zeros(12, dtype=torch.int64)


def pixels(value: int) -> torch.Tensor:
    return torch.full(SHAPE, value, dtype=torch.uint8)


def source(images: torch.Tensor) -> Source:
    return Source("pics", images, LABELS[: len(images)], ("all",), note="three are damaged")


def suffixes(cache: Cache) -> list[str]:
    return sorted(path.suffix for path in cache.folder.iterdir())


@pytest.fixture(params=[True, False], ids=["mapped", "in memory"])
def mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(module, "is_too_large", lambda _: request.param)
    return bool(request.param)


def test_what_was_decoded_is_found_again_and_numpy_reads_it(tmp_path: Path, mapped: bool) -> None:
    cache = Cache(tmp_path, "pics", "own")
    assert cache.load_source("pics") is None
    images, warning = cache.allocate(SHAPE)
    images.copy_(pixels(5))
    made, failed = cache.save_source(source(images[:9]))  # a shorter header's place
    assert (warning, failed) == ("", "")
    found = Cache(tmp_path, "pics", "own").load_source("pics")
    assert found is not None
    for each in (made, found):
        assert torch.equal(each.images, pixels(5)[:9])
        assert (each.class_names, each.note, each.digest) == (("all",), "three are damaged", made.digest)
        assert (each.mapped_file is not None) == mapped
    assert np.array_equal(np.load(cache.array), pixels(5)[:9].numpy())
    assert suffixes(cache) == [".json", ".npy"]


@pytest.mark.parametrize("where", [7, 40, -1])  # the header's length, the shape, the pixels
def test_a_damaged_array_is_made_again(tmp_path: Path, where: int) -> None:
    cache = Cache(tmp_path, "pics", "own")
    cache.save_source(source(pixels(5)))
    damaged = bytearray(cache.array.read_bytes())
    damaged[where] ^= 1
    cache.array.write_bytes(damaged)
    again = Cache(tmp_path, "pics", "own")
    assert again.load_source("pics") is None
    again.save_source(source(pixels(5)))
    assert again.load_source("pics") is not None


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("content", ["", "[1]", "{", '{"shape": ["x"]}', '{"shape": [1e99, 2]}', "[" * 100_000])
def test_a_damaged_description_is_made_again(tmp_path: Path, content: str) -> None:
    cache = Cache(tmp_path, "pics", "own")
    cache.save_source(source(pixels(5)))
    cache.description.write_text(content)
    assert cache.load_source("pics") is None
    cache.save_source(source(pixels(5)))
    assert cache.load_source("pics") is not None


def test_an_array_without_a_description_does_not_count(tmp_path: Path) -> None:
    """Another run puts the array in its place first, or was killed then."""
    cache = Cache(tmp_path, "pics", "own")
    cache.save_source(source(pixels(5)))
    cache.description.unlink()
    assert cache.load_source("pics") is None
    assert cache.array.exists()


@pytest.mark.usefixtures("mapped")
def test_of_two_runs_that_decode_the_same_the_first_s_file_stays(tmp_path: Path) -> None:
    """Others may have it mapped from the other side of a network, where what is replaced is gone."""
    caches = [Cache(tmp_path, "pics", "own") for _ in range(2)]
    tensors = [cache.allocate(SHAPE)[0].fill_(5) for cache in caches]
    caches[0].save_source(source(tensors[0]))
    before = caches[0].array.stat().st_ino
    made, _ = caches[1].save_source(source(tensors[1]))
    assert caches[0].array.stat().st_ino == before
    assert torch.equal(made.images, pixels(5))
    assert suffixes(caches[0]) == [".json", ".npy"]


def decode_until_killed(root: Path) -> None:
    module.is_too_large = lambda _: True  # type: ignore[assignment]
    Cache(root, "killed", "killed").allocate(SHAPE)
    os.kill(os.getpid(), signal.SIGKILL)


def decode_and_wait(root: Path, created: Event) -> None:
    module.is_too_large = lambda _: True  # type: ignore[assignment]
    cache = Cache(root, "living", "living")
    images, _ = cache.allocate(SHAPE)
    images.fill_(7)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    created.set()
    signal.sigwait({signal.SIGUSR1})
    cache.save_source(source(images))


@pytest.mark.slow
def test_what_a_killed_run_was_decoding_into_is_removed_and_what_a_living_one_is_stays(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    killed = context.Process(target=decode_until_killed, args=(tmp_path,))
    killed.start()
    killed.join()
    created = context.Event()
    living = context.Process(target=decode_and_wait, args=(tmp_path, created))
    living.start()
    assert created.wait(60)
    folder = tmp_path / "cache"
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {".killed", ".living"}
    for path in folder.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    Cache(tmp_path, "own", "own").save_source(source(pixels(1)))
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"own", ".living"}
    assert living.pid is not None
    os.kill(living.pid, signal.SIGUSR1)
    living.join()
    assert living.exitcode == 0
    found = Cache(tmp_path, "living", "living").load_source("pics")
    assert found is not None
    assert bool((found.images == 7).all())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the size is not taken of the disk at once here")
def test_on_a_full_disk_images_are_decoded_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    cache = Cache(tmp_path, "own", "own")
    images, warning = cache.allocate(SHAPE)
    made, failed = cache.save_source(source(images.fill_(1)))
    assert ("No space left" in warning, "No space left" in failed) == (mapped, not mapped)
    assert bool((made.images == 1).all())
    assert cache.load_source("pics") is None
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("code", ["EINVAL", None])
def test_the_size_is_taken_of_the_disk_where_there_is_no_call_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None
) -> None:
    """A map of what is not there would kill the process when the disk is full."""

    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, str(code)), "no such thing")

    if code is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    monkeypatch.setattr(module, "is_too_large", lambda _: True)
    shape = (3, 1, 1000, 1000)
    cache = Cache(tmp_path, "pics", "own")
    images, _ = cache.allocate(shape)
    (part,) = cache.folder.iterdir()
    assert part.stat().st_blocks * 512 >= 3_000_000, "no hole"
    cache.save_source(source(images.fill_(3)))
    found = cache.load_source("pics")
    assert found is not None
    assert bool((found.images == 3).all())


def test_a_disk_without_maps_is_decoded_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(np, "memmap", refuse)
    cache = Cache(tmp_path, "pics", "own")
    images, warning = cache.allocate(SHAPE)
    _, failed = cache.save_source(source(images.fill_(1)))
    assert ("No such device" in warning, failed) == (mapped, "")
    assert (cache.load_source("pics") is None) == mapped
    assert len(list(cache.folder.iterdir())) == (0 if mapped else 2)


FAULTS = ["a file in its place", "a file in the root's place", "a full disk at the end", "no flushing (EIO)"]


@pytest.mark.parametrize("fault", FAULTS)
def test_where_nothing_can_be_written_that_is_said_once_and_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    (tmp_path / "pics").mkdir()
    for index in range(24):
        Image.new("RGB", (8, 8), (index, 9, 9)).save(tmp_path / "pics" / f"{index}.png")
    root = tmp_path / "root"
    if fault == FAULTS[0]:
        root.mkdir()
        (root / "cache").write_text("in the way")
    elif fault == FAULTS[1]:
        root.write_text("in the way")

    def refuse(*_: object) -> None:
        number = errno.ENOSPC if fault == FAULTS[2] else errno.EIO
        raise OSError(number, os.strerror(number))

    if fault in FAULTS[2:]:
        monkeypatch.setattr(os, "replace" if fault == FAULTS[2] else "fsync", refuse)
    how: dict[str, Any] = {"data_root": root, "image_size": 8, "download": False, "on_bad_image": "fail"}
    opened, warnings = warned(open_source, str(tmp_path / "pics"), **how)
    assert opened.images[:, 0, 0, 0].sort().values.tolist() == list(range(24))
    photographs, more = warned(open_photographs, str(tmp_path / "pics"), **how)
    assert photographs.num_images == 24
    monkeypatch.setattr("gancli.metrics.classifier.NUM_STEPS", 2)
    _, of_classifier = warned(evaluation_classifier, opened, root, torch.device("cpu"))
    for told in (warnings, more, of_classifier):
        (line,) = told
        assert f"{root / 'cache'}: " in line
        assert "[Errno" not in line
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
