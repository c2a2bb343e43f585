"""Arguments and error messages of the Python interface, and its lock on the random numbers of the process."""

import contextlib
import dataclasses
import os
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from gancli import catalogue
from gancli.config import fields_of
from gancli.config.option import Field
from gancli.errors import GancliError, UsageError
from gancli.events import Event, Warned

PathLike = str | os.PathLike[str]
VariantLike = PathLike | type[Any]
"""A variant: its name, the path of a file with its code, or its class."""
SHORT = {"n": "n", "d": "dataset", "o": "path", "i": "image"}
_VALUE = r"auto|[A-Z]{2}[\w.]*|[0-9](?:[\w.]*\w)?"  # what can only be an option's value within a sentence
_OPTION = re.compile(rf"(?<![\w/.-])(?:--(no-)?([a-z][a-z0-9-]*)|-([ndoi])(?![\w-]))(?: ({_VALUE})(?![\w.]))?")
_COMMAND = re.compile(r"(\bgan [a-z]+ [^;]*)")  # a command line, which is not changed
_FIRST = re.compile(r"(?:--([a-z][a-z0-9-]*)|-([ndoi])) (?!and |or )(.*?): ")

_lock = threading.Lock()
_holder: int | None = None  # the thread that trains or evaluates


@contextmanager
def exclusive() -> Iterator[None]:
    """A context for one training or evaluation at a time: torch's random numbers, threads and settings belong to the whole
    process. Raises `GancliError` if another one has not ended."""
    global _holder
    if not _lock.acquire(blocking=False):
        raise GancliError(
            "another training or evaluation of this process has not ended, and both would use torch's random numbers: "
            "wait for it, close its iterator, or use another process"
        )
    _holder = threading.get_ident()
    try:
        yield
    finally:
        _holder = None
        _lock.release()


def exclusive_or_between_events() -> AbstractContextManager[None]:
    """Return the same context for an evaluation, which the thread that trains may also do between two events of its run."""
    return nullcontext() if _holder == threading.get_ident() else exclusive()


def in_python(message: str, checkpoint: str = "models") -> str:
    """Return a message of the command line with the names of arguments in Python: `--max-time soon: …` becomes
    `max_time=soon: …`. `checkpoint`: the argument that the command line calls CKPT."""
    message = re.sub(r"^CKPT\b", checkpoint, message)
    start = ""
    if first := _FIRST.match(message):
        start, message = f"{_name(first[1], first[2])}={first[3]}: ", message[first.end() :]

    def as_argument(option: re.Match[str]) -> str:
        name = _name(option[2], option[3])
        value = {"auto": '"auto"', None: "False" if option[1] else None}.get(option[4], option[4])
        return name if value is None else f"{name}={value}"

    parts = _COMMAND.split(message)
    parts[::2] = [_OPTION.sub(as_argument, part) for part in parts[::2]]
    return start + "".join(parts)


def _name(long: str | None, short: str | None) -> str:
    return SHORT[short] if short else (long or "").replace("-", "_")


@contextlib.contextmanager
def errors_in_python(checkpoint: str = "models") -> Iterator[None]:
    """A context, and a decorator of functions, in which the messages of errors name arguments of Python."""
    try:
        yield
    except GancliError as error:
        error.args = (in_python(str(error), checkpoint), *error.args[1:])
        raise


def event_in_python(event: Event) -> Event:
    """Return an event; a warning or a note names arguments of Python."""
    if not isinstance(event, Warned):
        return event
    return dataclasses.replace(event, message=type(event.message)(in_python(event.message)))


def given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def variant(value: object) -> str:
    """Return the name of a variant given by its name, by the path of a file, or as its class, and make it known. Raises
    `UsageError` and `VariantError`."""
    if isinstance(value, type):
        return catalogue.add_class(value)
    return catalogue.check_name(catalogue.resolve(path(value, "variant", "a name, the path of a .py file, or a class")))


def path(value: object, name: str, what: str = "a path") -> str:
    """Return the path of an argument as text. Raises `UsageError` with `what` it must be."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name}: must be {what}, not {type(value).__name__}")
    return os.fsdecode(value)


def field(config_class: type, name: str) -> Field:
    """Return one option of a configuration."""
    return next(field for field in fields_of(config_class) if field.name == name)
