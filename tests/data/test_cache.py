"""Decoded data sets on disk, while others decode and are killed."""

import errno
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli.data import cache as module
from gancli.data.cache import Cache
from gancli.data.opening import open_source
from gancli.data.photographs import open_photographs
from gancli.metrics.classifier import judge_of
from tests.conftest import warned

SHAPE = (4, 1, 8, 8)


def decode_until_killed(root: Path, stem: str) -> None:
    Cache(root, stem, stem).create(SHAPE)
    os.kill(os.getpid(), signal.SIGKILL)


def decode_and_wait(root: Path, stem: str, created: Event) -> None:
    cache = Cache(root, stem, stem)
    images = cache.create(SHAPE).fill_(7)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    created.set()
    signal.sigwait({signal.SIGUSR1})
    cache.commit(images, torch.zeros(4, dtype=torch.int64), ("all",))
    cache.discard()


@pytest.mark.slow
def test_what_a_killed_run_was_decoding_into_is_removed_by_the_next_and_what_a_living_one_is_stays(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("spawn")
    killed = context.Process(target=decode_until_killed, args=(tmp_path, "killed"))
    killed.start()
    killed.join()
    folder = tmp_path / "cache"
    assert [path.name.split("-")[0] for path in folder.iterdir()] == [".killed"], "a test of nothing otherwise"

    created = context.Event()
    living = context.Process(target=decode_and_wait, args=(tmp_path, "living", created))
    living.start()
    assert created.wait(60)
    Cache(tmp_path, "own", "own").store(torch.ones(SHAPE, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), ())
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"own", ".living"}
    assert living.pid is not None
    os.kill(living.pid, signal.SIGUSR1)
    living.join()
    assert living.exitcode == 0
    kept = Cache(tmp_path, "living", "living").load()
    assert kept is not None
    assert bool((kept.images == 7).all())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room is not asked for here")
def test_a_disk_that_was_full_keeps_no_file_of_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there was no room to decode into, what was decoded in memory is not kept: the file would be an empty one."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(module, "too_large", lambda _: True)  # such are mapped, without a look at their checksum
    cache = Cache(tmp_path, "own", "own")
    with pytest.raises(OSError, match="No space left"):
        cache.create(SHAPE)
    with pytest.raises(OSError, match="no room"):
        cache.commit(torch.ones(SHAPE, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), ())
    cache.discard()
    assert cache.load() is None
    assert list(cache.folder.iterdir()) == []


def pixels(value: int) -> torch.Tensor:
    return torch.full(SHAPE, value, dtype=torch.uint8)


LABELS = torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("with_locks", [True, False])
def test_runs_with_equal_ids_on_one_cache_are_both_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool, with_locks: bool
) -> None:
    """As in two containers: what one decodes into is never cut under the other, which would kill it (SIGBUS)."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(module, "too_large", lambda _: mapped)
    if not with_locks:
        monkeypatch.setattr("gancli.files.locks.fcntl", None)
    first, second = Cache(tmp_path, "pics", "own"), Cache(tmp_path, "pics", "own")
    ours, theirs = first.create(SHAPE).fill_(1), second.create(SHAPE).fill_(2)
    assert bool((ours == 1).all())
    first.commit(ours[:2], LABELS[:2], ("all",))
    found = first.load()
    assert found is not None
    second.commit(theirs, LABELS, ("all",))
    assert bool((found.images == 1).all())
    assert bool((ours[:2] == 1).all())
    last = second.load()
    assert last is not None
    assert bool((last.images == 2).all())
    assert len(last.images) == 4
    assert sorted(path.suffix for path in first.folder.iterdir() if path.suffix != ".use") == [".json", ".u8"]


def test_of_two_runs_that_decode_the_same_the_first_s_file_stays(tmp_path: Path) -> None:
    """Others may have it mapped from the other side of a network, where what is replaced is gone."""
    first, second = Cache(tmp_path, "pics", "own"), Cache(tmp_path, "pics", "own")
    for cache in (first, second):
        assert cache.load() is None
        cache.create(SHAPE).fill_(5)
    first.commit(pixels(5), LABELS, ("all",))
    before = first.pixels.stat().st_ino
    second.commit(pixels(5), LABELS, ("all",))
    assert first.pixels.stat().st_ino == before
    assert sorted(path.suffix for path in first.folder.iterdir()) == [".json", ".u8"]


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path, "pics", "own")
    cache.store(pixels(5), LABELS, ("all",))
    damaged = bytearray(cache.pixels.read_bytes())
    damaged[7] ^= 1
    cache.pixels.write_bytes(damaged)
    again = Cache(tmp_path, "pics", "own")
    assert again.load() is None
    again.store(pixels(5), LABELS, ("all",))
    assert again.load() is not None


@pytest.mark.parametrize("code", ["EINVAL", "EOPNOTSUPP", None])
@pytest.mark.parametrize("mapped", [True, False])
def test_room_is_taken_where_there_is_no_call_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, mapped: bool
) -> None:
    """A map of what is not there would kill the process when the disk is full."""

    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, str(code)), "no such thing")

    if code is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    monkeypatch.setattr(module, "too_large", lambda _: mapped)
    shape = (3, 1, 1000, 1000)
    cache = Cache(tmp_path, "pics", "own")
    images = cache.create(shape).fill_(3)
    (part,) = cache.folder.iterdir()
    if mapped:
        assert part.stat().st_blocks * 512 >= 3_000_000, "no hole"
    cache.commit(images, LABELS[:3], ("all",))
    found = cache.load()
    assert found is not None
    assert bool((found.images == 3).all())


@pytest.mark.parametrize("mapped", [True, False])
def test_a_disk_without_maps_is_decoded_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    def refuse(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("unable to mmap 256 bytes from file <x>: No such device (19)")

    monkeypatch.setattr(torch, "from_file", refuse)
    monkeypatch.setattr(module, "too_large", lambda _: mapped)
    cache = Cache(tmp_path, "pics", "own")
    images, warning = cache.room(SHAPE)
    assert ("No such device" in warning) == mapped
    assert cache.keep(images.fill_(1), LABELS, ("all",)) == ""
    assert (cache.load() is None) == mapped
    assert len(list(cache.folder.iterdir())) == (0 if mapped else 2)


FAULTS = ["a file in its place", "a file in the root's place", "a full disk at the end", "no flushing (EIO)"]


@pytest.mark.parametrize("fault", FAULTS)
def test_where_nothing_can_be_kept_that_is_said_once_and_all_goes_on(
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
    source, warnings = warned(open_source(str(tmp_path / "pics"), **how))
    assert source.images[:, 0, 0, 0].sort().values.tolist() == list(range(24))
    photographs, more = warned(open_photographs(str(tmp_path / "pics"), **how))
    assert photographs.num_images == 24
    monkeypatch.setattr("gancli.metrics.classifier.NUM_STEPS", 2)
    _, of_classifier = warned(judge_of(source, root, torch.device("cpu")))
    for told in (warnings, more, of_classifier):
        (line,) = told
        assert f"{root / 'cache'}: " in line
        assert "[Errno" not in line
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
