"""What reporters are told of: what `engine.train.train` yields, and what functions that take long `emit`, as it happens."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gancli import text

Status = Literal["done", "stopped"]
FileKind = Literal["state", "model"]

TRAINING = "training"
STEADY_S = 30.0  # what a stop of this length adds to the time left: as much again
STEADY_STEPS = 3  # or one of so many steps, where these take longer


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
class Progress(Event):
    """What the run is at, between other events: `doing` has gone on for `doing_s`. Comes several times a second, and before
    whatever may take long; when depends on the clock, so nothing of it is kept.

    `steps` 0: the length of the run is not known yet. `terms`: every so often the means over the `num_means` steps since the
    last row, else empty. `left_s` not a number: not known yet.
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
        """The same when `seconds` more have gone by without a word: the time left runs down as long as a step takes no
        longer than foreseen, and grows from then on."""
        left = self.left_s
        if self.doing == TRAINING and self.steps > self.step:
            foreseen = left / (self.steps - self.step)  # seconds per step
            late = seconds - foreseen
            left = left - seconds
            if late > 0:
                left = (self.left_s - foreseen) * (1 + late / max(STEADY_S, STEADY_STEPS * foreseen)) + late
        return dataclasses.replace(self, doing_s=self.doing_s + seconds, left_s=left)


@dataclass(frozen=True)
class SamplesDrawn(Event):
    """The fixed latents drawn once more. `rgb`: `height × width × 3` bytes of the grid, row by row."""

    step: int
    path: str
    width: int
    height: int
    rgb: bytes = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Comparison:
    """What a model's figures were measured with: `num_pictures` of it, drawn from `seed` on (None: enlarged, not drawn),
    compared with pictures of `split` of `dataset`. By the figure's name, where there are any: its standard error, the `real`
    score (that of what stands `beside`: real pictures, or bicubic enlarging), that one's standard error, and the number of
    pictures where it is another."""

    dataset: str = ""
    split: str = ""
    num_pictures: int | None = None
    seed: int | None = None
    beside: str = "real pictures"
    errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    real: Mapping[str, float] = dataclasses.field(default_factory=dict)
    real_errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated(Event):
    """The averaged generator was measured. `best`: `metric` has never been better, and the model was saved to `path`."""

    step: int
    figures: Mapping[str, float]
    metric: str
    best: bool
    path: str
    compared: Comparison = Comparison()


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A file was written and is safe on disk. `state` is for resuming, `model` for sampling."""

    step: int
    path: str
    kind: FileKind


@dataclass(frozen=True)
class Warned(Event):
    """Something the user should know, once: a note of what is normal (a `text.Note`), or a warning of what is not."""

    message: str
    kind: Literal["note", "warning"] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", text.kind(self.message))


@dataclass(frozen=True)
class RunFinished(Event):
    """The run is over. `stopped`: asked to stop by `reason`; its state is saved and `resume_command` resumes it.
    `next_commands`: what may be done with the model. `report`: the run's page for browsers, if it was written."""

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
"""Receives each event of a function when it happens. It may raise, which ends the function: whoever calls it must clean up,
and must not mistake the error for one of its own."""


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
