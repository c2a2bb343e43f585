"""Join the processes that torchrun or `machine.launch` started, as one process group of torch.distributed."""

import contextlib
import datetime
import importlib
import os
import time
import uuid
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist

from gancli.errors import GancliError
from gancli.machine.ranks import Ranks

TIMEOUT = datetime.timedelta(hours=2)  # the first process may be downloading while the others wait
POLL_S = 0.01


@contextlib.contextmanager
def join_processes() -> Iterator[Ranks]:
    """Join the process group of torchrun, if it started this process, and leave it at the end. Raises `GancliError` if
    another process is missing or exits."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    # torch imports it with the first optimizer, whose default arguments then keep gloo's threads alive after the group's
    # end. At exit such a thread may take the GIL, and abort the process.
    importlib.import_module("torch.distributed.nn")
    _init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Ranks(
            dist.get_rank(),
            dist.get_world_size(),
            int(os.environ.get("LOCAL_RANK", "0")),
            int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        )
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise GancliError(f"a worker process exited unexpectedly ({str(error).splitlines()[0][:200]})") from error
    finally:
        dist.destroy_process_group()


def _init_process_group(backend: str) -> None:
    """Call `torch.distributed.init_process_group` with a key prefix of this attempt's own.

    torchrun keeps one store over its restarts (`--max-restarts`), in which a restarted process would read the addresses of
    processes that have died.
    """
    store, rank, world = next(dist.rendezvous("env://", timeout=TIMEOUT))  # type: ignore[attr-defined]
    prefix = f"gancli/{agree_on_key(store, rank, world, TIMEOUT.total_seconds())}"
    own = dist.PrefixStore(prefix, store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=own, rank=rank, world_size=world, timeout=TIMEOUT)


def agree_on_key(store: Any, rank: int, world: int, timeout_s: float) -> str:
    """Return a key that all processes of this attempt know, and no earlier attempt used. The first process makes it, and
    answers the request of each other process, which has an id of its own. Raises `GancliError` after `timeout_s`."""
    if rank:
        request = uuid.uuid4().hex
        store.set(f"gancli/request/{rank}", request)
        key = str(store.get(f"gancli/key/{request}"), "ascii")
        store.set(f"gancli/received/{key}/{rank}", "")
        return key
    key, deadline = uuid.uuid4().hex, time.monotonic() + timeout_s
    for other in range(1, world):
        while not store.check([f"gancli/received/{key}/{other}"]):
            if store.check([f"gancli/request/{other}"]):  # maybe an earlier process's, which a new request replaces
                store.set(f"gancli/key/{str(store.get(f'gancli/request/{other}'), 'ascii')}", key)
            if time.monotonic() > deadline:
                raise GancliError(f"process {other} of {world} did not join within {timeout_s / 60:.0f} minutes")
            time.sleep(POLL_S)
    return key
