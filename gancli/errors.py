"""Errors that end a command with one line instead of a traceback.

    GancliError            1   something failed: file, data, disk
    ├── UsageError         2   an option or its value is wrong
    ├── DataError          1   a dataset cannot be found, downloaded or read
    ├── CheckpointError    1   a file is not a checkpoint, or is damaged
    ├── VariantError       1   the code of a variant from outside of gan is wrong
    ├── PartlyFailedError  3   some inputs failed, the others are done
    ├── StdoutError        1   stdout cannot be written to
    │   └── ReaderGoneError  141   stdout was closed by the reader; no message (as for a process that SIGPIPE ends)
    ├── DivergedError      4   a loss or weight is NaN or infinite, or a loss beyond ±1e9
    └── StoppedError      75   stopped by a signal or --max-time; resume with --resume auto (EX_TEMPFAIL)

Every message is one line that names the option or file and its value, and says how to fix it.
"""

import difflib
import os
import re
import shlex
import subprocess
from collections.abc import Iterable
from typing import ClassVar

_DIGIT = re.compile(r"\d")


class GancliError(Exception):
    """The root of the errors that end a command with one line on stderr."""

    exit_code: ClassVar[int] = 1


class UsageError(GancliError):
    """An option or its value is wrong; nothing was done."""

    exit_code = 2


class DataError(GancliError):
    """A dataset or an image cannot be found, downloaded or read."""


class CheckpointError(GancliError):
    """A file is not a checkpoint of gan, or is damaged."""


class VariantError(GancliError):
    """The code of a variant cannot be imported, or does not keep to the contract (`gancli.variant`)."""


class PartlyFailedError(GancliError):
    """Some inputs failed; the rest are done."""

    exit_code = 3


class StdoutError(GancliError):
    """stdout cannot be written to."""


class ReaderGoneError(StdoutError):
    """stdout was closed by the reader; no message is printed."""

    exit_code = 141


class DivergedError(GancliError):
    """A loss or a weight became NaN or infinite, or a loss exceeded ±1e9; the last finite state is kept. `step`: when it was
    detected."""

    exit_code = 4

    def __init__(self, message: str, step: int = 0) -> None:
        super().__init__(message)
        self.step = step


class StoppedError(GancliError):
    """The run was stopped before it had a state to save."""

    exit_code = 75


def os_problem(place: object, done: str, error: OSError) -> str:
    """The message `photos: cannot be read (Permission denied)`. `place`: a path, with its option if it has one; `done`:
    `read`, `written`, `listed` or the like."""
    return f"{place}: cannot be {done} ({error.strerror or error or type(error).__name__})"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" (did you mean dcgan?)"` for a word that is similar to a known one, or its beginning; else `""`. Digits must agree:
    `beta2` is not similar to `beta1`."""
    typed = _plain(word)
    names = {_plain(each): each for each in known if each != word}
    alike = [name for name in names if sorted(_DIGIT.findall(name)) == sorted(_DIGIT.findall(typed))]
    near = difflib.get_close_matches(typed, alike, n=1, cutoff=0.7) or [n for n in names if n.startswith(typed)]
    return f" (did you mean {names[near[0]]}?)" if near and len(typed) > 2 else ""


def _plain(word: str) -> str:
    return word.lower().lstrip("-").replace("_", "-")


def shell_quoted(word: str) -> str:
    """A word of a command to copy, quoted for the shell of this system."""
    return subprocess.list2cmdline([word]) if os.name == "nt" else shlex.quote(word)
