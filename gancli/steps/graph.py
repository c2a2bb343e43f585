"""Whole steps captured as one piece and replayed: the host says one word where it said a hundred.

How they are captured is the device's affair: as a CUDA graph here, as a list of operations in `trace`. Rules that make a
replay give the bits of the steps it stands for: what was done before the capture was done as training (on CUDA on a side
stream); everything that changes from step to step lies in tensors that are there before (rows of the data set, step sizes,
the average's weight); random numbers come from the device's default generator, whose place moves on with each replay.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gancli.batches.batch import Batches
from gancli.errors import GancliError
from gancli.steps.captured import Capture, Captured, Step, Work

MAX_AHEAD = 16  # replays that the host may be ahead of the device: enough to keep it busy, few enough to stop soon


class Replay:
    """`num_steps` steps, of `num_terms` reported terms each, captured as one with the inputs of those from `step` on. `do`
    does one."""

    def __init__(
        self, num_steps: int, do: Step, batches: Batches, num_terms: int, step: int, capture: Capture
    ) -> None:  # fmt: skip
        self._num_steps = num_steps
        self._do, self._batches = do, batches
        assert batches.on_device or num_steps == 1, "data on the host come one step at a time"
        self._inputs = tuple(tensor.clone() for tensor in self._new_inputs(step))
        self._terms = torch.empty(num_steps, num_terms, device=self._inputs[0].device)
        self._replay, self._done = capture(self._work)

    def __call__(self, step: int) -> Tensor:
        """Do the steps from `step` on: replay, unless the capture did them. Gives the terms, float `[num_steps, terms]`."""
        if not self._done:
            for mine, new in zip(self._inputs, self._new_inputs(step), strict=True):
                mine.copy_(new, non_blocking=True)
            self._replay()
        self._done = False
        return self._terms.clone()

    def _new_inputs(self, step: int) -> tuple[Tensor, ...]:
        """Rows of a data set on the device, or what a step takes of one that is not."""
        if self._batches.on_device:
            return (self._batches.rows(step, self._num_steps),)
        return self._batches.fetch(step)

    def _work(self) -> None:
        for index in range(self._num_steps):
            inputs = (self._inputs[0][index],) if self._batches.on_device else self._inputs
            self._do(inputs, self._terms[index])


def capture_on_cuda(work: Work) -> Captured:
    """Capture `work` as a CUDA graph, without doing it. Raises `GancliError` where it cannot be."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise GancliError(
            f"--graph: this step cannot be captured ({str(error).splitlines()[0]}); try --no-graph"
        ) from error
    return Captured(graph.replay, done=False)


@contextmanager
def aside(device: torch.device) -> Iterator[None]:
    """Work on a side stream, as what precedes a capture must; in order with what comes before and after."""
    if device.type != "cuda":
        yield
        return
    main, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(main)
    with torch.cuda.stream(side):
        yield
    main.wait_stream(side)


class RunAheadLimiter:
    """Keeps the host from running too far ahead of the device, so that a stop is soon seen and done."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: deque[torch.cuda.Event] = deque()

    def wait(self) -> None:
        """One more piece of work was handed to the device."""
        if self._device.type != "cuda":
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        self._events.append(event)
        if len(self._events) > MAX_AHEAD:
            self._events.popleft().synchronize()
