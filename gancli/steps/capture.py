"""Steps captured as one piece of work, which is replayed with one launch: a CUDA graph here, a list of operations in
`trace`, a compiled step in `compiled`.

A replay has the same bits as the steps it stands for because (1) what precedes a capture is training as usual, on CUDA on a
side stream; (2) whatever changes between steps is in tensors that exist before the capture (index rows, learning rates,
the average's weight); (3) random numbers come from the device's default generator, which each replay advances.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.batches.batch import Batches
from gancli.catalogue import outside
from gancli.errors import GancliError

MAX_AHEAD = 16  # replays that the host may be ahead of the device: enough to keep it busy, few enough to stop soon

Work = Callable[[], None]
StepFunction = Callable[[Sequence[Tensor], Tensor], None]
"""Does one step on its inputs, and writes the reported terms into a float `[terms]`."""


class Captured(NamedTuple):
    """The function that repeats captured work, and whether capturing has already done the work once."""

    replay: Callable[[], object]
    done: bool


Capture = Callable[[Work], Captured]


def no_capture(work: Work) -> Captured:
    """Return the work itself as its replay, such as a compiled step, which is one piece already."""
    return Captured(work, done=False)


def capture_on_cuda(work: Work) -> Captured:
    """Capture `work` as a CUDA graph, without doing it. Raises `GancliError` if it cannot be captured."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        where = outside.place(error.__traceback__)
        what = f"{where}: this step" if where else "this step"
        raise GancliError(
            f"--graph: {what} cannot be captured ({str(error).splitlines()[0]}); try --no-graph"
        ) from error
    return Captured(graph.replay, done=False)


@contextmanager
def side_stream(device: torch.device) -> Iterator[None]:
    """Do work on a side stream, as required before a capture; it stays in order with the work before and after it."""
    if device.type != "cuda":
        yield
        return
    main, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(main)
    with torch.cuda.stream(side):
        yield
    main.wait_stream(side)


class Replay:
    """`num_steps` steps captured as one. `run_step` does one of them and reports `num_terms` terms; the capture takes the
    inputs of the steps from `step` on."""

    def __init__(
        self, num_steps: int, run_step: StepFunction, batches: Batches, num_terms: int, step: int, capture: Capture
    ) -> None:  # fmt: skip
        self._num_steps = num_steps
        self._run_step, self._batches = run_step, batches
        assert batches.on_device or num_steps == 1, "data on the host come one step at a time"
        self._inputs = tuple(tensor.clone() for tensor in self._new_inputs(step))
        self._terms = torch.empty(num_steps, num_terms, device=self._inputs[0].device)
        self._replay, self._done = capture(self._work)

    def __call__(self, step: int) -> Tensor:
        """Do the steps from `step` on, unless the capture has done them. Return their terms, float `[num_steps, terms]`."""
        if not self._done:
            for captured, new in zip(self._inputs, self._new_inputs(step), strict=True):
                captured.copy_(new, non_blocking=True)
            self._replay()
        self._done = False
        return self._terms.clone()

    def _new_inputs(self, step: int) -> tuple[Tensor, ...]:
        """Return the steps' index rows if the dataset is on the device, else the gathered data of one step."""
        if self._batches.on_device:
            return (self._batches.rows(step, self._num_steps),)
        return self._batches.fetch(step)

    def _work(self) -> None:
        for index in range(self._num_steps):
            inputs = (self._inputs[0][index],) if self._batches.on_device else self._inputs
            self._run_step(inputs, self._terms[index])


class RunAheadLimiter:
    """Keeps the host at most `MAX_AHEAD` replays ahead of the device, so that a request to stop takes effect soon."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: deque[torch.cuda.Event] = deque()

    def wait(self) -> None:
        """Call after each launch: waits until the device has finished the launch `MAX_AHEAD` before it."""
        if self._device.type != "cuda":
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        self._events.append(event)
        if len(self._events) > MAX_AHEAD:
            self._events.popleft().synchronize()
