"""A run that is killed by SIGKILL at one point of writing a file: `faults` calls it `killed:POINT:COUNT`.

POINT is where in the COUNT-th file that is written: `writing` (some of it is), `written` (not yet flushed to disk),
`flushed` (not yet renamed) or `renamed` (its directory not yet flushed).
"""

import itertools
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gancli.files import atomic

POINTS = ("writing", "written", "flushed", "renamed")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doomed(point: str, count: int) -> Callable[..., None]:
    """`atomic.write`, the `count`-th call of which does not come back."""
    write, fsync, replace, calls = atomic.write, os.fsync, os.replace, itertools.count(1)

    def some(pieces: Iterable[atomic.Piece]) -> Iterator[atomic.Piece]:
        for piece in pieces:
            yield piece[: len(piece) // 2]
            die()

    def last_write(path: Path, pieces: Iterable[atomic.Piece], **options: bool) -> None:
        if next(calls) < count:
            write(path, pieces, **options)
            return

        def dying(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
            def killed(*args: Any) -> None:
                if after:
                    call(*args)
                die()

            return killed

        if point in ("written", "flushed"):
            os.fsync = dying(fsync, after=point == "flushed")
        if point == "renamed":
            os.replace = dying(replace, after=True)
        write(path, some(pieces) if point == "writing" else pieces, **options)

    return last_write
