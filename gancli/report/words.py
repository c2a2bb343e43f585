"""How events and terms are worded for people."""

import re

from gancli.errors import printable
from gancli.events import TRAINING, Evaluated, Progress, RunFinished
from gancli.format import duration, number, size


def doing(event: Progress) -> str:
    """`drawing samples for 35s`, `no step done for 35s`."""
    what = "no step done" if event.doing == TRAINING else event.doing
    return f"{what} for {duration(event.doing_s)}"


def memory(num_bytes: float) -> str:
    """As `size`; `memory unknown` for 0, where the system does not report it."""
    return size(num_bytes) if num_bytes else "memory unknown"


def following(event: RunFinished) -> list[str]:
    """What the user may do next: `to resume:` with its command, `next: gan sample RUN, or …`, `report: FILE`."""
    resuming = ["to resume:", f"  {event.resume_command}"] if event.status == "stopped" else []
    commands = [f"next: {', or '.join(event.next_commands)}"] if event.next_commands else []
    return [*resuming, *commands, *([f"report: {event.report}"] if event.report else [])]


def evaluated(event: Evaluated) -> str:
    """`frechet 12.31  coverage 0.7921  (best by frechet so far: runs/x/best.safetensors)`."""
    figures = "  ".join(f"{name} {number(value)}" for name, value in event.figures.items())
    return f"{figures}  (best by {event.metric} so far: {event.path})" if event.best else figures


def _is_probability(name: str) -> bool:
    return re.fullmatch(r"d\d*_(real|fake)", name) is not None


def label(name: str) -> str:
    """A term's name for people: `d_real` is D(real), `g1_loss` is G1 loss; others as they are, fit for a terminal."""
    if _is_probability(name):
        network, _, what = name.partition("_")
        return f"{network.upper()}({what})"
    if re.fullmatch(r"[dg]\d*_loss", name):
        return f"{name.partition('_')[0].upper()} loss"
    return printable(name)


def amount(done: int, total: int, unit: str) -> str:
    """`12 MB of 34 MB`, `1,200 of 5,620 images`, or `1,200 images` where the total is not known; `""` where nothing is."""
    if not unit or not (done or total):
        return ""
    if unit in ("byte", "bytes", "B"):
        return f"{size(done)} of {size(total)}" if total > 0 else size(done)
    unit = printable(unit.removesuffix("s") if (total if total > 0 else done) == 1 else unit)
    return f"{done:,} of {total:,} {unit}" if total > 0 else f"{done:,} {unit}"
