"""Threads that give way while other processes want the CPUs, and only then."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from gancli.machine import waiting
from gancli.machine.waiting import Watch, giving_way, waited_s

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a process waits for CPUs")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_S", 0.005)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def clock(step: float) -> Callable[[], float]:
    ticks = iter(range(10**9))
    return lambda: next(ticks) * step


@pytest.mark.usefixtures("at_once")
def test_it_gives_way_when_others_want_the_cpus_and_no_longer_when_they_do_not() -> None:
    """In a machine's own time: half a second a look, of which its threads waited 0.2 s each time, then never."""
    share = [0.2]
    total = [0.0]

    def waited() -> float:
        total[0] += share[0]
        return total[0]

    watch = Watch(waited, clock(0.5))
    try:
        until(lambda: watch.gives_way)
        threads = {thread.ident for thread in threading.enumerate() if thread.name == "waiting"}
        share[0] = 0.0
        until(lambda: not watch.gives_way)
        until(lambda: threads.isdisjoint({t.ident for t in threading.enumerate() if t.name == "waiting"}))
        share[0] = 0.2
        until(lambda: watch.gives_way)
    finally:
        watch.end()
    assert not [thread for thread in threading.enumerate() if thread.name == "waiting"]


@pytest.mark.usefixtures("at_once")
def test_what_is_usual_is_no_contention() -> None:
    watch = Watch(clock(0.01), clock(0.5))  # one in fifty
    time.sleep(0.3)
    gave = watch.gives_way
    watch.end()
    assert not gave


@LINUX
def test_giving_way_puts_a_thread_under_the_librarys_management() -> None:
    """One more pool of OpenMP's threads, which goes when it is over. In a process of its own, with two threads."""
    script = (
        "import torch, time; torch.set_num_threads(2); torch.ones(10**6).add_(1)\n"
        "from pathlib import Path; from gancli.machine import waiting; waiting.POLL_S = 0.01\n"
        "count = lambda: len(list(Path('/proc/self/task').iterdir()))\n"
        "before = count(); watch = waiting.Watch(iter(range(10**9)).__next__)\n"
        "while not watch.gives_way: time.sleep(0.01)\n"
        "during = count(); watch.end(); time.sleep(0.2); print(before, during, count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, during, after = map(int, done.stdout.split())
    assert during == before + 2  # the thread that looks, and the one of its pool
    assert after == before


@LINUX
def test_what_the_kernel_tells_is_waiting_alone() -> None:
    begun = waited_s()
    time.sleep(0.1)
    assert 0 <= waited_s() - begun < 0.05 * len(list(Path("/proc/self/task").iterdir()))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("spinning", [True, False])
def test_a_users_own_word_wins(spinning: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SPINNING", spinning)
    with giving_way():
        looks = any(thread.name == "waiting" for thread in threading.enumerate())
    assert looks is (spinning and sys.platform == "linux")


@pytest.mark.parametrize("variable", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS"])
def test_which_words_those_are(variable: str) -> None:
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("GOMP_", "OMP_"))} | {variable: "1"}
    script = "import gancli.process, os; print(gancli.process.SPINNING, os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    spins, count = done.stdout.split()
    told = variable != "OMP_NUM_THREADS"
    assert (spins, count) == (("False", "1" if variable == "GOMP_SPINCOUNT" else "None") if told else (spins, count))
    if not told and os.access("/proc/self/schedstat", os.R_OK):
        assert spins == "True"
