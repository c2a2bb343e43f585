"""Does a phase's steps: one by one, or, where the device can, many at a word."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.batches.batch import Batches
from gancli.machine.ranks import idle
from gancli.steps.captured import Capture, Step, as_it_is
from gancli.steps.compiled import CompiledStep, CompileError, undone
from gancli.steps.ema import Average
from gancli.steps.graph import Replay, RunAheadLimiter, aside, capture_on_cuda
from gancli.steps.ledger import Ledger
from gancli.steps.step import Stepper
from gancli.steps.trace import capture_by_trace

TRIAL_S, TRIAL_STEPS = 1.0, 3  # the least that a number of threads is tried for
WARM_UP = 3  # steps done one by one before the first capture, as training: libraries choose their kernels in them


@dataclass(frozen=True)
class Ways:
    """How a phase's steps are done. `strides`: numbers of steps that may be captured as one, falling; none: no captures.
    `capture`: by default the device's own way. `compiled`: a step is compiled first; `thorough`: with choices by timing."""

    strides: tuple[int, ...] = ()
    capture: Capture | None = None
    compiled: bool = False
    thorough: bool = False


class Runner:
    """The steps of one phase."""

    def __init__(
        self, stepper: Stepper, batches: Batches, average: Average, ledger: Ledger, ways: Ways | None = None
    ) -> None:  # fmt: skip
        ways = ways or Ways()
        self.stepper = stepper
        self._batches, self._average, self._ledger = batches, average, ledger
        self._ways = ways
        self._on_cuda = stepper.machine.device.type == "cuda"
        self._capture: Capture = ways.capture or (capture_on_cuda if self._on_cuda else capture_by_trace)
        self._strides = ways.strides if batches.on_device else ways.strides[-1:]
        self._replays: dict[int, Replay] = {}
        self._limiter = RunAheadLimiter(stepper.machine.device)
        self._compile = ways.compiled  # whether that is still to be done
        self._do: Step = self._one_of
        self._warm_up = WARM_UP if ways.strides and not ways.compiled else 0
        self._names: tuple[str, ...] = ()
        self._updates_per_step: dict[str, int] = {}

    def advance(self, step: int, room: int) -> int:
        """Do the steps from `step` on that can be done together, at most `room`; gives their number."""
        if self._warm_up:
            before = self._updates()
            with aside(self.stepper.machine.device):
                self._one(step)
            self._updates_per_step = {name: updates - before[name] for name, updates in self._updates().items()}
            self._warm_up -= 1
            return 1
        stride = self._stride(step, room)
        if stride is None:
            self._one(step)
            return 1
        self._replayed(stride, step)
        return stride

    def makes_ready(self, step: int, room: int) -> str:
        """What `advance` would do before its steps that takes longer than they do, or nothing."""
        if self._compile:
            return "compiling the step"
        if self._warm_up or len(self._replays) == len(self._strides):
            return ""
        stride = self._stride(step, room)
        return "capturing a step" if stride is not None and stride not in self._replays else ""

    def compile(self, step: int) -> str:
        """Compile the step, if that is still to be done, with the inputs of step `step`; nothing is trained by it. Gives why
        it could not be: the steps are then done without."""
        if not self._compile:
            return ""
        self._compile = False
        self._average.prepare(step + 1)
        self.stepper.prepare()
        self.stepper.by_arithmetic(True)
        inputs = (self._batches.rows(step, 1)[0],) if self._batches.on_device else self._batches.fetch(step)
        held = [*self.stepper.tensors(), *self._average.tensors()]
        before, terms = self._updates(), torch.empty(0, device=self.stepper.machine.device)
        compiled, reason = None, ""
        try:
            with idle():
                with undone(held, terms.device):  # one step, to see what it reports and how often it updates
                    self._do(inputs, terms)
                self._updates_per_step = {name: updates - before[name] for name, updates in self._updates().items()}
                compiled = CompiledStep(self._do, inputs, len(terms), held, self._ways.thorough)
        except CompileError as error:
            reason = str(error)
        finally:
            self._set_updates(before)
        (failed,) = self.stepper.machine.ranks.highest(compiled is None)
        if compiled is None or failed:
            self.stepper.by_arithmetic(False)
            self._warm_up = WARM_UP if self._strides else 0
            return reason or "another process could not"
        self._do = compiled
        self._capture = self._ways.capture or (capture_on_cuda if self._on_cuda else as_it_is)
        return ""

    def trial(self, step: int, threads: int) -> float:
        """Steps per second with so many threads on a CPU. Nothing is trained by it: all is as it was before."""
        held = [*self.stepper.tensors(), *self._average.tensors()]
        before, own = self._updates(), torch.get_num_threads()
        with undone(held, self.stepper.machine.device):
            torch.set_num_threads(threads)
            try:
                self._untrained(step)  # the first with other threads prepares kernels
                began, steps = time.monotonic(), 0
                while (seconds := time.monotonic() - began) < TRIAL_S or steps < TRIAL_STEPS:
                    self._untrained(step)
                    steps += 1
            finally:
                torch.set_num_threads(own)
                self._set_updates(before)
        return steps / seconds

    def _untrained(self, step: int) -> None:
        """A step in the way that steps are done, whose losses are not kept."""
        self._average.prepare(step + 1)
        if 1 in self._replays:
            self.stepper.prepare()
            self._replays[1](step)
        else:
            self.stepper.run(self._batches.batch(step))
            self._average.move()

    def _stride(self, step: int, room: int) -> int | None:
        """The longest stride that fits: not beyond `room` or the rows there are, and one step at a time as long as the host
        has something to change before each."""
        room = min(room, self._batches.rows_left(step))
        if not (self.stepper.settled and self._average.settled(step + 1)):
            room = 1
        return next((stride for stride in self._strides if stride <= room), None)

    def _one(self, step: int) -> None:
        self._average.prepare(step + 1)
        terms = self.stepper.run(self._batches.batch(step))
        self._average.move()
        self._ledger.add(terms)
        self._names = tuple(terms)

    def _one_of(self, inputs: Sequence[Tensor], terms: Tensor) -> None:
        """A step by itself, as it may be captured: on the `inputs` that it takes, its terms put into `terms`."""
        taken = self._batches.take(inputs[0]) if self._batches.on_device else tuple(inputs)
        found = self.stepper.compute(self._batches.finish(taken))
        self._average.move()
        torch.stack(list(found.values()), out=terms)
        self._names = tuple(found)

    def _replayed(self, stride: int, step: int) -> None:
        before = self._updates()
        self._average.prepare(step + 1)
        self.stepper.prepare()
        if stride not in self._replays:
            self._replays[stride] = Replay(stride, self._do, self._batches, len(self._names), step, self._capture)
        self._ledger.add_rows(self._names, self._replays[stride](step))
        per_step = self._updates_per_step
        self._set_updates({name: updates + stride * per_step[name] for name, updates in before.items()})
        self._limiter.wait()

    def _updates(self) -> dict[str, int]:
        """How often each network was updated. Python counts that, which a replay leaves out."""
        return {name: optimizer.updates for name, optimizer in self.stepper.optimizers.items()}

    def _set_updates(self, updates: Mapping[str, int]) -> None:
        for name, optimizer in self.stepper.optimizers.items():
            optimizer.updates = updates[name]
