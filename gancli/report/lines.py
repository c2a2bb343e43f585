"""One plain line per event that matters, without escape codes: for logs, pipes and simple terminals."""

import math
import time
from collections.abc import Callable
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
from gancli.format import count, duration, number
from gancli.report import words
from gancli.report.heartbeat import Heartbeat
from gancli.report.stamp import Stamp, Wall, local_time
from gancli.text import READABLE, counted

PREPARING_EVERY_S = 10.0
COPIED = "  "  # at the beginning of a command to be copied


class Lines(Heartbeat):
    """Writes to `stream` and flushes each line. Stops writing, and does not end the run, when the stream is gone. Each line
    begins with the time of day, except commands to be copied. No line is wrapped, whatever COLUMNS is: logs are searched,
    and read by programs."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic, wall: Wall = local_time) -> None:
        super().__init__(now)
        self._stream, self._stamp = stream, Stamp(wall)
        self._broken = False
        self._preparing = ""
        self._preparing_at = -math.inf

    def _print(self, event: Event) -> bool:
        lines = self._lines(event)
        for line in lines:
            self.write(line if line.startswith(COPIED) else f"{self._stamp()} {line}")
        return bool(lines)

    def _print_activity(self, event: Preparing | Progress, seconds: float) -> None:
        line = _so_far(event) if isinstance(event, Preparing) else _at(event.after(seconds))
        told = f"{line}, nothing new for {duration(seconds)}" if isinstance(event, Preparing) else line
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

    def _lines(self, event: Event) -> list[str]:
        """The lines to print for an event; none for most."""
        match event:
            case Preparing():
                return self._preparing_lines(event)
            case RunStarted():
                return _started(event)
            case PhaseStarted() if event.num_phases > 1:
                place = f"phase {event.index + 1} of {event.num_phases}"
                return [f"{place}: {event.name}, steps {event.start_step} to {event.end_step}"]
            case LossRow():
                return [_row(event)]
            case Progress():
                return [_at(event)]
            case SamplesDrawn():
                return [f"step {event.step}: samples in {event.path}"]
            case Evaluated():
                return [f"step {event.step}: {words.evaluated(event)}"]
            case CheckpointSaved(kind="model"):  # a state is saved together with each model: one line for both
                return [f"step {event.step}: saved {event.path}"]
            case Warned():
                return [f"{event.kind}: {event.message}"]
            case RunFinished():
                return _finished(event)
        return []

    def _preparing_lines(self, event: Preparing) -> list[str]:
        """A line at the beginning, at the end and every ten seconds."""
        first, last = event.what != self._preparing, 0 < event.total <= event.done
        if not (first or last or self._now() - self._preparing_at >= PREPARING_EVERY_S):
            return []
        self._preparing, self._preparing_at = event.what, self._now()
        return [_so_far(event)]


def _started(event: RunStarted) -> list[str]:
    shape = "x".join(map(str, event.image_shape))
    sizes = ", ".join(f"{name} {count(values)}" for name, values in event.parameters.items())
    begin = f"from step {event.start_step} to {event.steps}" if event.start_step else counted(event.steps, "step")
    return [
        f"training {event.variant} (preset {event.preset}) on {event.dataset}: {counted(event.num_images, 'image')} "
        f"of {shape}, batch {event.batch_size}, {event.device}, {event.precision}, {counted(event.threads, 'thread')}",
        f"parameters: {sizes}; {begin}, {event.steps_per_epoch} per epoch; writing to {event.out}",
    ]


def _row(event: LossRow) -> str:
    parts = [
        f"step {event.step}/{event.steps}",
        f"epoch {event.epoch:.2f}",
        *(f"{name} {number(value)}" for name, value in event.terms.items()),
        f"{count(event.images_per_s)} images/s",
        f"{duration(event.left_s)} left",
        words.memory(event.memory_bytes),
    ]
    return "  ".join(parts)


def _finished(event: RunFinished) -> list[str]:
    speed = f"{duration(event.elapsed_s)}, {count(event.images_per_s)} images/s"
    if event.status == "done":
        first = f"done: {counted(event.steps, 'step')} in {speed}; the model is {event.checkpoint}"
    else:
        place = f"at step {event.step} of {event.steps} after {speed}"
        first = f"stopped by {event.reason} {place}; state saved in {event.out}"
    return [first, *words.following(event)]


def _so_far(event: Preparing) -> str:
    """`decoding photos: 12 of 25 images (48%)`, or what it does alone where there is nothing to count yet."""
    share = f" ({100 * event.done // event.total}%)" if event.total > 0 else ""
    told = words.amount(event.done, event.total, event.unit)
    return f"{event.what}: {told}{share}" if told else event.what


def _at(event: Progress) -> str:
    """Where a run is between two rows. Does not begin as a row does: its means are not an interval's."""
    place = f"at step {event.step}/{event.steps}" if event.steps else ""
    left = [] if math.isnan(event.left_s) else [f"{duration(event.left_s)} left"]
    if event.terms:
        means = [f"{name} {number(value)}" for name, value in event.terms.items()]
        averaged = f"(means of {counted(event.num_means, 'step')} so far)"
        parts = [place, f"epoch {event.epoch:.2f}", *means, averaged, f"{count(event.images_per_s)} images/s"]
    else:
        parts = [place, words.doing(event)]
    return "  ".join([part for part in parts if part] + left)
