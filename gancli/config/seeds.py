"""Lists of seeds as users type them: `1,5,9-12`."""

import re
from collections.abc import Iterable

MAX_SEEDS, MAX_SEED = 1_000_000, 2**63 - 1
PART = re.compile(r"\s*([0-9]{1,30})\s*(?:-\s*([0-9]{1,30})\s*)?")


def parse_seeds(text: object) -> tuple[int, ...]:
    """Return the seeds of a list of seeds and ascending ranges, in its order; a seed may be repeated. Raises `ValueError`
    with what the list must be."""
    ranges: list[range] = []
    for part in str(text).split(","):
        match = PART.fullmatch(part)
        if match is None:
            raise ValueError(f"must be seeds and ranges, such as 1,5,9-12; {part.strip()!r} is neither")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ValueError(f"the range {first}-{last} must ascend: {last}-{first}")
        if last > MAX_SEED:
            raise ValueError(f"a seed is at most 2^63-1, and {last} is more")
        ranges.append(range(first, last + 1))
    count = sum(each.stop - each.start for each in ranges)
    if count > MAX_SEEDS:
        raise ValueError(f"must be at most {MAX_SEEDS} seeds, not {count}")
    return tuple(seed for each in ranges for seed in each)


def format_seeds(seeds: Iterable[int]) -> str:
    """Return a list of seeds as `parse_seeds` reads it, with consecutive seeds as ranges."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ",".join(_range(first, last) for first, last in ranges)


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
