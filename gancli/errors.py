"""What users get instead of tracebacks.

    GancliError            1   something failed: file, data, disk
    ├── UsageError         2   an option or its value is wrong
    ├── DataError          1   a data set cannot be had or read
    ├── CheckpointError    1   a file is not a checkpoint, or not a sound one
    ├── PartlyFailedError  3   some of several inputs failed, the others are done
    ├── StdoutError        1   results could not be delivered
    │   └── ReaderGoneError  141   whoever read them has gone; nobody is told (as of a process that SIGPIPE ends)
    ├── DivergedError      4   a loss or a weight is no longer finite
    └── StoppedError      75   stopped by a signal or --max-time; start again with --resume auto (EX_TEMPFAIL)

Every message is one line that names the option or file, the value, and the way out.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterable
from typing import ClassVar

from gancli.text import few as few
from gancli.text import printable as printable


class GancliError(Exception):
    """The root of the errors that end a command with one line on stderr."""

    exit_code: ClassVar[int] = 1


class UsageError(GancliError):
    """An option or its value is wrong; nothing was done."""

    exit_code = 2


class DataError(GancliError):
    """A data set or an image cannot be had or read."""


class CheckpointError(GancliError):
    """A file is not a checkpoint of ours, or not a sound one."""


class PartlyFailedError(GancliError):
    """Some inputs failed; the rest are done."""

    exit_code = 3


class StdoutError(GancliError):
    """stdout does not take what was asked for."""


class ReaderGoneError(StdoutError):
    """Whoever read stdout has gone, and nobody is to be told."""

    exit_code = 141


class DivergedError(GancliError):
    """A loss or a weight became NaN or infinite; the last finite state is kept. `step`: at which that was found."""

    exit_code = 4

    def __init__(self, message: str, step: int = 0) -> None:
        super().__init__(message)
        self.step = step


class StoppedError(GancliError):
    """The run was asked to stop before it had anything to save."""

    exit_code = 75


def os_problem(place: object, done: str, error: OSError) -> str:
    """`photos: cannot be read (Permission denied)`: what the system refused. `place`: a path, with its option if it has one;
    `done`: `read`, `written`, `listed` or the like."""
    return f"{place}: cannot be {done} ({error.strerror or error or type(error).__name__})"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" (did you mean dcgan?)"` for a word that a slip of the fingers made of a known one, or its beginning; else `""`.

    A letter too many, too few, another one or two in each other's place is a slip; two in words of more than five letters,
    three in long ones. Other digits are no slip: `beta2` is not `beta1`.
    """
    typed, best = _plain(word), [(4, "")]
    for each in dict.fromkeys(known):
        name = _plain(each)
        if each == word or sorted(re.findall(r"\d", typed)) != sorted(re.findall(r"\d", name)):
            continue
        allowed = 1 if len(typed) <= 5 else 2 if len(typed) <= 9 else 3
        if min(len(typed), len(name)) > 2 and (slips := _slips(typed, name)) <= allowed:
            best.append((slips, each))
    if best == [(4, "")]:
        best += [(1, each) for each in known if len(typed) > 2 and _plain(each).startswith(typed)]
    nearest = min(best, key=lambda found: found[0])[1]
    return f" (did you mean {nearest}?)" if nearest else ""


def _plain(word: str) -> str:
    return word.lower().lstrip("-").replace("_", "-")


def _slips(typed: str, meant: str) -> int:
    """How many slips of the fingers (Damerau 1964) lie between two words; more than 3 count as 4."""
    if abs(len(typed) - len(meant)) > 3:
        return 4
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, a in enumerate(typed, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(meant, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == meant[j - 2] and typed[i - 2] == b:
                row[j] = min(row[j], older[j - 2] + 1)
    return min(row[-1], 4)


def shell_quoted(word: str) -> str:
    """A word of a command that people copy, quoted for the shell they have."""
    return subprocess.list2cmdline([word]) if os.name == "nt" else shlex.quote(word)
