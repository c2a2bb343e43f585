"""How the processes of a run find each other.

torchrun keeps one store over its restarts (`--max-restarts`). What a process that died had left in it would be read as
where the new one lies, so each attempt's keys have a word of their own before them.
"""

import datetime
import time
import uuid
from typing import Any

import torch.distributed as dist

from gancli.errors import GancliError

POLL_S = 0.01


def begin(backend: str, timeout: datetime.timedelta) -> None:
    """`torch.distributed.init_process_group` by the environment that torchrun, or RANK, WORLD_SIZE, MASTER_ADDR and
    MASTER_PORT give. Raises `GancliError` where others stay away."""
    store, rank, world = next(dist.rendezvous("env://", timeout=timeout))  # type: ignore[attr-defined]
    mine = dist.PrefixStore(  # type: ignore[attr-defined]
        f"gancli/{word(store, rank, world, timeout.total_seconds())}", store
    )
    dist.init_process_group(backend, store=mine, rank=rank, world_size=world, timeout=timeout)


def word(store: Any, rank: int, world: int, timeout_s: float) -> str:
    """What the processes of this attempt agree on, and no earlier ones did: the first one's word, asked for by a question
    that nobody asked before."""
    if rank:
        question = uuid.uuid4().hex
        store.set(f"gancli/asked/{rank}", question)
        answer = str(store.get(f"gancli/answer/{question}"), "ascii")
        store.set(f"gancli/heard/{answer}/{rank}", "")
        return answer
    answer, deadline = uuid.uuid4().hex, time.monotonic() + timeout_s
    for other in range(1, world):
        while not store.check([f"gancli/heard/{answer}/{other}"]):
            if store.check([f"gancli/asked/{other}"]):  # perhaps an earlier one's question: it may be asked anew
                store.set(f"gancli/answer/{str(store.get(f'gancli/asked/{other}'), 'ascii')}", answer)
            if time.monotonic() > deadline:
                raise GancliError(f"process {other} of {world} did not come within {timeout_s / 60:.0f} minutes")
            time.sleep(POLL_S)
    return answer
