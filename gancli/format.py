"""Numbers, counts, sizes and durations as text, each kind in one form wherever it is shown."""

import math
import os
import re

from gancli.errors import UsageError

_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float) -> str:
    """A loss or a metric with four significant digits: `1.203`, `0.6100`, `98.75`, `12346`, `3.20e-06`; whole numbers
    without decimals, and `nan` or `inf`."""
    if not math.isfinite(value):
        return str(value)
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    if value == int(value) or abs(value) >= 999.95:
        return f"{value:.0f}"
    return f"{value:#.4g}"


def measure(value: float, error: float | None = None) -> str:
    """A metric with its standard error, where there is one: `9.720`, `98.75 ±0.11`."""
    return number(value) if error is None else f"{number(value)} ±{error:.2g}"


def count(amount: float) -> str:
    """About three digits and a scale: `41.2k`, `1.20M`, `987`, `9.30`; `?` for NaN or infinity."""
    if not math.isfinite(amount):
        return "?"
    for scale, letter in _SCALES:
        if abs(amount) >= 0.9995 * scale:
            return _three_digits(amount / scale) + letter
    return f"{amount:.0f}" if amount == int(amount) else _three_digits(amount)


def _three_digits(value: float) -> str:
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def size(num_bytes: float) -> str:
    """`512 B`, `612 MB`, `1.4 GB`, in powers of 1000; `?` for NaN or infinity."""
    if not math.isfinite(num_bytes):
        return "?"
    for scale, letter in _SCALES:
        if num_bytes >= 0.9995 * scale:
            scaled = num_bytes / scale
            return f"{scaled:.1f} {letter}B" if letter in "TG" and scaled < 99.95 else f"{scaled:.0f} {letter}B"
    return f"{num_bytes:.0f} B"


def parse_size(text: str) -> int | None:
    """The bytes that a text such as `500M`, `20G` or `1.5 TB` names; None for other texts."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?|\d{1,18}) ?([KMGT]?)B?", text.strip().upper())
    units = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    return None if found is None else int(float(found[1]) * units[found[2]])


def size_variable(name: str) -> int | None:
    """Return the bytes that an environment variable gives, None if it is not set. Raises `UsageError` for another text."""
    text = os.environ.get(name, "").strip()
    if text and parse_size(text) is None:
        raise UsageError(f"{name}={text}: must be a size such as 500M or 20G")
    return parse_size(text) if text else None


def duration(seconds: float) -> str:
    """For reading: `42s`, `3m 20s`, `1h 05m`, `2d 03h`; `?` for NaN or infinity."""
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
