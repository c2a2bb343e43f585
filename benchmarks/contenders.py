"""The contenders of a case, each a process of its own: made ready together, then timed by turns."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTENDERS = {
    "ours": "gan, as it is by default",
    "compiled": "gan --compile",
    "plain": "the plain loop",
    "plain-compiled": "the plain loop, torch.compile",
}
Words = dict[str, Any]


class Contender:
    """A worker process."""

    def __init__(self, name: str, case: str, device: str, precision: str, directory: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", name, case, device, precision, str(directory)]
        self.name = name
        self.words: Words = {}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout

    def wait(self) -> None:
        """Until it can begin."""
        self.words = self._heard()

    def seconds_per_step(self, seconds: float) -> float:
        """Train for about so long."""
        self.input.write(f"{seconds}\n")
        self.input.flush()
        words = self._heard()
        return float(words["seconds"]) / int(words["steps"])

    def end(self) -> Words:
        self.input.close()
        words = self._heard()
        self.process.wait()
        return words

    def _heard(self) -> Words:
        line = self.output.readline()
        if not line:
            raise SystemExit(f"{self.name}: the worker ended too early")
        words: Words = json.loads(line)
        return words


@dataclass
class Measured:
    """One contender's seconds per step, a round each, and what else it said."""

    rounds: list[float] = field(default_factory=list)
    words: Words = field(default_factory=dict)


def measure(contenders: list[Contender], rounds: int, seconds: float) -> dict[str, Measured]:
    """All by turns, `rounds` times for so many seconds each. They must be ready."""
    found = {one.name: Measured(words=one.words) for one in contenders}
    for _ in range(rounds):
        for one in contenders:
            found[one.name].rounds.append(one.seconds_per_step(seconds))
    for one in contenders:
        found[one.name].words |= one.end()
    return found
