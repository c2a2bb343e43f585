"""Names of temporary files: beside the file that they are for, hidden, never too long, and never the same twice."""

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

PART, OLD = "part", "old"  # a file that is being written, or was when its writer was killed; one that is being replaced
LONGEST_NAME = 255  # bytes, nearly everywhere
SHORT_NAME = 80  # bytes that any name may have: where names must be shorter than 255, temporary ones are no longer
CUT = "~"
_NAME = re.compile(rf"\.(.*)\.[0-9a-f-]{{16,}}\.({PART}|{OLD})", re.DOTALL)


@dataclass(frozen=True)
class TempName:
    """A temporary name taken apart. `target`: the name of the file that it is for, or "" where that was cut."""

    target: str
    kind: str


def temp_sibling(target: Path, kind: str = PART) -> Path:
    """Return a new path in the folder of `target` for a temporary file."""
    tail = f".{secrets.token_hex(8)}.{kind}"
    room = min(LONGEST_NAME, max(SHORT_NAME, len(os.fsencode(target.name)))) - len(tail) - 1
    stem = target.name
    if len(os.fsencode(stem)) > room:
        stem = stem[: room - 1]
        while len(os.fsencode(stem)) >= room:  # cut between two letters: some disks refuse half of one
            stem = stem[:-1]
        stem += CUT
    return target.with_name(f".{stem}{tail}")


def parse_temp_name(name: str) -> TempName | None:
    """Take a name apart that `temp_sibling` made; None for any other name."""
    if (found := _NAME.fullmatch(name)) is None:
        return None
    target, kind = found.groups()
    return TempName("" if target.endswith(CUT) else target, kind)
