"""Options as Python gives them: by the names, and with the values and errors, of the command line."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gancli import catalogue
from gancli.config import fields_of, suggestions
from gancli.config.option import Field
from gancli.errors import GancliError, UsageError
from gancli.events import Event, Warned

PathLike = str | os.PathLike[str]
VariantLike = PathLike | type[Any]
"""A variant: its name, the path of a file with its code, or its class."""
SHORT = {"n": "n", "d": "dataset", "o": "path", "i": "image"}
_VALUE = r"auto|[A-Z]{2}[\w.]*|[0-9](?:[\w.]*\w)?"  # what can only be an option's value within a sentence
_OPTION = re.compile(rf"(?<![\w/.-])(?:--(no-)?([a-z][a-z0-9-]*)|-([ndoi])(?![\w-]))(?: ({_VALUE})(?![\w.]))?")
_COMMAND = re.compile(r"(\bgan [a-z]+ [^;]*)")  # a command line stays one
_FIRST = re.compile(r"(?:--([a-z][a-z0-9-]*)|-([ndoi])) (?!and |or )(.*?): ")


def in_python(message: str, checkpoint: str = "models") -> str:
    """A message of the command line with the names that arguments have in Python: `--max-time soon: …` becomes
    `max_time=soon: …`. `checkpoint`: the argument for what the command line calls CKPT."""
    message = re.sub(r"^CKPT\b", checkpoint, message)
    start = ""
    if first := _FIRST.match(message):
        start, message = f"{_name(first[1], first[2])}={first[3]}: ", message[first.end() :]

    def named(option: re.Match[str]) -> str:
        name = _name(option[2], option[3])
        value = {"auto": '"auto"', None: "False" if option[1] else None}.get(option[4], option[4])
        return name if value is None else f"{name}={value}"

    words = _COMMAND.split(message)
    words[::2] = [_OPTION.sub(named, part) for part in words[::2]]
    return start + "".join(words)


def _name(long: str | None, short: str | None) -> str:
    return SHORT[short] if short else (long or "").replace("-", "_")


@contextlib.contextmanager
def spoken(checkpoint: str = "models") -> Iterator[None]:
    """Errors that are raised within name the arguments of Python. Also a decorator of what may raise them."""
    try:
        yield
    except GancliError as error:
        error.args = (in_python(str(error), checkpoint), *error.args[1:])
        raise


def event_in_python(event: Event) -> Event:
    """The same for an event that is a warning or a note."""
    if not isinstance(event, Warned):
        return event
    return dataclasses.replace(event, message=type(event.message)(in_python(event.message)))


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; None is not given."""
    return {name: value for name, value in options.items() if value is not None}


def variant(value: object) -> str:
    """The name of a variant, which is given by its name, by the path of a file, or as its class, and made known. Raises
    `UsageError` and `VariantError`."""
    if isinstance(value, type):
        return catalogue.add_class(value)
    return catalogue.check_name(catalogue.resolve(path(value, "variant", "a name, the path of a .py file, or a class")))


def path(value: object, name: str, what: str = "a path") -> str:
    """The path that an argument gives, as text; `what` it may be. Raises `UsageError`."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name}: must be {what}, not {type(value).__name__}")
    return os.fsdecode(value)


def field(config_class: type, name: str) -> Field:
    """One option of a configuration."""
    return next(field for field in fields_of(config_class) if field.name == name)


def check_known(options: Mapping[str, object], known: Mapping[str, Field], of: str) -> None:
    """Raises `UsageError` for a name that is no option."""
    for name in options:
        if name not in known:
            raise UsageError(f"{of} has no option {name}{suggestions.of_name(name, known)}")
