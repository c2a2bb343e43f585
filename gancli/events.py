"""The only words reporters know: what `engine.train.train` yields, in the order it happens."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")
Status = Literal["done", "stopped"]
FileKind = Literal["state", "model"]


@dataclass(frozen=True)
class Event:
    """Anything a run has to tell."""


@dataclass(frozen=True)
class Preparing(Event):
    """The data set is being downloaded, decoded or drawn: `done` of `total` `unit`s (total 0: not known)."""

    what: str
    done: int
    total: int
    unit: str


@dataclass(frozen=True)
class RunStarted(Event):
    """Everything is ready and the first step follows. `parameters`: count per network."""

    variant: str
    preset: str
    dataset: str
    num_images: int
    image_shape: tuple[int, int, int]  # channels, height, width
    device: str
    precision: str
    threads: int
    batch_size: int
    start_step: int
    steps: int
    steps_per_epoch: int
    parameters: Mapping[str, int]
    out: str


@dataclass(frozen=True)
class PhaseStarted(Event):
    """A phase of the variant begins (or goes on, after a resume) at `start_step` of the run and lasts to `end_step`."""

    name: str
    index: int
    num_phases: int
    start_step: int
    end_step: int


@dataclass(frozen=True)
class LossRow(Event):
    """Means over the log interval that ends at `step`. `memory_bytes`: peak, on the device (CPU: resident set);
    0 where the system does not tell."""

    step: int
    steps: int
    epoch: float
    phase: str
    terms: Mapping[str, float]
    images_per_s: float
    elapsed_s: float
    left_s: float
    memory_bytes: int


@dataclass(frozen=True)
class SamplesDrawn(Event):
    """The fixed latents drawn once more. `rgb`: `height × width × 3` bytes of the grid, row by row."""

    step: int
    path: str
    width: int
    height: int
    rgb: bytes


@dataclass(frozen=True)
class Evaluated(Event):
    """The averaged generator was measured. `best`: `metric` has never been better, and the model was saved to `path`."""

    step: int
    figures: Mapping[str, float]
    metric: str
    best: bool
    path: str


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A file was written and is safe on disk. `state` is for resuming, `model` for sampling."""

    step: int
    path: str
    kind: FileKind


@dataclass(frozen=True)
class Warned(Event):
    """Something the user should know, once."""

    message: str


@dataclass(frozen=True)
class RunFinished(Event):
    """The run is over. `stopped`: asked to stop by `reason`; its state is saved and `resume_command` goes on."""

    status: Status
    step: int
    steps: int
    elapsed_s: float
    images_per_s: float
    out: str
    checkpoint: str
    reason: str
    resume_command: str


def told_once(work: Generator[Event, None, T], told: set[str]) -> Generator[Event, None, T]:
    """The events of `work` without the warnings in `told`, to which its own are added; returns what it returns."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if isinstance(event, Warned):
            if event.message in told:
                continue
            told.add(event.message)
        yield event
