"""Choose how OpenMP's threads wait for each other, by timing, while other processes use the CPUs.

A waiting thread spins. That is fastest on a quiet machine; where another process runs on the CPU of the thread that is
waited for, each barrier may take a scheduler slice (3 ms). libgomp spins 300 times less, then lets the thread sleep
(yield), while it manages more threads than there are CPUs: an idle pool of threads makes it do so. Results do not depend
on this, so it may be chosen by timing. They do depend on the number of threads, which stays.
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

CHECK_S = 1.0  # between two checks of what other processes use
IGNORED_CPUS = 0.2  # that the system's own processes may use
TRIAL_S, TRIAL_STEPS = 1.0, 3  # the least that a trial takes
RETRY_S, MAX_RETRY_S = 30.0, 600.0  # between two trials: at first, and at most while they give the same result
MIN_SPEEDUP = 1.2  # for yielding: timings vary next to other processes, and spinning is right once they have ended
PARALLEL = 1 << 18  # values: torch divides the work on so many among its threads
TICKS_PER_S = 100  # USER_HZ, which is 100 on every platform that torch runs on

Progress = Callable[[], tuple[int, float]]
"""Returns the steps done so far, and the seconds spent in them."""


class CpuTime(NamedTuple):
    """CPU seconds used so far on the CPUs of this process, by all processes and by this one; `at`: when, in seconds."""

    used: float
    own: float
    at: float


def cpu_time() -> CpuTime:
    """Return what Linux counts; time that a virtual machine's host took counts as used. Raises `OSError` elsewhere."""
    ticks = 0
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in CPUS:
            user, nice, system, _idle, _iowait, *others = map(int, fields[:8])
            ticks += user + nice + system + sum(others)
    return CpuTime(ticks / TICKS_PER_S, time.process_time(), time.monotonic())


class IdlePool:
    """While it is open, libgomp manages one more pool of threads, which sleeps; so all of them yield."""

    def __init__(self) -> None:
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        return self._thread is not None

    def set_open(self, wanted: bool) -> None:
        if wanted and self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(target=self._sleep, name="idle pool", daemon=True)
            self._thread.start()
        elif not wanted and self._thread is not None:
            self._closing.set()
            self._thread.join()  # libgomp ends the pool with it
            self._thread = None

    def _sleep(self) -> None:
        torch.ones(PARALLEL).add_(1)  # in parallel, for which libgomp makes a pool for this thread
        self._closing.wait()


class ContentionMonitor:
    """A thread that, until `end`, measures how many CPUs other processes use, and makes this process's `num_threads`
    threads wait in the faster way. `progress`: of the work that they do.

    `other_cpus`: CPUs that other processes use; `steps_per_s`: with the way to wait that was chosen last, 0 before.
    """

    def __init__(self, num_threads: int, progress: Progress, read: Callable[[], CpuTime] = cpu_time) -> None:
        self.other_cpus = self.steps_per_s = 0.0
        self._spare_cpus = len(CPUS) - num_threads
        self._progress, self._read = progress, read
        self._began = math.inf  # when other processes began to compete, as `time.monotonic`
        self._pool = IdlePool()
        self._yields = False  # what was chosen
        self._tried_at, self._retry_s = -math.inf, RETRY_S
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="contention", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        self._pool.set_open(False)

    @property
    def yielding(self) -> bool:
        """Whether waiting threads yield their CPUs now."""
        return self._pool.is_open

    def duration_s(self) -> float:
        """Return for how long other processes have competed for the CPUs."""
        return max(0.0, time.monotonic() - self._began)

    def _run(self) -> None:
        before = self._read()
        while not self._ending.wait(CHECK_S):
            now = self._read()
            others = (now.used - before.used - now.own + before.own) / max(now.at - before.at, 1e-3)
            self.other_cpus, before = max(0.0, others), now
            if self.other_cpus <= self._spare_cpus + IGNORED_CPUS:
                self._began = math.inf
                self._pool.set_open(False)
                continue
            self._began = min(self._began, now.at)
            if now.at - self._tried_at > self._retry_s:
                self._choose()
                before = self._read()
                self._tried_at = before.at
            self._pool.set_open(self._yields)

    def _choose(self) -> None:
        """Time both ways to wait, the other one for no longer than the current one takes for as many steps."""
        current, before = self.yielding, self._yields
        rates = {current: self._steps_per_s(math.inf)}
        self._pool.set_open(not current)
        limit_s = max(TRIAL_S, TRIAL_STEPS / rates[current]) if rates[current] else 0.0
        rates[not current] = self._steps_per_s(limit_s)
        self._yields = rates[True] > MIN_SPEEDUP * rates[False]
        self.steps_per_s = rates[self._yields]
        self._retry_s = RETRY_S if self._yields != before else min(2 * self._retry_s, MAX_RETRY_S)

    def _steps_per_s(self, limit_s: float) -> float:
        """Time whole steps, from the end of the current one; 0 if none ends within `limit_s`, or the work ends."""
        deadline, (current, _), start = time.monotonic() + limit_s, self._progress(), None
        steps, seconds = 0, 0.0
        while (steps < TRIAL_STEPS or seconds < TRIAL_S) and time.monotonic() < deadline:
            if self._ending.wait(TRIAL_S / 20):
                return 0.0
            now = self._progress()
            if start is None:
                start = now if now[0] > current else None
            else:
                steps, seconds = now[0] - start[0], now[1] - start[1]
        return steps / seconds if steps else 0.0


def _can_choose() -> bool:
    """Whether this process can choose how its threads wait: with libgomp, unless the user chose (GOMP_SPINCOUNT,
    OMP_WAIT_POLICY)."""
    return SPINNING and sys.platform == "linux" and torch.get_num_threads() > 1


@contextlib.contextmanager
def monitor_contention(progress: Progress) -> Iterator[ContentionMonitor | None]:
    """Let threads wait in the faster way while the body runs, whose work `progress` counts. Yields None where that is not
    possible."""
    contention = None
    if _can_choose():
        with contextlib.suppress(OSError, RuntimeError):  # no /proc/stat; no thread can be started
            cpu_time()
            contention = ContentionMonitor(torch.get_num_threads(), progress)
    try:
        yield contention
    finally:
        if contention is not None:
            contention.end()


@contextlib.contextmanager
def yield_cpus() -> Iterator[None]:
    """Let waiting threads yield their CPUs while the body runs: for reading data, sampling, enlarging and evaluating. These
    are as fast with it on a quiet machine (training is not), and up to four times as fast next to two busy processes.

    To measure again: `gan sample` with many images, next to as many busy processes as there are CPUs, with and without.
    """
    pool = IdlePool()
    if _can_choose():
        with contextlib.suppress(RuntimeError):  # no thread can be started
            pool.set_open(True)
    try:
        yield
    finally:
        pool.set_open(False)
