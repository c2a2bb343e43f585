"""The time of day, for lines and rows; nothing else reads it. Durations are measured by other clocks."""

from collections.abc import Callable
from datetime import UTC, datetime

Wall = Callable[[], datetime]


def local_time() -> datetime:
    """Return the time of now, with the zone of this machine."""
    return datetime.now(UTC).astimezone()


def utc(now: datetime | None = None) -> str:
    """Format a time (by default now) as in ISO 8601, in UTC: `2026-11-27T11:03:44.123Z`."""
    moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Stamp:
    """The time of day, local, for the beginning of a line: `12:03:44`; `2026-11-27 12:03:44 +0100` on the first one, and
    where the date or the zone has changed since the one before."""

    def __init__(self, wall: Wall = local_time) -> None:
        self._wall = wall
        self._day = ""

    def __call__(self) -> str:
        now = self._wall()
        day = f"{now:%Y-%m-%d}|{now:%z}"
        changed, self._day = day != self._day, day
        return f"{now:%Y-%m-%d %H:%M:%S %z}" if changed else f"{now:%H:%M:%S}"
