"""Quantities and names as people read them."""

import math
import re

from gancli.errors import printable
from gancli.events import TRAINING, Evaluated, Progress, RunFinished

_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def duration(seconds: float) -> str:
    """`42s`, `3m 20s`, `1h 05m`, `2d 03h`; `?` for what is not a number."""
    if not math.isfinite(seconds):
        return "?"
    whole = int(max(0.0, seconds) + 0.5)
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d {h:02d}h"
    if hours:
        return f"{hours}h {m:02d}m"
    return f"{minutes}m {s:02d}s" if minutes else f"{whole}s"


def doing(event: Progress) -> str:
    """`drawing samples for 35s`, `no step done for 35s`."""
    what = "no step done" if event.doing == TRAINING else event.doing
    return f"{what} for {duration(event.doing_s)}"


def count(number: float) -> str:
    """`41.2k`, `1.20M`, `987`, `9.3`: about three digits; `?` for what is not a number."""
    if not math.isfinite(number):
        return "?"
    for scale, letter in _SCALES:
        if abs(number) >= 0.9995 * scale:
            return _three_digits(number / scale) + letter
    return f"{number:.0f}" if number == int(number) else _three_digits(number)


def size(num_bytes: float) -> str:
    """`512 B`, `612 MB`, `1.4 GB` (powers of 1000)."""
    if not math.isfinite(num_bytes):
        return "?"
    for scale, letter in _SCALES:
        if num_bytes >= 0.9995 * scale:
            scaled = num_bytes / scale
            return f"{scaled:.1f} {letter}B" if letter in "TG" and scaled < 99.95 else f"{scaled:.0f} {letter}B"
    return f"{num_bytes:.0f} B"


def memory(num_bytes: float) -> str:
    """As `size`; `memory not told` for 0, where the system does not say what a process holds."""
    return size(num_bytes) if num_bytes else "memory not told"


def _three_digits(number: float) -> str:
    if abs(number) >= 99.95:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 9.995 else f"{number:.2f}"


def term(name: str, value: float) -> str:
    """A term's value: probabilities with two decimals, losses with four, extremes in powers of ten."""
    if not math.isfinite(value):
        return str(value)
    if _is_probability(name) and 0 <= value <= 1:
        return f"{value:.2f}"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"


def following(event: RunFinished) -> list[str]:
    """What the user may do next: `to resume:` with its command, `next: gan sample RUN, or …`, `report: FILE`."""
    resuming = ["to resume:", f"  {event.resume_command}"] if event.status == "stopped" else []
    commands = [f"next: {', or '.join(event.next_commands)}"] if event.next_commands else []
    return [*resuming, *commands, *([f"report: {event.report}"] if event.report else [])]


def evaluated(event: Evaluated) -> str:
    """`frechet 12.31  coverage 0.7921  (best by frechet so far: runs/x/best.safetensors)`."""
    figures = "  ".join(f"{name} {_four_digits(value)}" for name, value in event.figures.items())
    return f"{figures}  (best by {event.metric} so far: {event.path})" if event.best else figures


def _four_digits(value: float) -> str:
    return f"{value:#.4g}".rstrip(".")


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
