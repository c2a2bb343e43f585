"""`python -m tests.benchmarks DATA_ROOT`: a table of images per second, ours and the plain loop's, and their ratio."""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from gancli import catalogue
from gancli.config.resolve import Layer, preset_layers, resolve
from gancli.engine import plan, rundir
from gancli.engine.session import Session
from gancli.engine.stop import Stop
from gancli.engine.train import open_data
from tests.benchmarks import plain

ROUNDS = 7
STEPS = 600


def ours(data_root: Path, directory: Path) -> tuple[Callable[[int], None], int]:
    """The same network through gan's own engine; gives a function that trains for so many steps, and its threads."""
    card = catalogue.card("vanilla")
    flags = Layer("flag", {"dataset": "mnist", "data_root": str(data_root), "device": "cpu", "steps": 10**6})
    resolved = resolve("vanilla", card.config_class, [*preset_layers("vanilla", card.config_class, "article"), flags])
    opening = open_data(resolved.run, Stop(), "labels")
    while True:
        try:
            next(opening)
        except StopIteration as end:
            source = end.value
            break
    planned = plan.make(resolved.run, resolved.own, source, catalogue.load("vanilla"))
    planned.machine.settle(deterministic=False)
    session = Session(planned, source, catalogue.load("vanilla"), rundir.prepared(directory))
    (_, phase, _, _) = next(session.phases())
    stepper = session.enter(phase, None)

    def train(steps: int) -> None:
        for _ in range(steps):
            session.advance(stepper)
            if session.due(100):
                session.loss_row(phase)

    return train, planned.machine.threads


def images_per_s(train: Callable[[int], None], threads: int, steps: int) -> float:
    torch.set_num_threads(threads)
    began = time.perf_counter()
    train(steps)
    return steps * plain.BATCH / (time.perf_counter() - began)


def main(data_root: Path) -> None:
    """Alternate the two, so that both see the same machine."""
    all_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as directory:
        mine, threads = ours(data_root, Path(directory))
        shutil.copytree(data_root / "MNIST", Path(directory) / "MNIST")  # torchvision unpacks it there
        theirs = plain.article(Path(directory))
        images_per_s(mine, threads, 200)
        images_per_s(theirs, all_threads, 50)
        rows = [
            (images_per_s(mine, threads, STEPS), images_per_s(theirs, all_threads, STEPS // 4)) for _ in range(ROUNDS)
        ]
    table = Table(title=f"torch {torch.__version__}, {ROUNDS} alternating rounds, median (min–max)")
    for heading in ("network", "ours, images/s", "plain loop, images/s", "ratio"):
        table.add_column(heading)
    ratios = [a / b for a, b in rows]
    cells = [_spread([a for a, _ in rows]), _spread([b for _, b in rows])]
    table.add_row(
        "article, batch 100", *cells, f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
    )
    Console().print(table)
    Console().print(f"threads: ours {threads} (by rule), plain loop {all_threads} (torch's default)")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
