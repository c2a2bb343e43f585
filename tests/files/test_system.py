"""What only some systems tell, and what is made of the others' silence."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gancli.data import folder
from gancli.engine import stop
from gancli.store.rundir import RunDirectory


def test_only_signals_that_the_system_has_are_taken_over() -> None:
    there = "import signal; del signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2; signal.SIGBREAK = signal.SIGABRT"
    code = f"{there}; from gancli.engine.stop import SIGNALS; print(*(s.name for s in SIGNALS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["SIGINT", "SIGTERM", "SIGABRT"]


def test_a_handler_that_is_not_python_s_is_given_back_as_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, object]] = []
    monkeypatch.setattr(stop.signal, "signal", lambda *args: given.append(args))  # type: ignore[attr-defined]
    with stop.Stop():
        given.clear()
    assert (signal.SIGTERM, signal.SIG_DFL) in given


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="for Linux")
def test_cpus_taken_away_meanwhile_end_no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    folder._on_any_cpu()


@pytest.mark.parametrize("change", ["del os.sched_getaffinity", "os.sched_getaffinity = lambda _: open('/nowhere')"])
def test_where_affinity_is_not_told_all_cpus_count(change: str) -> None:
    code = f"import os; {change}; import gancli; print(len(gancli.CPUS) == os.cpu_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"


def test_an_old_state_that_cannot_be_removed_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path)
    directory.state(1).parent.mkdir()
    for step in (1, 2, 3):
        directory.state(step).write_bytes(b"")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        directory.prune(2)
    assert len(directory.states()) == 3
    directory.prune(2)
    assert len(directory.states()) == 2
