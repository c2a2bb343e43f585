"""One plain line per event that matters, without escape codes: for logs, pipes and simple terminals."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from gancli.events import (
    TRAINING,
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
from gancli.format import count, duration, number, size
from gancli.report.reporter import Heartbeat
from gancli.text import READABLE, counted, printable

PREPARING_EVERY_S = 10.0
COMMAND_INDENT = "  "  # of a line that is a command to be copied


def _local_time() -> datetime:
    return datetime.now(UTC).astimezone()


class Lines(Heartbeat):
    """Writes lines to `stream` and flushes each. When the stream is gone, it stops writing and the run continues.

    Each line begins with the local time of day, except commands to be copied; the first one, and the first one after a
    change of date or time zone, with the date and the zone too: `2026-11-27 12:03:44 +0100`. No line is wrapped, whatever
    COLUMNS is: logs are searched, and read by programs.
    """

    def __init__(
        self,
        stream: TextIO,
        now: Callable[[], float] = time.monotonic,
        local_time: Callable[[], datetime] = _local_time,
    ) -> None:
        super().__init__(now)
        self._stream, self._local_time = stream, local_time
        self._broken = False
        self._day = ""
        self._preparing = ""
        self._preparing_at = -math.inf

    def _print(self, event: Event) -> bool:
        lines = self._lines(event)
        for line in lines:
            self._write_timed(line)
        return bool(lines)

    def _print_activity(self, event: Preparing | Progress, seconds: float) -> None:
        if isinstance(event, Preparing):
            self._write_timed(f"{_preparing(event)}, nothing new for {duration(seconds)}")
        else:
            self._write_timed(_progress(event.after(seconds)))

    def _write_timed(self, line: str) -> None:
        if line.startswith(COMMAND_INDENT):
            self.write(line)
            return
        time = self._local_time()
        day = f"{time:%Y-%m-%d|%z}"
        self.write(f"{time:%H:%M:%S} {line}" if day == self._day else f"{time:%Y-%m-%d %H:%M:%S %z} {line}")
        self._day = day

    def write(self, line: str) -> None:
        """Write one line, with control characters escaped."""
        if self._broken:
            return
        try:
            encoding = self._stream.encoding or "utf-8"  # a StringIO has none
            self._stream.write(printable(line).encode(encoding, READABLE).decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the terminal, pipe or disk behind it is gone, or the stream closed
            self._broken = True

    def _lines(self, event: Event) -> list[str]:
        """Return the lines to print for an event; none for most."""
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
                return [_progress(event)]
            case SamplesDrawn():
                return [f"step {event.step}: samples in {event.path}"]
            case Evaluated():
                return [f"step {event.step}: {metrics(event)}"]
            case CheckpointSaved(kind="model"):  # a state is saved together with each model: one line for both
                return [f"step {event.step}: saved {event.path}"]
            case Warned():
                return [f"{event.kind}: {event.message}"]
            case RunFinished():
                return _finished(event)
        return []

    def _preparing_lines(self, event: Preparing) -> list[str]:
        """Return a line at the beginning, at the end and every ten seconds."""
        first, last = event.what != self._preparing, 0 < event.total <= event.done
        if not (first or last or self._now() - self._preparing_at >= PREPARING_EVERY_S):
            return []
        self._preparing, self._preparing_at = event.what, self._now()
        return [_preparing(event)]


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
        memory(event.memory_bytes),
    ]
    return "  ".join(parts)


def _finished(event: RunFinished) -> list[str]:
    speed = f"{duration(event.elapsed_s)}, {count(event.images_per_s)} images/s"
    if event.status == "done":
        first = f"done: {counted(event.steps, 'step')} in {speed}; the model is {event.checkpoint}"
    else:
        place = f"at step {event.step} of {event.steps} after {speed}"
        first = f"stopped by {event.reason} {place}; state saved in {event.out}"
    return [first, *next_commands(event)]


def _preparing(event: Preparing) -> str:
    """`decoding photos: 12 of 25 images (48%)`, or only what it does if there is nothing to count yet."""
    share = f" ({100 * event.done // event.total}%)" if event.total > 0 else ""
    done = amount(event.done, event.total, event.unit)
    return f"{event.what}: {done}{share}" if done else event.what


def _progress(event: Progress) -> str:
    """A line between two rows. It begins in another way than a row: its means are not those of an interval."""
    place = f"at step {event.step}/{event.steps}" if event.steps else ""
    left = [] if math.isnan(event.left_s) else [f"{duration(event.left_s)} left"]
    if event.terms:
        means = [f"{name} {number(value)}" for name, value in event.terms.items()]
        averaged = f"(means of {counted(event.num_means, 'step')} so far)"
        parts = [place, f"epoch {event.epoch:.2f}", *means, averaged, f"{count(event.images_per_s)} images/s"]
    else:
        parts = [place, activity(event)]
    return "  ".join([part for part in parts if part] + left)


def activity(event: Progress) -> str:
    """`generating samples for 35s`, `no step completed for 35s`."""
    name = "no step completed" if event.doing == TRAINING else event.doing
    return f"{name} for {duration(event.doing_s)}"


def memory(num_bytes: float) -> str:
    """As `size`; `memory unknown` for 0, which is what systems that do not report it give."""
    return size(num_bytes) if num_bytes else "memory unknown"


def metrics(event: Evaluated) -> str:
    """`frechet 12.31  coverage 0.7921  (best by frechet so far: runs/x/best.safetensors)`."""
    values = "  ".join(f"{name} {number(value)}" for name, value in event.figures.items())
    return f"{values}  (best by {event.metric} so far: {event.path})" if event.best else values


def amount(done: int, total: int, unit: str) -> str:
    """`12 MB of 34 MB`, `1,200 of 5,620 images`; `1,200 images` if the total is unknown; `""` for nothing to count."""
    if not unit or not (done or total):
        return ""
    if unit in ("byte", "bytes", "B"):
        return f"{size(done)} of {size(total)}" if total > 0 else size(done)
    unit = printable(unit.removesuffix("s") if (total if total > 0 else done) == 1 else unit)
    return f"{done:,} of {total:,} {unit}" if total > 0 else f"{done:,} {unit}"


def next_commands(event: RunFinished) -> list[str]:
    """Return what the user may do next: `to resume:` with its command, `next: gan sample RUN`, `report: FILE`."""
    resume = ["to resume:", f"{COMMAND_INDENT}{event.resume_command}"] if event.status == "stopped" else []
    commands = [f"next: {', or '.join(event.next_commands)}"] if event.next_commands else []
    return [*resume, *commands, *([f"report: {event.report}"] if event.report else [])]
