"""`option()` declares one field of a configuration; `Field` parses and checks its values."""

import dataclasses
import datetime
import math
import numbers
import operator
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union

from gancli.config import interval, suggestions
from gancli.errors import UsageError

Value = TypeVar("Value")
Given = tuple[str, object]  # a flag and its value; None or False: not given


@dataclass(frozen=True)
class Option:
    """What a field declares in addition to its type and default. Bounds apply to numbers; `gt` and `lt` are exclusive."""

    help: str
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    short: str | None = None
    former: str | None = None  # its name in earlier versions, which is still accepted
    spelt: str | None = None  # its name in messages, if that is not `--NAME`
    env: str | None = None
    metavar: str | None = None
    panel: str = "Options"
    source: str | None = None  # paper and section of the default
    default_text: str | None = None  # the default in the help, if it is computed at run time
    only_with: str | None = None  # the other option, or `option=value`, without which this one has no effect
    path: bool = False  # the value is a path; of `dataset` it may be a name
    raw: bool = False  # undecodable bytes are accepted, as the value is not stored
    switch: bool = False  # a bool without `--no-NAME`
    validate: Callable[[object], object] | None = None  # raises ValueError with what a text must be

    def bounds(self) -> str:
        """`"at least 1 and below 2"`, or `""` without bounds."""
        words = [("above", self.gt), ("at least", self.ge), ("below", self.lt), ("at most", self.le)]
        return " and ".join(f"{word} {_shown(bound)}" for word, bound in words if bound is not None)

    def condition(self) -> str:
        """The flag without which this option has no effect: `"--optimizer adam"`, `"--no-conditional"`, `""` without one."""
        name, _, value = (self.only_with or "").replace("_", "-").partition("=")
        return f"--no-{name}" if value == "False" else f"--{name} {value}".strip() if name else ""

    def allows(self, number: float) -> bool:
        return not (
            (self.gt is not None and not number > self.gt)
            or (self.ge is not None and not number >= self.ge)
            or (self.lt is not None and not number < self.lt)
            or (self.le is not None and not number <= self.le)
        )


def _shown(bound: float) -> str:
    if bound in (2**63, 2**63 - 1):
        return "2^63" if bound == 2**63 else "2^63-1"
    return str(bound) if isinstance(bound, int) and abs(bound) < 10**7 else f"{bound:g}"


def option(default: Any, help: str, **what: Any) -> Any:  # noqa: A002 - the word Typer and argparse use
    """A dataclass field with its `Option` as metadata: `width: int = option(512, "units per layer", ge=1, le=8192)`."""
    return dataclasses.field(default=default, metadata={"option": Option(help=help, **what)})


@dataclass(frozen=True)
class Field:
    """One option of a configuration class. `kind` is the plain type (`int`, `float`, `bool`, `str`); `choices` are those of
    a `Literal`; with `many` the value is a tuple."""

    name: str
    kind: type
    optional: bool
    choices: tuple[str, ...]
    default: Any
    option: Option
    many: bool = False

    @property
    def long(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def flag(self) -> str:
        """The option's name in messages."""
        return self.option.spelt or self.long

    def parse(self, text: Any, origin: str = "") -> Any:
        """Convert the text of a command line or environment variable (a bool for a flag, a list of texts for `many`).
        Raises `UsageError`."""
        if self.kind not in (int, float):
            return self.check(text, origin)
        try:
            number = self.kind(text)
        except ValueError:
            raise UsageError(f"{self.flag} {text}{_from(origin)}: must be {self._noun()}") from None
        return self.check(number, origin)

    def check(self, value: Any, origin: str = "") -> Any:
        """Convert a value from Python or a file to this field's type; NumPy and torch numbers, paths and times are accepted.
        Raises `UsageError` with the option, the value and what is allowed."""
        value = _builtin(value)
        if value is None and self.optional:
            return None
        if self.many and isinstance(value, list | tuple):
            return tuple(dataclasses.replace(self, many=False).check(one, origin) for one in value)
        if self.option.validate is not None:
            try:
                self.option.validate(value)
            except ValueError as error:
                raise self._error(value, origin, str(error)) from None
            return str(value)
        if self.kind is float and type(value) is int:
            value = float(value)
        if self.kind is int and type(value) is float and value.is_integer():  # 1e4
            value = int(value)
        if problem := self._problem(value):
            raise self._error(value, origin, problem)
        return value

    def _problem(self, value: Any) -> str:
        """What is wrong with a value; `""` if it is allowed."""
        if self.many:
            return "must be a list of texts"
        if isinstance(value, list | tuple):
            return "must be one value; only the command line takes several"
        if type(value) is not self.kind:
            return f"must be {self._noun()}"
        if self.choices and value not in self.choices:
            return (
                f"must be one of {', '.join(self.choices)}{suggestions.of_value(self.long, str(value), self.choices)}"
            )
        if isinstance(value, int | float) and not (math.isfinite(value) and self.option.allows(value)):
            return f"must be {self.option.bounds() or 'finite'}"
        if self.option.path and value == "":
            return "is empty; give a path (the working directory is .)"
        if isinstance(value, str) and not value.isprintable() and not self.option.raw:
            return "must not contain control characters or undecodable bytes"
        return ""

    def _error(self, value: Any, origin: str, problem: str) -> UsageError:
        plain = type(value) is self.kind and str(value).isprintable()
        shown = str(value) if plain else repr(value)
        if not isinstance(value, str) and (len(shown) > 200 or "\n" in shown):
            shown = f"<{type(value).__name__}>"
        return UsageError(f"{f'{self.flag} {shown}'.rstrip()}{_from(origin)}: {problem}")

    def _noun(self) -> str:
        if self.option.metavar == "NAME|PATH":
            return "a name or a path; save an array with numpy.savez, and give the path of that file"
        if self.option.path:
            return "a path"
        return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[self.kind]


def _builtin(value: Any) -> Any:
    """Convert NumPy and torch numbers, paths and times (to `1h30m`) to Python's own types."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, datetime.timedelta):
        return interval.duration(value.total_seconds())
    if hasattr(value, "ndim"):  # an array's __index__ is there, and raises
        return value.item() if value.ndim == 0 else value
    if isinstance(value, str):
        return str.__str__(value)
    if hasattr(value, "__index__"):
        return operator.index(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _from(origin: str) -> str:
    return f" (from {origin})" if origin else ""


def fields_of(config_class: type) -> tuple[Field, ...]:
    """The options of a configuration dataclass, in the order they are declared."""
    hints = typing.get_type_hints(config_class)
    return tuple(
        _field(f.name, hints[f.name], f.default, f.metadata["option"])
        for f in dataclasses.fields(config_class)
        if "option" in f.metadata
    )


def _field(name: str, hint: Any, default: Any, declared: Option) -> Field:
    optional = False
    if typing.get_origin(hint) in (Union, types.UnionType):
        (hint,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
        optional = True
    many = typing.get_origin(hint) is tuple
    if many:
        hint, _ = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return Field(name, str, optional, typing.get_args(hint), default, declared)
    assert hint in (int, float, bool, str), f"{name}: {hint} is not a type that options can have"
    return Field(name, hint, optional, (), default, declared, many)


def checked(config_class: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check the values of options given from Python or a file. Raises `UsageError`."""
    fields = {field.name: field for field in fields_of(config_class)}
    return {name: fields[name].check(value) for name, value in values.items()}


def from_environment(config_class: type) -> dict[str, Any]:
    """Parse the environment variables (`GAN_DATA`, …) of a configuration's options. Raises `UsageError`."""
    return {
        field.name: field.parse(text, variable)
        for field in fields_of(config_class)
        if (variable := field.option.env) and (text := os.environ.get(variable))
    }


def with_current_names(values: Mapping[str, Value], fields: Iterable[Field]) -> dict[str, Value]:
    """`values` with former names of options replaced by their current names."""
    names = {field.option.former: field.name for field in fields if field.option.former}
    return {names.get(name, name): value for name, value in values.items()}


def reject_unused_options(*given: Given, why: str) -> None:
    """Raises `UsageError` for the first of the options that was given. `why` completes "--flag value: …"."""
    for flag, value in given:
        if value is not None and value is not False:
            raise UsageError(f"{flag if value is True else f'{flag} {value}'}: {why}")
