"""States and models are written while training goes on: a copy is made between two steps, and a thread takes it to disk."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch
from torch import Tensor

from gancli import events

Job = Callable[[], list[events.Event]]


class Snapshot:
    """A copy of tensors as they are now, on their own device; `on_host` may be called by another thread, while that device
    works on."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        self._device = next((t.device for t in self._tensors.values() if t.device.type == "cuda"), None)
        self._taken: torch.cuda.Event | None = None
        if self._device is not None:
            self._taken = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._taken.record(torch.cuda.current_stream(self._device))

    def on_host(self) -> dict[str, Tensor]:
        if self._taken is None:
            return {name: tensor.cpu() for name, tensor in self._tensors.items()}
        aside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_event(self._taken)
        with torch.cuda.stream(aside):
            return {name: tensor.cpu() for name, tensor in self._tensors.items()}


class Writer:
    """One job at a time. A job returns events about what it wrote; `done` and `wait` return those, or raise its error."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "writer")
        self._job: Future[list[events.Event]] | None = None

    def start(self, job: Job) -> None:
        """Begin a job. The one before it must have been waited for."""
        assert self._job is None
        self._job = self._pool.submit(job)

    def done(self) -> list[events.Event]:
        """Return the events of the job if it is done by now."""
        return self.wait() if self._job is not None and self._job.done() else []

    def wait(self) -> list[events.Event]:
        """Wait for the job under way and return its events."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        return job.result()

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self._job is not None and not self._job.done()

    def settle(self) -> None:
        """Wait for the job under way, whose events (or error) still come later."""
        if self._job is not None:
            wait([self._job])

    def close(self) -> None:
        """Wait for the job under way, whatever becomes of it: nobody asks any more."""
        self._pool.shutdown()
