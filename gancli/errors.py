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

import difflib
import os
import re
import shlex
import subprocess
from collections.abc import Iterable
from typing import ClassVar

from gancli.text import few as few
from gancli.text import printable as printable

_DIGIT = re.compile(r"\d")


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
    """`" (did you mean dcgan?)"` for a word that is nearly a known one, or the beginning of one; else `""`. A number is part
    of a name: `beta2` is not nearly `beta1`."""
    typed = _plain(word)
    names = {_plain(each): each for each in known if each != word}
    alike = [name for name in names if sorted(_DIGIT.findall(name)) == sorted(_DIGIT.findall(typed))]
    near = difflib.get_close_matches(typed, alike, n=1, cutoff=0.7) or [n for n in names if n.startswith(typed)]
    return f" (did you mean {names[near[0]]}?)" if near and len(typed) > 2 else ""


def _plain(word: str) -> str:
    return word.lower().lstrip("-").replace("_", "-")


def shell_quoted(word: str) -> str:
    """A word of a command that people copy, quoted for the shell they have."""
    return subprocess.list2cmdline([word]) if os.name == "nt" else shlex.quote(word)
