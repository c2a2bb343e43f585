"""One contender in a process of its own: `python -m tests.benchmarks.worker ours|plain CASE DEVICE PRECISION DIRECTORY`.

Says a line of JSON when it is ready; for every number of steps it reads it trains so many and says the seconds; at the end
of its input it says what else is known.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, mm_flop, register_flop_formula

from gancli import catalogue
from gancli.config.resolve import Layer, preset_layers, resolve
from gancli.engine import plan
from gancli.engine.session import Session
from gancli.engine.stop import Stop
from gancli.engine.train import open_data
from gancli.events import Telling
from gancli.store import rundir
from tests.benchmarks.cases import CASES, Case


@register_flop_formula(torch.ops.mkldnn._linear_pointwise)
def _onednn_flop(x_shape: Any, weight_shape: Any, *_: Any, **__: Any) -> int:
    """Of a product by oneDNN (`machine.products`): x · weightᵀ."""
    flop: int = mm_flop(x_shape, weight_shape[::-1])
    return flop


def planned(case: Case, device: str, precision: str, directory: Path) -> tuple[plan.Plan, Any]:
    """What `gan train` would do, and the data."""
    card = catalogue.card(case.variant)
    options = {"data_root": str(directory), "device": device, "precision": precision, "steps": 2 * 10**6}
    options |= case.options
    if options["dataset"] == "photographs":
        options["dataset"] = str(directory / "photographs")
    preset = str(options.pop("preset"))
    layers = [*preset_layers(case.variant, card.config_class, preset), Layer("flag", options)]
    resolved = resolve(case.variant, card.config_class, layers)
    variant_class = catalogue.load(case.variant)
    opening = open_data(resolved.run, Stop(), variant_class.reads)
    telling = Telling(opening)
    list(telling)
    return plan.make(resolved.run, resolved.own, telling.result, variant_class), telling.result


def ours(case: Case, what: plan.Plan, source: Any, directory: Path) -> tuple[Callable[[int], None], float]:
    """gan's own engine: trains so many steps; and a step's floating-point operations."""
    what.machine.settle(deterministic=False)
    session = Session(what, source, catalogue.load(case.variant), rundir.prepared(directory / "run"))
    (_, phase, _, end) = next(session.phases())
    runner = session.enter(phase, None)

    def train(steps: int) -> None:
        last = session.step + steps
        while session.step < last:
            session.advance(runner, session.room(min(last, end), (100,)))
            if session.due(100):
                list(session.loss_row(phase))

    with FlopCounterMode(display=False) as counter:
        train(1)
    return train, counter.get_total_flops()


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak(case: Case, device: torch.device) -> float:
    """Floating-point operations per second of the case's product: the best of ten stretches of a tenth of a second."""
    work, flop = case.product(device)
    work()
    best, repeats = 0.0, 1
    for _ in range(14):
        wait(device)
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        wait(device)
        seconds = time.perf_counter() - began
        best = max(best, repeats * flop / seconds)
        repeats = max(1, round(repeats * 0.1 / seconds))
    return best


def main(contender: str, case: Case, device_name: str, precision: str, directory: Path) -> None:
    what, source = planned(case, device_name, precision, directory)
    device = what.machine.device
    known: dict[str, object] = {"batch": what.run.batch_size}
    if contender == "ours":
        train, known["flop"] = ours(case, what, source, directory)
    else:
        train = case.plain(source, device)
    known["threads"] = torch.get_num_threads()
    train(5)  # three one by one, and the one that is captured
    say({"ready": True})
    for line in sys.stdin:
        wait(device)
        began = time.perf_counter()
        train(int(line))
        wait(device)
        say({"seconds": time.perf_counter() - began})
    known["memory"] = what.machine.peak_memory_bytes()
    if contender == "ours":
        known["peak"] = peak(case, device)
    say(known)


def say(words: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], CASES[sys.argv[2]], sys.argv[3], sys.argv[4], Path(sys.argv[5]))
