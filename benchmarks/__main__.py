"""`python -m benchmarks [CASE...] [--device cuda] [--json FILE] [--against FILE]`: steps timed beside a plain loop's.

The contenders are processes of their own that take turns, so that all see the same machine. On CUDA ours is also compiled,
and so is the plain loop; on a CPU, where compiling takes minutes, with `--compile`. `--sustained`: see `sustained`.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import sustained
from benchmarks.cases import CASES, draw_photographs
from benchmarks.contenders import CONTENDERS, Contender, Measured, measure

ROUNDS = 7
SECONDS = {"cuda": 0.25, "cpu": 1.5}  # of one turn
CPUS_PER_CASE = 4  # while contenders are made ready
HEADINGS = (
    "network",
    "batch",
    "contender",
    "µs a step",
    "images/s",
    "kernels",
    "of the floor",
    "compiled in",
    "memory",
    "threads",
)
Row = dict[str, Any]


def rows_of(name: str, found: dict[str, Measured]) -> Iterator[Row]:
    """What is known of each contender of a case, as it is written to JSON."""
    batch = found["ours"].words["batch"]
    flop, peak = found["ours"].words["flop"], found["ours"].words["peak"]
    for contender, measured in found.items():
        seconds, words = statistics.median(measured.rounds), measured.words
        yield {
            "case": name,
            "contender": contender,
            "batch": batch,
            "us_per_step": round(1e6 * seconds, 1),
            "us_range": [round(1e6 * each(measured.rounds), 1) for each in (min, max)],
            "images_per_s": round(batch / seconds),
            "times_the_plain_loop": round(statistics.median(map(ratio, found["plain"].rounds, measured.rounds)), 3),
            "kernels_per_step": words.get("kernels"),
            "share_of_floor": round(flop / seconds / peak, 4),
            "compile_s": words.get("compile_s"),
            "memory_bytes": words["memory"],
            "threads": words["threads"],
        }


def ratio(theirs: float, mine: float) -> float:
    return theirs / mine


def cells(row: Row, before: Row | None) -> list[str]:
    """A row of the table; `before`: the same of the run that is compared with."""
    low, high = row["us_range"]
    steps = f"{row['us_per_step']:,.0f} ({low:,.0f}–{high:,.0f})"
    if before is not None:
        steps += f", was {before['us_per_step']:,.0f}: {before['us_per_step'] / row['us_per_step']:.2f}×"
    return [
        CASES[row["case"]].name if row["contender"] == "ours" else "",
        str(row["batch"]) if row["contender"] == "ours" else "",
        CONTENDERS[row["contender"]],
        steps,
        f"{row['images_per_s']:,} ({row['times_the_plain_loop']:.2f}×)",
        "–" if row["kernels_per_step"] is None else f"{row['kernels_per_step']:.0f}",
        f"{row['share_of_floor']:.1%}",
        "–" if row["compile_s"] is None else f"{row['compile_s']:.0f} s",
        f"{row['memory_bytes'] / 1e6:,.0f} MB",
        str(row["threads"]),
    ]


@contextlib.contextmanager
def contenders_of(name: str, asked: argparse.Namespace) -> Iterator[list[Contender]]:
    """All of a case, started at once."""
    compiling = asked.compile or asked.device.startswith("cuda")
    names = [who for who in CONTENDERS if compiling or "compiled" not in who]
    with tempfile.TemporaryDirectory() as directory:
        for who in names:
            Path(directory, who).mkdir()
            draw_photographs(Path(directory, who, "photographs"))
        yield [Contender(who, name, asked.device, asked.precision, Path(directory, who)) for who in names]


def measured(names: Iterable[str], asked: argparse.Namespace) -> Iterator[tuple[str, dict[str, Measured]]]:
    """Case by case. As many cases are made ready at once as there are CPUs for; then nothing else runs."""
    at_once = max(1, (os.cpu_count() or 1) // CPUS_PER_CASE)
    queue = list(names)
    for some in (queue[first : first + at_once] for first in range(0, len(queue), at_once)):
        with contextlib.ExitStack() as stack:
            waiting = [(name, stack.enter_context(contenders_of(name, asked))) for name in some]
            for one in (one for _, contenders in waiting for one in contenders):
                one.wait()
            for name, contenders in waiting:
                yield name, measure(contenders, ROUNDS, asked.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if none is given")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", default="auto", help="ours: auto, fp32, bf16 or fp16; the plain loop is in fp32")
    parser.add_argument("--compile", action="store_true", help="on a CPU too")
    parser.add_argument("--seconds", type=float, help="of each of the seven turns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with what an earlier run wrote")
    asked = parser.parse_args()
    for name in asked.cases:
        if name not in CASES:
            parser.error(f"{name}: must be one of {', '.join(CASES)}")
    asked.seconds = asked.seconds or SECONDS[asked.device.partition(":")[0]]
    before = json.loads(asked.against.read_text("utf-8")) if asked.against else {"rows": []}
    earlier = {(row["case"], row["contender"]): row for row in before["rows"]}
    began = time.monotonic()
    table, rows = Table(title=title(asked.device)), list[Row]()
    for heading in HEADINGS:
        table.add_column(heading)
    for name, found in measured(asked.cases or list(CASES), asked):
        for row in rows_of(name, found):
            rows.append(row)
            table.add_row(*cells(row, earlier.get((row["case"], row["contender"]))))
    Console(width=190).print(table)
    Console(width=190).print(f"{time.monotonic() - began:.0f} s in all")
    if asked.json:
        asked.json.write_text(json.dumps({"machine": title(asked.device), "rows": rows}, indent=1) + "\n", "utf-8")


def title(device: str) -> str:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return f"torch {torch.__version__}, {name}, {ROUNDS} alternating turns: median (lowest–highest), × the plain loop"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sustained"]:
        sustained.main(sys.argv[2:])
    else:
        main()
