"""How OpenMP's threads wait for each other while other processes use the CPUs.

A thread that waits for others spins. That is the fastest way on a quiet machine; where another process has taken the CPU of
the thread that is waited for, every barrier may last a scheduler slice (3 ms). libgomp spins 300 times less (then the thread
sleeps) while it manages more threads than there are CPUs, so a pool of threads that does nothing switches the two ways. No
result depends on the way, so it is chosen by measuring; the number of threads is not, since results depend on it.
"""

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from gancli.process import CPUS, SPINNING

LOOK_S = 1.0  # between two looks at what others use
TOLERATED = 0.2  # CPUs that others may use: a system's own processes
TRIAL_S, TRIAL_STEPS = 1.0, 3  # the least that a way is tried for
AGAIN_S, SELDOM_S = 30.0, 600.0  # a choice holds for so long at first, and at most if it does not change
WORTH_YIELDING = (
    1.2  # times as fast, in a trial: paces beside other processes vary, and spinning is right once they have gone
)
PARALLEL = 1 << 18  # values: torch shares the work on so many out to its threads

Progress = Callable[[], tuple[int, float]]
"""Steps done so far, and the seconds spent in them."""


class CpuTime(NamedTuple):
    """CPU seconds used on the CPUs of this process so far: by everyone, by this process; and the time it was then."""

    used: float
    own: float
    at: float


def cpu_time() -> CpuTime:
    """As Linux counts it. Time that a virtual machine's host took counts as used."""
    ticks = 0
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in CPUS:
            user, nice, system, _idle, _iowait, *others = map(int, fields[:8])
            ticks += user + nice + system + sum(others)
    return CpuTime(ticks / TICKS_PER_S, time.process_time(), time.monotonic())


TICKS_PER_S = 100  # USER_HZ, which is 100 on every platform that torch runs on


class Contention:
    """A thread that looks at what other processes use of the CPUs, until `end`, and keeps `threads` of this process in the
    faster way to wait. `progress`: of the work that they do; `look`: as `cpu_time`.

    `others`: CPUs that others use; `since`: when they began to be in the way (as `time.monotonic`; infinity while they are
    not); `pace`: steps per second in the way that was chosen last.
    """

    def __init__(self, threads: int, progress: Progress, look: Callable[[], CpuTime] = cpu_time) -> None:
        self.others, self.since, self.pace = 0.0, math.inf, 0.0
        self.spare = len(CPUS) - threads  # CPUs that this process leaves to others
        self._progress, self._look = progress, look
        self._pool = IdlePool()
        self._chosen = False  # whether to yield while others are in the way
        self._chosen_at = -math.inf
        self._again_s = AGAIN_S
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="contention", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self._pool.close()

    @property
    def yielding(self) -> bool:
        """Whether threads that wait sleep soon."""
        return self._pool.is_open

    def lasted_s(self) -> float:
        """For how long others have been in the way."""
        return max(0.0, time.monotonic() - self.since)

    def _run(self) -> None:
        before = self._look()
        while not self._over.wait(LOOK_S):
            now = self._look()
            others = (now.used - before.used - now.own + before.own) / max(now.at - before.at, 1e-3)
            before = now
            self.others = max(0.0, others)
            if self.others <= self.spare + TOLERATED:
                self.since = math.inf
                self._pool.close()
                continue
            self.since = min(self.since, now.at)
            if now.at - self._chosen_at > self._again_s:
                self._choose()
                before = self._look()
                self._chosen_at = before.at
            self._wait(self._chosen)

    def _choose(self) -> None:
        """Try the other way, for no longer than the current one takes for as many steps, and keep the faster one in mind."""
        current, before = self.yielding, self._chosen
        pace = {current: self._measured()}
        self._wait(not current)
        pace[not current] = self._measured(max(TRIAL_S, TRIAL_STEPS / pace[current])) if pace[current] else 0.0
        self._chosen = pace[True] > WORTH_YIELDING * pace[False]
        self.pace = pace[self._chosen]
        self._again_s = AGAIN_S if self._chosen != before else min(2 * self._again_s, SELDOM_S)

    def _wait(self, yielding: bool) -> None:
        if yielding:
            self._pool.open()
        else:
            self._pool.close()

    def _measured(self, limit_s: float = math.inf) -> float:
        """Steps per second from the end of the current step on. 0 where no step is done in `limit_s`, or the work ends."""
        deadline, began, first = time.monotonic() + limit_s, self._progress(), None
        while True:
            steps, seconds = now = self._progress()
            if first is None and steps > began[0]:
                first = now
            elif first is not None and seconds - first[1] >= TRIAL_S and steps - first[0] >= TRIAL_STEPS:
                break
            if time.monotonic() > deadline:
                break
            if self._over.wait(TRIAL_S / 20):
                return 0.0
        if first is None or steps == first[0]:
            return 0.0
        return (steps - first[0]) / (seconds - first[1])


class IdlePool:
    """While it is open, libgomp manages threads for one more thread of ours, which sleeps."""

    def __init__(self) -> None:
        self._close = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        return self._thread is not None

    def open(self) -> None:
        if self._thread is None:
            self._close.clear()
            self._thread = threading.Thread(target=self._sleep, name="idle pool", daemon=True)
            self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._close.set()
            self._thread.join()  # what libgomp manages for it ends with it
            self._thread = None

    def _sleep(self) -> None:
        torch.ones(PARALLEL).add_(1)  # in parallel: from here on libgomp manages threads for this thread
        self._close.wait()


def can_switch() -> bool:
    """Whether the way that threads wait can be switched: with libgomp, unless the user has chosen one (GOMP_SPINCOUNT,
    OMP_WAIT_POLICY)."""
    return SPINNING and sys.platform == "linux" and torch.get_num_threads() > 1


@contextlib.contextmanager
def watched(progress: Progress) -> Iterator[Contention | None]:
    """While work that tells its `progress` is done within, its threads wait in the faster way."""
    contention = None
    if can_switch():
        with contextlib.suppress(OSError, RuntimeError):  # no /proc/stat; no thread can be started
            cpu_time()
            contention = Contention(torch.get_num_threads(), progress)
    try:
        yield contention
    finally:
        if contention is not None:
            contention.end()


@contextlib.contextmanager
def yielding() -> Iterator[None]:
    """Threads that wait within it sleep soon: for data, drawing, enlarging and measuring, which lose nothing by it on a
    quiet machine (a step of training does), and beside two busy processes take up to a quarter of the time.
    """
    pool = IdlePool()
    if can_switch():
        with contextlib.suppress(RuntimeError):  # no thread can be started
            pool.open()
    try:
        yield
    finally:
        pool.close()
