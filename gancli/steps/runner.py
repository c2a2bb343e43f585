"""Does a phase's steps: one by one, or, where the device can, many at a word."""

from collections.abc import Mapping

from gancli.batches.batch import Batches
from gancli.steps.captured import Capture
from gancli.steps.ema import Average
from gancli.steps.graph import Leash, Replay, aside, capture_on_cuda
from gancli.steps.ledger import Ledger
from gancli.steps.step import Stepper
from gancli.steps.trace import capture_by_trace

WARM_UP = 3  # steps done one by one before the first capture, as training: libraries choose their kernels in them


class Runner:
    """The steps of one phase. `strides`: numbers of steps that may be captured as one, falling; none: no captures.
    `capture`: by default the device's own way."""

    def __init__(
        self, stepper: Stepper, batches: Batches, average: Average, ledger: Ledger, strides: tuple[int, ...] = (),
        capture: Capture | None = None,
    ) -> None:  # fmt: skip
        self.stepper = stepper
        self._batches, self._average, self._ledger = batches, average, ledger
        own_way = capture_on_cuda if stepper.machine.device.type == "cuda" else capture_by_trace
        self._capture: Capture = capture or own_way
        self._strides = strides if batches.on_device else strides[-1:]
        self._replays: dict[int, Replay] = {}
        self._leash = Leash(stepper.machine.device)
        self._warm_up = WARM_UP if strides else 0
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

    def captures(self, step: int, room: int) -> bool:
        """Whether `advance` would capture its steps first, which takes longer than they do."""
        if self._warm_up or len(self._replays) == len(self._strides):
            return False
        stride = self._stride(step, room)
        return stride is not None and stride not in self._replays

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

    def _replayed(self, stride: int, step: int) -> None:
        before = self._updates()
        self._average.prepare(step + 1)
        self.stepper.prepare()
        if stride not in self._replays:
            self._replays[stride] = Replay(
                stride, self.stepper, self._batches, self._average, len(self._names), step, self._capture
            )
        self._ledger.add_rows(self._names, self._replays[stride](step))
        per_step = self._updates_per_step
        self._set_updates({name: updates + stride * per_step[name] for name, updates in before.items()})
        self._leash.pull()

    def _updates(self) -> dict[str, int]:
        """How often each network was updated. Python counts that, which a replay leaves out."""
        return {name: minimiser.updates for name, minimiser in self.stepper.minimisers.items()}

    def _set_updates(self, updates: Mapping[str, int]) -> None:
        for name, minimiser in self.stepper.minimisers.items():
            minimiser.updates = updates[name]
