"""Choose the number of steps of a run that is to take a given time (`--within`), by the pace of this machine."""

import dataclasses
import gc
import time
from contextlib import closing, nullcontext
from statistics import mean

from gancli.config import interval
from gancli.data.dataset import Dataset
from gancli.data.photographs import PhotoDataset
from gancli.engine.plan import Plan
from gancli.engine.session import Session
from gancli.engine.stop import Stop
from gancli.events import Emit, Progress, Warned
from gancli.machine import contention
from gancli.steps.runner import WARM_UP_STEPS, StepRunner
from gancli.store.run_directory import RunDirectory
from gancli.text import Note
from gancli.variant import Variant

TIMED_S = 1.0  # the least time of the steps of one timing
DIGITS = 2  # significant ones of the number of steps


def steps_within(
    within: str,
    planned: Plan,
    source: Dataset | PhotoDataset,
    variant_class: type[Variant],
    directory: RunDirectory,
    stop: Stop,
    emit: Emit,
) -> int:
    """Return how many steps of a new run take about the time `within`, at most those of its plan, and emit a note of them.

    Some steps of each phase are done and timed, uncompiled, in networks of their own. The run that follows builds its
    networks anew from its seed, so that it is the same as if the number had been given by `--steps`. Of several processes,
    the slowest counts, and all return the same number. Raises `StoppedError` if a stop is requested.
    """
    emit(Progress(doing="timing some steps"))
    seconds, whole_s = interval.seconds(within), _whole_length_s(planned, source, variant_class, directory, stop)
    gc.collect()  # a captured step is in a cycle with what it trained, which would stay on the device
    if whole_s <= seconds:
        emit(Warned(Note(f"--within {within}: all {planned.steps} steps should take less on this machine")))
        return planned.steps
    steps = max(1, int(float(f"{planned.steps * seconds / whole_s:.{DIGITS}g}")))
    line = (
        f"--within {within}: {steps} of {planned.steps} steps, by the pace of this machine; a resume, and a repeat with"
    )
    emit(Warned(Note(f"{line} --config config.toml, keep that number")))
    return steps


def _whole_length_s(
    planned: Plan,
    source: Dataset | PhotoDataset,
    variant_class: type[Variant],
    directory: RunDirectory,
    stop: Stop,
) -> float:
    """Return the seconds that all steps of a plan take."""
    uncompiled = dataclasses.replace(planned, run=dataclasses.replace(planned.run, compile="no"))
    whole_s = 0.0
    with closing(Session(uncompiled, source, variant_class, directory)) as trial:
        with trial.ranks.main_process_first():
            trial.variant.prepare(trial.machine.device)
        for phase, start, end in trial.phases.spans:
            if start < end:
                trial.step = start
                whole_s += (end - start) * _seconds_per_step(trial, trial.enter(phase, None), end, stop)
    return whole_s


def _seconds_per_step(trial: Session, runner: StepRunner, end: int, stop: Stop) -> float:
    """Return the seconds that a step before step `end` takes: the mean of two timings, or of two in which threads that wait
    yield their CPUs if that is faster, as a run then does. The first steps, in which kernels are chosen and a step is
    captured, do not count."""
    untimed, steps = min(WARM_UP_STEPS + 1, end - trial.step), 1
    seconds = _timed(trial, runner, untimed, stop)
    if trial.step == end:
        return seconds / untimed
    while (seconds := _timed(trial, runner, steps, stop)) < TIMED_S and trial.step + 2 * steps <= end:
        steps *= 2
    found = {False: [seconds / steps], True: list[float]()}
    for yields in (True, False, True):  # in turn, as the load of a machine changes
        if more := min(steps, end - trial.step):
            with contention.yield_cpus() if yields else nullcontext():
                found[yields].append(_timed(trial, runner, more, stop) / more)
    return min(mean(timings) for timings in found.values() if timings)


def _timed(trial: Session, runner: StepRunner, steps: int, stop: Stop) -> float:
    """Do `steps` steps, and return the seconds until the device has done them, in the slowest process."""
    began, last = time.monotonic(), trial.step + steps
    while trial.step < last:
        trial.advance(runner, last - trial.step)
    trial.losses.pop_means()
    stopped, microseconds = trial.ranks.maximum(stop.reason is not None, round(1e6 * (time.monotonic() - began)))
    if stopped:
        stop.request(stop.reason or "another process")
        stop.raise_if_requested()
    return microseconds / 1e6
