"""One plain line per event that matters: for logs, pipes and terminals that can do no more. No escape codes, ever."""

import math
import time
from collections.abc import Callable
from functools import singledispatchmethod
from typing import TextIO

from gancli.errors import printable
from gancli.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    LossRow,
    PhaseStarted,
    Preparing,
    Progress,
    RunFinished,
    RunStarted,
    SamplesDrawn,
    Warned,
)
from gancli.report import words
from gancli.report.pulse import Pulse
from gancli.report.stamp import Stamp, Wall, local_time
from gancli.text import READABLE, counted

PREPARING_EVERY_S = 10.0
COPIED = "  "  # what a line begins with that is there to be copied


class Lines(Pulse):
    """Writes to `stream`, flushed at once. Goes quiet, rather than end the run, when nobody can read it any more. Each line
    begins with the time of day, but for those that are there to be copied. None is broken, whatever COLUMNS says: a log is
    searched, and read by programs."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic, wall: Wall = local_time) -> None:
        super().__init__(now)
        self._stream, self._stamp = stream, Stamp(wall)
        self._broken = False
        self._preparing = ""
        self._preparing_at = -math.inf

    def _tell(self, event: Event) -> bool:
        lines = self._lines(event)
        for line in lines:
            self.write(line if line.startswith(COPIED) else f"{self._stamp()} {line}")
        return bool(lines)

    def _still(self, event: Preparing | Progress, seconds: float) -> None:
        line = _so_far(event) if isinstance(event, Preparing) else _at(event.after(seconds))
        told = f"{line}, nothing new for {words.duration(seconds)}" if isinstance(event, Preparing) else line
        self.write(f"{self._stamp()} {told}")

    def write(self, line: str) -> None:
        """One line, as it is but for control characters."""
        if self._broken:
            return
        try:
            encoding = self._stream.encoding or "utf-8"  # a StringIO has none
            self._stream.write(printable(line).encode(encoding, READABLE).decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the terminal, pipe or disk behind it is gone, or the stream closed
            self._broken = True

    @singledispatchmethod
    def _lines(self, event: Event) -> list[str]:
        """The lines that an event is worth."""
        del event
        return []

    @_lines.register
    def _(self, event: Preparing) -> list[str]:
        first, last = event.what != self._preparing, 0 < event.total <= event.done
        if not (first or last or self._now() - self._preparing_at >= PREPARING_EVERY_S):
            return []
        self._preparing, self._preparing_at = event.what, self._now()
        return [_so_far(event)]

    @_lines.register
    def _(self, event: RunStarted) -> list[str]:
        shape = "x".join(map(str, event.image_shape))
        sizes = ", ".join(f"{name} {words.count(number)}" for name, number in event.parameters.items())
        begin = f"from step {event.start_step} to {event.steps}" if event.start_step else counted(event.steps, "step")
        return [
            f"training {event.variant} (preset {event.preset}) on {event.dataset}: {counted(event.num_images, 'image')} "
            f"of {shape}, batch {event.batch_size}, {event.device}, {event.precision}, {counted(event.threads, 'thread')}",
            f"parameters: {sizes}; {begin}, {event.steps_per_epoch} per epoch; writing to {event.out}",
        ]

    @_lines.register
    def _(self, event: PhaseStarted) -> list[str]:
        if event.num_phases < 2:
            return []
        place = f"phase {event.index + 1} of {event.num_phases}"
        return [f"{place}: {event.name}, steps {event.start_step} to {event.end_step}"]

    @_lines.register
    def _(self, event: LossRow) -> list[str]:
        parts = [
            f"step {event.step}/{event.steps}",
            f"epoch {event.epoch:.2f}",
            *(f"{name} {words.term(name, value)}" for name, value in event.terms.items()),
            f"{words.count(event.images_per_s)} images/s",
            f"{words.duration(event.left_s)} left",
            words.memory(event.memory_bytes),
        ]
        return ["  ".join(parts)]

    @_lines.register
    def _(self, event: Progress) -> list[str]:
        return [_at(event)]

    @_lines.register
    def _(self, event: SamplesDrawn) -> list[str]:
        return [f"step {event.step}: samples in {event.path}"]

    @_lines.register
    def _(self, event: Evaluated) -> list[str]:
        return [f"step {event.step}: {words.evaluated(event)}"]

    @_lines.register
    def _(self, event: CheckpointSaved) -> list[str]:
        # A state is saved together with each model: one line for both.
        return [f"step {event.step}: saved {event.path}"] if event.kind == "model" else []

    @_lines.register
    def _(self, event: Warned) -> list[str]:
        return [f"{event.kind}: {event.message}"]

    @_lines.register
    def _(self, event: RunFinished) -> list[str]:
        speed = f"{words.duration(event.elapsed_s)}, {words.count(event.images_per_s)} images/s"
        if event.status == "done":
            return [
                f"done: {counted(event.steps, 'step')} in {speed}; the model is {event.checkpoint}",
                *words.following(event),
            ]
        return [
            f"stopped by {event.reason} at step {event.step} of {event.steps} after {speed}; state saved in {event.out}",
            *words.following(event),
        ]


def _so_far(event: Preparing) -> str:
    """`decoding photos: 12 of 25 images (48%)`, or what it does alone where there is nothing to count yet."""
    share = f" ({100 * event.done // event.total}%)" if event.total > 0 else ""
    told = words.amount(event.done, event.total, event.unit)
    return f"{event.what}: {told}{share}" if told else event.what


def _at(event: Progress) -> str:
    """Where a run is between two rows. Does not begin as a row does: its means are not an interval's."""
    place = f"at step {event.step}/{event.steps}" if event.steps else ""
    left = [] if math.isnan(event.left_s) else [f"{words.duration(event.left_s)} left"]
    if event.terms:
        means = [f"{name} {words.term(name, value)}" for name, value in event.terms.items()]
        count = f"(means of {counted(event.num_means, 'step')} so far)"
        parts = [place, f"epoch {event.epoch:.2f}", *means, count, f"{words.count(event.images_per_s)} images/s"]
    else:
        parts = [place, words.doing(event)]
    return "  ".join([part for part in parts if part] + left)
