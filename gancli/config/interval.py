"""Intervals (a number of steps, a time, or whichever comes first) and durations."""

import math
import re
from dataclasses import dataclass

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = "must be a number of steps, a time such as 90s, 10m or 1h, or both as in 1000,10m"
MAX_STEPS = 10**12
MIN_SECONDS, MAX_SECONDS = 1.0, 366 * 86400.0


@dataclass(frozen=True)
class Interval:
    """Every `steps` steps or every `seconds` seconds; of both, whichever comes first. `parse` reads what `str` writes."""

    steps: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        parts = [] if self.steps is None else [str(self.steps)]
        return ",".join(parts if self.seconds is None else [*parts, duration(self.seconds)])


def parse(given: object) -> Interval:
    """The interval in `1000` (steps, also as an int), `10m` (a time) or `1000,10m`. Raises `ValueError` with what it must
    be."""
    if type(given) not in (int, str):
        raise ValueError(_FORM)
    steps: int | None = None
    time: float | None = None
    for part in map(str.strip, str(given).split(",")):
        if re.fullmatch(r"-?[0-9]+", part) and steps is None:
            steps = int(part[:20])
            if not 1 <= steps <= MAX_STEPS:
                raise ValueError(f"must be at least 1 step and at most {MAX_STEPS}")
        elif (found := in_seconds(part)) is not None and time is None:
            time = found
            if not MIN_SECONDS <= time <= MAX_SECONDS:
                raise ValueError("must be at least 1s and at most 366d")
        else:
            raise ValueError(_FORM)
    return Interval(steps, time)


def seconds(given: object) -> float:
    """Seconds in `90s`, `30m`, `3h`, `1h30m`, or a number of them. Raises `ValueError`."""
    try:
        found: float | None = float(str(given))
    except ValueError:
        found = in_seconds(str(given))
    if found is None or not math.isfinite(found):
        raise ValueError("must be a time such as 90s, 30m, 3h or 1h30m, or a number of seconds")
    if found <= 0:
        raise ValueError("must be above 0")
    return found


def in_seconds(text: str) -> float | None:
    """Seconds in `90s`, `30m`, `3h`, `1h30m`, `1.5h`; None for another text."""
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)([smhd])", text[:40])
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def duration(seconds: float) -> str:
    """A time as `in_seconds` reads it: `10m`, `1h30m`, `1m30s`."""
    text, left = "", seconds
    for unit in ("d", "h", "m"):
        whole, left = divmod(left, _UNITS[unit])
        text += f"{whole:.0f}{unit}" if whole else ""
    return text + (f"{left:.10g}s" if left else "")
