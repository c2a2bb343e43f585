"""The events of a run, which `engine.train.train` yields, and functions that take long `emit`, when they happen."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gancli import text

Status = Literal["done", "stopped"]
FileKind = Literal["state", "model"]

TRAINING = "training"
DOUBLING_S = 30.0  # a step that is late by this doubles the time left
DOUBLING_STEPS = 3  # or by the time of so many steps, if that is longer


@dataclass(frozen=True)
class Event:
    """The base class of all events."""


@dataclass(frozen=True)
class Preparing(Event):
    """The dataset is being downloaded, decoded or generated: `done` of `total` `unit`s (`total` 0: unknown)."""

    what: str
    done: int
    total: int
    unit: str


@dataclass(frozen=True)
class RunStarted(Event):
    """Everything is ready, and the first step follows. `parameters`: the number of parameters per network."""

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
    """A phase of the variant starts or resumes. It lasts from `start_step` to `end_step` of the run."""

    name: str
    index: int
    num_phases: int
    start_step: int
    end_step: int


@dataclass(frozen=True)
class LossRow(Event):
    """Means over the log interval that ends at `step`. `terms`: loss terms by name; `epoch`: epochs so far; `memory_bytes`:
    peak memory on the device (on the CPU the resident set), 0 if unknown; `left_s`: estimated seconds to the end."""

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
class Progress(Event):
    """Sent between other events, several times a second: the current activity `doing` has lasted `doing_s` seconds. A
    `gancli.training` loop does not receive it.

    `steps` is 0 and `left_s` NaN while unknown. `terms`: now and then the means over the `num_means` steps since the last
    row, else empty.
    """

    step: int = 0
    steps: int = 0
    doing: str = TRAINING
    doing_s: float = 0.0
    terms: Mapping[str, float] = dataclasses.field(default_factory=dict)
    num_means: int = 0
    epoch: float = 0.0
    images_per_s: float = 0.0
    left_s: float = math.nan

    def after(self, seconds: float) -> "Progress":
        """Return the state `seconds` later, without another event: the time left decreases while the current step takes no
        longer than expected, and grows after that."""
        left = self.left_s
        if self.doing == TRAINING and self.steps > self.step:
            per_step = left / (self.steps - self.step)
            late = seconds - per_step
            left = left - seconds
            if late > 0:
                left = (self.left_s - per_step) * (1 + late / max(DOUBLING_S, DOUBLING_STEPS * per_step)) + late
        return dataclasses.replace(self, doing_s=self.doing_s + seconds, left_s=left)


@dataclass(frozen=True)
class SamplesDrawn(Event):
    """A grid of samples from the fixed latents was written to `path`. `rgb`: its `height × width × 3` bytes, row by row."""

    step: int
    path: str
    width: int
    height: int
    rgb: bytes = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Comparison:
    """How metrics were measured: `num_images` images, generated from `seed` on (None: enlarged images), compared with
    `split` of `dataset`. By the name of the metric: its standard error (`errors`), the score of the reference (`real`; the
    reference `beside` is real images or bicubic enlargement) and its standard error (`real_errors`), and the number of
    images where it differs (`counts`)."""

    dataset: str = ""
    split: str = ""
    num_images: int | None = None
    seed: int | None = None
    beside: str = "real images"
    errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    real: Mapping[str, float] = dataclasses.field(default_factory=dict)
    real_errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated(Event):
    """The averaged generator was evaluated. `best`: `metric` is the best so far, and the model was saved to `path`."""

    step: int
    figures: Mapping[str, float]
    metric: str
    best: bool
    path: str
    compared: Comparison = Comparison()


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A file was written and synced to disk. `kind`: `"state"` to resume from, or `"model"` to sample from."""

    step: int
    path: str
    kind: FileKind


@dataclass(frozen=True)
class Warned(Event):
    """A message to the user, sent once: a note about something normal, or a warning about a problem."""

    message: str
    kind: Literal["note", "warning"] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", text.message_kind(self.message))


@dataclass(frozen=True)
class RunFinished(Event):
    """The run has ended. `status` `"stopped"`: it was stopped early for `reason`, with its state saved; `resume_command`
    resumes it. `next_commands`: commands to try with the model. `report`: the path of the run's page, or `""`."""

    status: Status
    step: int
    steps: int
    elapsed_s: float
    images_per_s: float
    out: str
    checkpoint: str
    reason: str
    resume_command: str
    next_commands: tuple[str, ...] = ()
    report: str = ""


Emit = Callable[[Event], None]
"""Receives each event of a function when it happens. It may raise an error to stop the function, which then cleans up and
does not handle the error as one of its own."""


class RateLimiter:
    """Limits the rate of progress events: `due()` is true every `every_s` seconds, which is often enough to stop at once."""

    def __init__(self, every_s: float = 0.2) -> None:
        self.every_s = every_s
        self._last = time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self.every_s:
            return False
        self._last = now
        return True


def ignore(event: Event) -> None:
    """An `Emit` for callers that show no progress."""
    del event


def without_repeats(emit: Emit) -> Emit:
    """Return an `emit` that passes on each warning only the first time."""
    messages = set[str]()

    def emit_new(event: Event) -> None:
        if isinstance(event, Warned):
            if event.message in messages:
                return
            messages.add(event.message)
        emit(event)

    return emit_new
