"""What happens while a command runs: signals to it, a second one beside it, another run in its directory."""

import signal
import time
from dataclasses import replace
from pathlib import Path

from tests.reliability.cells import Cell
from tests.reliability.servers import Job, Outcome, Processes, Running, Server

WAIT_S = 30.0


def run(server: Server | Processes, job: Job, cell: Cell, event: str) -> Outcome:
    """How `job` ends, with that event: "", `twin`, `rival`, or names of signals."""
    if event == "twin":
        return _with_twin(server, job, cell)
    if event == "rival":
        return _beside_rival(server, job, cell)
    running = server.start(job)
    if event:
        _wait_for_rows(cell.path("out") / "metrics.jsonl", running)
    for name in event.split():
        running.signal(getattr(signal, name))
        time.sleep(0.001)
    return running.wait()


def _wait_for_rows(path: Path, running: Running) -> None:
    """Until the run has written a row, or ended."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and running.runs and not (path.exists() and path.stat().st_size):
        time.sleep(0.01)


def _with_twin(server: Server | Processes, job: Job, cell: Cell) -> Outcome:
    """The same, twice at a time into two directories; gives the worse of both."""
    first = server.start(job)
    time.sleep(0.1)
    second = server.start(replace(job, args=[a if a != cell.names.out else f"{a}/second" for a in job.args]))
    both = [first.wait(), second.wait()]
    return next((outcome for outcome in both if outcome.code != 0), both[0])


def _beside_rival(server: Server | Processes, job: Job, cell: Cell) -> Outcome:
    """While another process trains in that directory."""
    rows = cell.path("half") / "metrics.jsonl"
    size = rows.stat().st_size
    rival = server.start(replace(job, args=[*job.args, "--steps", "1000000"]))
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and rival.runs and rows.stat().st_size <= size:
        time.sleep(0.01)
    outcome = server.run(job)
    rival.signal(signal.SIGTERM)
    rival.wait()
    return outcome
