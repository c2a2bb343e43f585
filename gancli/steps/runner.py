"""Does the steps of a phase: one at a time or, where the device supports it, captured and many per launch."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.batches.batch import Batches
from gancli.machine.ranks import without_reduction
from gancli.steps.accumulation import run_in_parts
from gancli.steps.capture import (
    Capture,
    Replay,
    RunAheadLimiter,
    StepFunction,
    capture_on_cuda,
    no_capture,
    side_stream,
)
from gancli.steps.compiled import CompiledStep, CompileError, state_restored
from gancli.steps.ema import AveragedModel
from gancli.steps.loss_accumulator import LossAccumulator
from gancli.steps.trace import capture_by_trace
from gancli.steps.training_step import TrainingStep

TRIAL_S, TRIAL_STEPS = 1.0, 3  # the shortest trial of a number of threads
WARM_UP_STEPS = 3  # plain training steps before the first capture, in which libraries choose their kernels


@dataclass(frozen=True)
class StepExecution:
    """How the steps of a phase are done.

    `steps_per_replay`: the numbers of steps that may be captured as one, in falling order; empty: nothing is captured.
    `capture`: None is the capture of the device. `compiled`: the step is compiled first. `thorough`: the compiler chooses
    kernels by timing. `parts`: the number of parts in which a step is computed, one after the other; more than 1 is neither
    captured nor compiled.
    """

    steps_per_replay: tuple[int, ...] = ()
    capture: Capture | None = None
    compiled: bool = False
    thorough: bool = False
    parts: int = 1


class StepRunner:
    """Does the steps of one phase. After each, the average is updated, and the terms go to the `LossAccumulator`."""

    def __init__(
        self,
        training_step: TrainingStep,
        batches: Batches,
        average: AveragedModel,
        losses: LossAccumulator,
        execution: StepExecution | None = None,
    ) -> None:
        execution = execution or StepExecution()
        self.training_step = training_step
        self._batches, self._average, self._losses = batches, average, losses
        self._execution = execution
        self._device = training_step.machine.device
        self._capture: Capture = execution.capture or (
            capture_on_cuda if self._device.type == "cuda" else capture_by_trace
        )
        self._steps_per_replay = execution.steps_per_replay if batches.on_device else execution.steps_per_replay[-1:]
        self._replays: dict[int, Replay] = {}
        self._limiter = RunAheadLimiter(self._device)
        self._compile_pending = execution.compiled
        self._run_step: StepFunction = self._captured_step
        self._warm_up = WARM_UP_STEPS if execution.steps_per_replay and not execution.compiled else 0
        self._names: tuple[str, ...] = ()
        self._updates_per_step: dict[str, int] = {}

    def advance(self, step: int, max_steps: int) -> int:
        """Do the steps from `step` on that can be done together, at most `max_steps`. Returns their number."""
        if self._warm_up:
            with side_stream(self._device):
                self._updates_per_step = self._count_updates(lambda: self._plain_step(step))
            self._warm_up -= 1
            return 1
        count = self._num_together(step, max_steps)
        if count is None:
            self._plain_step(step)
            return 1
        self._replay(count, step)
        return count

    def pending_preparation(self, step: int, max_steps: int) -> str:
        """Return what `advance` does before its steps that takes longer than they do, or an empty string."""
        if self._compile_pending:
            return "compiling the step"
        if self._warm_up or len(self._replays) == len(self._steps_per_replay):
            return ""
        count = self._num_together(step, max_steps)
        return "capturing a step" if count is not None and count not in self._replays else ""

    def compile(self, step: int) -> str:
        """Compile the step, if it is to be compiled and is not yet, with the inputs of step `step`; nothing is trained.
        Returns why it cannot be compiled, or an empty string; steps are then done uncompiled."""
        if not self._compile_pending:
            return ""
        self._compile_pending = False
        self._average.prepare(step + 1)
        self.training_step.prepare()
        self.training_step.for_compiler = True
        compiled, reason = None, ""
        try:
            with without_reduction():
                compiled = self._compiled(step)
        except CompileError as error:
            reason = str(error)
        (failed,) = self.training_step.machine.ranks.maximum(compiled is None)
        if compiled is None or failed:
            self.training_step.for_compiler = False
            self._warm_up = WARM_UP_STEPS if self._steps_per_replay else 0
            return reason or "another process could not"
        self._run_step = compiled
        self._capture = self._execution.capture or (capture_on_cuda if self._device.type == "cuda" else no_capture)
        return ""

    def steps_per_second_with(self, step: int, threads: int) -> float:
        """Return the steps per second with so many CPU threads. Nothing is trained."""
        own_threads = torch.get_num_threads()
        before = self._updates()
        with state_restored(self._state(), self._device):
            torch.set_num_threads(threads)
            try:
                self._trial_step(step)  # the first one with other threads prepares kernels
                started, steps = time.monotonic(), 0
                while (seconds := time.monotonic() - started) < TRIAL_S or steps < TRIAL_STEPS:
                    self._trial_step(step)
                    steps += 1
            finally:
                torch.set_num_threads(own_threads)
                self._set_updates(before)
        return steps / seconds

    def _num_together(self, step: int, max_steps: int) -> int | None:
        """Return how many steps to replay as one, or None for a plain step: the largest number within `max_steps` and the
        block of index rows; one, while the host has a value to change before each step."""
        max_steps = min(max_steps, self._batches.rows_left(step))
        if not (self.training_step.is_constant and self._average.is_constant(step + 1)):
            max_steps = 1
        return next((count for count in self._steps_per_replay if count <= max_steps), None)

    def _plain_step(self, step: int) -> None:
        self._average.prepare(step + 1)
        terms = run_in_parts(self.training_step, self._batches.parts(step, self._execution.parts))
        self._average.apply()
        self._losses.add(terms)
        self._names = tuple(terms)

    def _captured_step(self, inputs: Sequence[Tensor], terms: Tensor) -> None:
        """Do a step as it is captured or compiled: on its index row or gathered data; its terms are written into `terms`."""
        gathered = self._batches.gather(inputs[0]) if self._batches.on_device else tuple(inputs)
        found = self.training_step.compute(self._batches.to_batch(gathered))
        self._average.apply()
        torch.stack(list(found.values()), out=terms)
        self._names = tuple(found)

    def _trial_step(self, step: int) -> None:
        """Do a step as `advance` does it, without keeping its terms."""
        self._average.prepare(step + 1)
        if 1 in self._replays:
            self.training_step.prepare()
            self._replays[1](step)
        else:
            run_in_parts(self.training_step, self._batches.parts(step, self._execution.parts))
            self._average.apply()

    def _replay(self, count: int, step: int) -> None:
        before = self._updates()
        self._average.prepare(step + 1)
        self.training_step.prepare()
        if count not in self._replays:
            self._replays[count] = Replay(count, self._run_step, self._batches, len(self._names), step, self._capture)
        self._losses.add_rows(self._names, self._replays[count](step))
        self._set_updates({name: updates + count * self._updates_per_step[name] for name, updates in before.items()})
        self._limiter.wait()

    def _compiled(self, step: int) -> CompiledStep:
        inputs = (self._batches.rows(step, 1)[0],) if self._batches.on_device else self._batches.fetch(step)
        state, terms = self._state(), torch.empty(0, device=self._device)
        before = self._updates()
        try:
            with state_restored(state, self._device):  # a plain step, which shows its terms and counts its updates
                self._updates_per_step = self._count_updates(lambda: self._run_step(inputs, terms))
            return CompiledStep(self._run_step, inputs, len(terms), state, self._execution.thorough)
        finally:
            self._set_updates(before)

    def _state(self) -> list[Tensor]:
        """Return all tensors that a step changes."""
        return [*self.training_step.tensors(), *self._average.tensors()]

    def _updates(self) -> dict[str, int]:
        """Return the number of updates of each network, which Python counts and a replay does not."""
        return {name: optimizer.updates for name, optimizer in self.training_step.optimizers.items()}

    def _set_updates(self, updates: Mapping[str, int]) -> None:
        for name, optimizer in self.training_step.optimizers.items():
            optimizer.updates = updates[name]

    def _count_updates(self, run: Callable[[], None]) -> dict[str, int]:
        """Return how many updates of each network `run` does."""
        before = self._updates()
        run()
        return {name: updates - before[name] for name, updates in self._updates().items()}
