"""A first look at the pictures that somebody wants to train on: in colour or grey, how large. Imports no torch."""

import contextlib
import io
from dataclasses import dataclass

from PIL import Image

from gancli.config.paths import expanded
from gancli.data.formats import GREY_MODES, accepted
from gancli.data.listing import opened
from gancli.data.names import STACKED, own_size
from gancli.errors import GancliError
from gancli.events import ignore

COLOURED = frozenset({"shapes", "leaves", "cifar10", "cifar100", "svhn", "stl10", STACKED})
LOOKED_AT = 16
HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Probe:
    """`coloured`: at least one of the pictures looked at is. `side`: of all of them, if they are squares of one size; else
    that of the smallest's shorter side. `square`: whether they are."""

    coloured: bool
    side: int
    square: bool


def probe(dataset: str) -> Probe | None:
    """What the first pictures of a data set are like; None where that cannot be seen, which its opening will tell of."""
    if (side := own_size(dataset)) is not None:
        return Probe(dataset in COLOURED, side, True)
    sizes, coloured = list[tuple[int, int]](), False
    try:
        with opened(expanded(dataset, "--dataset"), ignore, most=LOOKED_AT) as pictures:
            for name, data in pictures.read(list(pictures.found.marks)[:LOOKED_AT], HEAD_BYTES):
                # Whatever Pillow raises for half a picture, or none: others are looked at.
                with contextlib.suppress(Exception), Image.open(_file(data), formats=accepted(name)) as image:
                    sizes.append(image.size)
                    coloured |= image.mode not in GREY_MODES
    except (GancliError, OSError, ValueError):
        return None
    if not sizes:
        return None
    width, height = sizes[0]
    square = len(set(sizes)) == 1 and width == height
    return Probe(coloured, width if square else min(map(min, sizes)), square)


def _file(data: bytes | GancliError) -> io.BytesIO:
    if isinstance(data, GancliError):
        raise data
    return io.BytesIO(data)
