"""Threads that wait without standing in the way of other processes, as soon as there are some.

OpenMP's threads wait for each other by spinning, for milliseconds. Where another process has the CPU of the one that is
waited for, they spin in its way: on two cores beside one busy process a step took 5 to 100 times as long. libgomp spins 300
times less while it manages more threads than there are CPUs. So while this process waits for CPUs that others have, which
the kernel tells, one thread more is put under its management, asleep. No bit of what is computed depends on it.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from gancli.process import SPINNING

POLL_S = 0.5
# Of the time some thread of ours was ready and had no CPU: 0.01 when nothing else ran, 0.35 and more beside a busy process.
CONTENDED = 0.1
QUIET_S = 10.0  # and then for so long less than a third of it
PARALLEL = 1 << 18  # values that torch shares out to its threads


def waited_s() -> float:
    """For how long the threads of this process together have been ready and had no CPU."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):  # it has just ended
            total += int((task / "schedstat").read_text("ascii").split()[1])
    return total / 1e9


class Watch:
    """A thread that looks twice a second, until `end`. `waited` and `now`: as `waited_s` and `time.monotonic`."""

    def __init__(self, waited: Callable[[], float] = waited_s, now: Callable[[], float] = time.monotonic) -> None:
        self._waited, self._now = waited, now
        self._over = threading.Event()
        self.gives_way = False
        self._thread = self._started()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._look, name="waiting", daemon=True)
        thread.start()
        return thread

    def _look(self) -> None:
        waited, at = self._waited(), self._now()
        quiet_since = at
        while not self._over.wait(POLL_S):
            waited, at, before, began = self._waited(), self._now(), waited, at
            share = (waited - before) / max(at - began, 1e-3)
            if share > CONTENDED / 3:
                quiet_since = at
            if share > CONTENDED and not self.gives_way:
                self._give_way()
            elif self.gives_way and at - quiet_since > QUIET_S:
                self.gives_way = False
                self._thread = self._started()  # with this thread what libgomp manages for it ends
                return

    def _give_way(self) -> None:
        """Do something in parallel: from then on libgomp manages threads for this one, too."""
        torch.ones(PARALLEL).add_(1)
        self.gives_way = True


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """Within it, threads give way to other processes; where that can be seen, and the user has not said how they wait."""
    if not SPINNING or sys.platform != "linux" or torch.get_num_threads() == 1:
        yield
        return
    try:
        watch = Watch()
    except RuntimeError:  # no thread can be started; then none is in anybody's way for long
        yield
        return
    try:
        yield
    finally:
        watch.end()
