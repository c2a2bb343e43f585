"""`python -m benchmarks --sustained [--seconds 60] [--rounds 1] [CASE...]`: whole commands, for minutes.

Each command trains for so long, alone and beside one and two busy processes: with the way threads wait as `gan` chooses it,
and with each fixed choice. The first and the last third are reported apart, since a mechanism that helps for three seconds
may slow down an hour.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

COMMANDS = {
    "vanilla": ("-v", "vanilla", "-d", "digits"),
    "article": ("-v", "vanilla", "--preset", "article", "-d", "digits"),
    "dcgan-64": ("-v", "dcgan", "-d", "shapes", "--image-size", "64", "--log-every", "5"),
}
WAYS = {"gan": {}, "spinning": {"GOMP_SPINCOUNT": "300000"}, "spinning less": {"GOMP_SPINCOUNT": "1000"}}
BUSY = (0, 1, 2)  # other processes that use a CPU each
GOAL = 0.9  # of the best fixed choice
FIRST_S = 2.0  # of a run, left out: libraries choose kernels, a step is captured

Thirds = tuple[float, float]


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Beside so many processes that do nothing but use a CPU."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


def trained(options: tuple[str, ...], way: dict[str, str], seconds: float, root: Path) -> Thirds:
    """Images per second in the first and in the last third of one command's steps."""
    out = Path(tempfile.mkdtemp(dir=root))
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("GOMP_", "OMP_", "GAN_"))} | way
    line = ["gan", "train", *options, "--steps", "10000000", "--max-time", f"{seconds:.0f}s", "--out", str(out / "run")]
    line += ["--progress", "none", "--no-report", "--data-root", str(root), "--save-every", "5m"]
    found = subprocess.run(line, env=environment, stdout=subprocess.DEVNULL, timeout=20 * seconds + 120)
    assert found.returncode == 75, "stopped by --max-time, its state saved"
    rows = [json.loads(row) for row in (out / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    batch_size = rows_batch(out / "run" / "config.toml")
    places = [(row["elapsed_s"], row["step"]) for row in rows if "elapsed_s" in row]
    began = places[0][0] + FIRST_S
    third = (places[-1][0] - began) / 3
    return rate(places, began, began + third, batch_size), rate(
        places, began + 2 * third, began + 3 * third, batch_size
    )


def rows_batch(config: Path) -> int:
    (line,) = (line for line in config.read_text("utf-8").splitlines() if line.startswith("batch_size"))
    return int(line.partition("=")[2])


def rate(places: list[tuple[float, int]], start: float, end: float, batch_size: int) -> float:
    """Images per second between two times, or a little longer: from the last row before them to the first one after."""
    (began, first) = next((place for place in reversed(places) if place[0] <= start), places[0])
    (ended, last) = next((place for place in places if place[0] >= end), places[-1])
    return batch_size * (last - first) / (ended - began)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks --sustained")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(COMMANDS)}; all if none is given")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each command")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--busy", default=",".join(map(str, BUSY)), help="numbers of other processes, with commas")
    parser.add_argument("--ways", default=",".join(WAYS), help="of waiting, with commas")
    asked = parser.parse_args(arguments)
    ways = {name: WAYS[name] for name in asked.ways.split(",")}
    began = time.monotonic()
    title = f"images/s, first third, last third; torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} CPUs"
    table = Table("command", "busy processes", *ways, "worst third of the best", title=title)
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as directory:
        for name in asked.cases or COMMANDS:
            for count in map(int, asked.busy.split(",")):
                found: dict[str, list[Thirds]] = {way: [] for way in ways}
                for _ in range(asked.rounds):
                    for way, environment in ways.items():
                        with busy(count):
                            found[way].append(trained(COMMANDS[name], environment, asked.seconds, Path(directory)))
                thirds = {
                    way: [statistics.median(third) for third in zip(*each, strict=True)] for way, each in found.items()
                }
                best = max(statistics.mean(each) for way, each in thirds.items() if way != "gan")
                share = min(thirds["gan"]) / best
                cells = (f"{first:,.0f} {last:,.0f}" for first, last in thirds.values())
                table.add_row(name, str(count), *cells, f"{share:.2f}{'' if share >= GOAL else ' (goal: 0.9)'}")
                console.print(name, count, thirds, f"{share:.2f}")
    console.print(table)
    console.print(f"{time.monotonic() - began:.0f} s in all")
