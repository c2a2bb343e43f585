"""`python -m tests.benchmarks [--device cpu] [--precision auto] [CASE...]`: images per second, ours beside a plain loop's.

The two are processes of their own that take turns, so that both see the same machine.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from tests.benchmarks.cases import CASES, draw_photographs

ROUNDS = 7
HEADINGS = ("network", "batch", "ours, images/s", "plain loop", "ratio", "of the product's rate", "memory", "threads")


class Contender:
    """A worker process."""

    def __init__(self, name: str, case: str, device: str, precision: str, directory: Path) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.worker", name, case, device, precision, str(directory)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout
        self._heard()

    def seconds(self, steps: int) -> float:
        self.input.write(f"{steps}\n")
        self.input.flush()
        return float(self._heard()["seconds"])

    def end(self) -> dict[str, Any]:
        self.input.close()
        return self._heard()

    def _heard(self) -> dict[str, Any]:
        line = self.output.readline()
        if not line:
            raise SystemExit("a worker ended too early")
        words: dict[str, Any] = json.loads(line)
        return words


def measured(name: str, device: str, precision: str, directory: Path) -> list[str]:
    """The table's row of a case."""
    case = CASES[name]
    contenders = [Contender(who, name, device, precision, directory / who) for who in ("ours", "plain")]
    rounds = [[one.seconds(case.steps) / case.steps for one in contenders] for _ in range(ROUNDS)]
    mine, theirs = (one.end() for one in contenders)
    batch = mine["batch"]
    shares = [mine["flop"] / seconds / mine["peak"] for seconds, _ in rounds]
    return [
        case.name,
        str(batch),
        spread([batch / seconds for seconds, _ in rounds], ",.0f"),
        spread([batch / seconds for _, seconds in rounds], ",.0f"),
        spread([b / a for a, b in rounds], ".2f"),
        f"{statistics.median(shares):.0%} of {mine['peak'] / 1e9:,.0f} GFLOP/s",
        f"{mine['memory'] / 1e6:,.0f} / {theirs['memory'] / 1e6:,.0f} MB",
        f"{mine['threads']} / {theirs['threads']}",
    ]


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if none is given")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", default="auto", help="ours: auto, fp32, bf16 or fp16; the plain loop is in fp32")
    asked = parser.parse_args()
    for name in asked.cases:
        if name not in CASES:
            parser.error(f"{name}: must be one of {', '.join(CASES)}")
    table = Table(
        title=f"torch {torch.__version__}, {platform.machine()}, {ROUNDS} alternating rounds: median (min–max)"
    )
    for heading in HEADINGS:
        table.add_column(heading)
    for name in asked.cases or CASES:
        with tempfile.TemporaryDirectory() as directory:
            for who in ("ours", "plain"):
                Path(directory, who).mkdir()
                draw_photographs(Path(directory, who, "photographs"))
            table.add_row(*measured(name, asked.device, asked.precision, Path(directory)))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
