"""One contender in a process of its own: `python -m benchmarks.worker CONTENDER CASE DEVICE PRECISION DIRECTORY`.

Says a line of JSON when it is ready; for every number of seconds it reads it trains about so long and says how many steps
that were; at the end of its input it says what else is known.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import flop_registry, mm_flop, register_flop_formula

from benchmarks.cases import CASES, Case
from gancli import catalogue
from gancli.config.resolve import Layer, preset_layers, resolve
from gancli.engine import plan
from gancli.engine.session import Session
from gancli.engine.train import open_data
from gancli.events import ignore
from gancli.machine import torch_private
from gancli.store import run_directory


@register_flop_formula(torch.ops.mkldnn._linear_pointwise)
def _onednn_flop(x_shape: Any, weight_shape: Any, *_: Any, **__: Any) -> int:
    """Of a product by oneDNN (`machine.cpu_tuning`): x · weightᵀ."""
    flop: int = mm_flop(x_shape, weight_shape[::-1])
    return flop


class Flop(torch_private.DispatchMode):  # type: ignore[no-untyped-call]
    """Counts the floating-point operations of what is done within. (`FlopCounterMode` also asks which module they are of,
    by hooks that do not bear double backward.)"""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self.total += int(count(*args, **(kwargs or {}), out_val=out))
        return out


Train = Callable[[int], None]


def planned(case: Case, device: str, precision: str, compiled: bool, directory: Path) -> tuple[plan.Plan, Any]:
    """What `gan train` would do, and the data."""
    card = catalogue.variant_info(case.variant)
    options = {"data_root": str(directory), "device": device, "precision": precision, "steps": 2 * 10**6}
    options |= {"compile": "yes" if compiled else "no"}
    options |= case.options
    if options["dataset"] == "photographs":
        options["dataset"] = str(directory / "photographs")
    preset = str(options.pop("preset"))
    layers = [*preset_layers(case.variant, card.config_class, preset), Layer("flag", options)]
    resolved = resolve(case.variant, card.config_class, layers)
    variant_class = catalogue.load(case.variant)
    source = open_data(resolved.run, resolved.own, variant_class, ignore)
    return plan.resolve_plan(resolved.run, resolved.own, source, variant_class), source


def ours(case: Case, what: plan.Plan, source: Any, directory: Path) -> tuple[Train, dict[str, object]]:
    """gan's own engine, which trains so many steps; and what is known of a step."""
    what.machine.configure(deterministic=False)
    session = Session(what, source, catalogue.load(case.variant), run_directory.make_writable(directory / "run"))
    (_, phase, _, end) = next(session.phases.remaining(session.step))
    runner = session.enter(phase, None)

    def train(steps: int) -> None:
        last = session.step + steps
        while session.step < last:
            session.advance(runner, session.steps_until(min(last, end), (100,)))
            if session.due(100):
                list(session.loss_row(phase))

    with Flop() as counter:  # type: ignore[no-untyped-call]
        runner.training_step.run(session.batches.batch(0))
    began = time.perf_counter()
    for event in session.compile(runner):
        raise SystemExit(event.message)  # what is called compiled must be
    known: dict[str, object] = {"flop": counter.total}
    if what.run.compile == "yes":
        known["compile_s"] = round(time.perf_counter() - began, 1)
    return train, known


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


def kernels(train: Train, steps: int) -> float:
    """How many kernels a step starts on a CUDA device."""
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        train(steps)
        torch.cuda.synchronize()
    on_device = [event for event in seen.events() if event.device_type.name == "CUDA"]
    return len(on_device) / steps


def timed(train: Train, chunk: int, seconds: float, device: torch.device) -> dict[str, object]:
    """Train for about so long, `chunk` steps at a time."""
    wait(device)
    steps, began = 0, time.perf_counter()
    while True:
        train(chunk)
        wait(device)
        steps += chunk
        if (spent := time.perf_counter() - began) >= seconds:
            return {"steps": steps, "seconds": spent}


def main(contender: str, case: Case, device_name: str, precision: str, directory: Path) -> None:
    mine, compiled = "plain" not in contender, "compiled" in contender
    what, source = planned(case, device_name, precision, mine and compiled, directory)
    device = what.machine.device
    known: dict[str, object] = {"batch": what.run.batch_size}
    if mine:
        train, more = ours(case, what, source, directory)
        known |= more
        train(13 if device.type == "cuda" else 5)  # three one by one, and those that are captured
    else:
        began = time.perf_counter()
        train = case.plain(source, device, nn.Module.compile if compiled else lambda _: None)
        train(3)
        if compiled:
            known["compile_s"] = round(time.perf_counter() - began, 1)
    if device.type == "cuda":
        known["kernels"] = kernels(train, 10)
    say(known)
    chunk = case.steps if device.type == "cpu" else 10 * case.steps if mine else case.steps
    for line in sys.stdin:
        say(timed(train, max(1, chunk // 10), float(line), device))
    last: dict[str, object] = {"memory": what.machine.peak_memory_bytes(), "threads": torch.get_num_threads()}
    if contender == "ours":
        last["peak"] = peak(case, device)
    say(last)


def say(words: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], CASES[sys.argv[2]], sys.argv[3], sys.argv[4], Path(sys.argv[5]))
