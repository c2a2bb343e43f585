"""Decoded data sets on disk, while others decode and are killed."""

import errno
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch

from gancli.data import cache as module
from gancli.data.cache import Cache

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
