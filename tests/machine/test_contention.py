"""How threads wait while other processes use the CPUs: in the faster way, found by trial."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import gancli
from gancli.events import Event, Warned
from gancli.machine import contention
from gancli.machine.contention import ContentionMonitor, CpuTime, cpu_time, monitor_contention
from gancli.process import CPUS
from gancli.store import checkpoint
from gancli.text import Note

SMALL_OPTIONS = {"image_size": 8, "width": 16, "inner_width": 16, "latent_dim": 8, "batch_size": 32, "device": "cpu"}

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what other processes use of the CPUs")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Machine:
    """Others use `others` CPUs; steps take `yielding_s` or `spinning_s`, by the way that threads wait."""

    def __init__(self, others: float, yielding_s: float, spinning_s: float) -> None:
        self.others, self.step_s = others, {True: yielding_s, False: spinning_s}
        self.contention: ContentionMonitor | None = None
        self._used = self._at = self._spent_s = 0.0
        self._steps = self.asked = 0

    def look(self) -> CpuTime:
        self._at += 1
        self._used += self.others
        return CpuTime(self._used, 0.0, self._at)

    def progress(self) -> tuple[int, float]:
        self.asked += 1
        self._steps += 1
        self._spent_s += self.step_s[self.contention is not None and self.contention.yielding]
        return self._steps, self._spent_s


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Machine], ContentionMonitor]]:
    for name in ("CHECK_S", "TRIAL_S"):
        monkeypatch.setattr(contention, name, 0.01)
    running = []

    def start(machine: Machine) -> ContentionMonitor:
        machine.contention = ContentionMonitor(len(CPUS), machine.progress, machine.look)
        running.append(machine.contention)
        return machine.contention

    yield start
    for each in running:
        each.end()


Start = Callable[[Machine], ContentionMonitor]


def test_the_faster_way_is_kept_as_long_as_others_use_the_cpus(started: Start) -> None:
    machine = Machine(others=1.0, yielding_s=0.1, spinning_s=0.3)
    found = started(machine)
    until(lambda: found.yielding and found.duration_s() > 0)
    time.sleep(0.1)
    asked = machine.asked
    time.sleep(0.1)
    assert found.yielding
    assert machine.asked == asked, "a choice holds for a while"
    machine.others = 0.0
    until(lambda: not found.yielding)
    assert found.duration_s() == 0
    machine.others = 1.0
    until(lambda: found.yielding)
    assert machine.asked == asked, "and is taken up again"


def test_nothing_is_tried_on_a_quiet_machine(started: Start) -> None:
    machine = Machine(others=contention.IGNORED_CPUS / 2, yielding_s=0.1, spinning_s=0.3)
    found = started(machine)
    time.sleep(0.3)
    assert not found.yielding
    assert not machine.asked


@LINUX
def test_a_busy_process_is_seen_and_this_one_is_not() -> None:
    before = cpu_time()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        time.sleep(1)
        after = cpu_time()
        busy.kill()
    assert after.used - after.own - before.used + before.own > 0.2
    began = cpu_time()
    while time.process_time() - began.own < 0.5:
        pass
    assert cpu_time().own - began.own >= 0.5


def printed(script: str, **environment: str) -> str:
    """What a process prints in which the user has not chosen how threads wait, unless by `environment`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True).stdout


@LINUX
def test_yielding_adds_a_pool_of_openmps_threads_and_removes_it() -> None:
    script = (
        "import torch, time; torch.set_num_threads(2); torch.ones(10**6).add_(1)\n"
        "from pathlib import Path; from gancli.machine import contention\n"
        "count = lambda: len(list(Path('/proc/self/task').iterdir()))\n"
        "before = count()\n"
        "with contention.yield_cpus():\n    time.sleep(0.3); during = count()\n"
        "time.sleep(0.2); print(before, during, count())"
    )
    before, during, after = map(int, printed(script).split())
    assert before == after < during


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("spinning", [True, False])
def test_the_users_own_choice_wins(spinning: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "SPINNING", spinning)
    with monitor_contention(lambda: (0, 0.0)) as found:
        assert (found is not None) is (spinning and sys.platform == "linux")


@pytest.mark.parametrize("variable", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS"])
def test_how_the_user_chooses(variable: str) -> None:
    found = printed("import gancli.process; print(gancli.process.SPINNING)", **{variable: "1"})
    assert found.strip() == str(variable == "OMP_NUM_THREADS")


@LINUX
@pytest.mark.usefixtures("two_threads")
def test_a_run_reports_other_processes_once_with_what_fewer_threads_would_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And trains what it would have trained."""
    options: Any = {**SMALL_OPTIONS, "steps": 260, "threads": 2, "log_every": 20}
    gancli.train("vanilla", out=tmp_path / "quiet", **options)
    for place, name, value in (
        ("gancli.machine.contention", "SPINNING", True),
        ("gancli.machine.contention", "IGNORED_CPUS", -100.0),  # others are always in the way
        ("gancli.machine.contention", "CHECK_S", 0.01),
        ("gancli.machine.contention", "TRIAL_S", 0.02),
        ("gancli.engine.monitors", "CONTENDED_S", 0.02),
        ("gancli.steps.runner", "TRIAL_S", 0.02),
    ):
        monkeypatch.setattr(f"{place}.{name}", value)
    seen: list[Event] = []
    gancli.train("vanilla", out=tmp_path / "busy", on_event=seen.append, **options)
    warnings = [event.message for event in seen if isinstance(event, Warned)]
    (line,) = (line for line in warnings if line.startswith("other processes use"))
    assert isinstance(line, Note)
    assert "threads=1" in line, "as Python names it"
    one, other = (checkpoint.load_model(tmp_path / name / "ckpt.safetensors") for name in ("quiet", "busy"))
    weights = other.variant.generator.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in one.variant.generator.state_dict().items())
