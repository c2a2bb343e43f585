"""`option()`: one field of a configuration, and the checks that follow from what it says."""

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
    """What a field says of itself beside its type and default. Bounds apply to numbers (`gt` and `lt` exclude)."""

    help: str
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    short: str | None = None
    former: str | None = None  # its name in earlier versions, which is still read
    spelt: str | None = None  # what messages call it, where that is not `--NAME`
    env: str | None = None
    metavar: str | None = None
    panel: str = "Options"
    source: str | None = None  # paper and section, or where else the default comes from
    default_text: str | None = None  # what the help says when the default is worked out at run time
    only_with: str | None = None  # the other option, or `option=value`, without which this one has no effect
    path: bool = False  # of a file or folder, or for `dataset` perhaps
    raw: bool = False  # any text, undecodable bytes too: it is written down nowhere
    switch: bool = False  # of a yes or no: `--name` alone, which cannot be taken back
    reads: Callable[[object], object] | None = (
        None  # of a text with a grammar: raises ValueError saying what it must be
    )

    def bounds(self) -> str:
        """`"at least 1 and below 2"`, or `""` without bounds."""
        words = [("above", self.gt), ("at least", self.ge), ("below", self.lt), ("at most", self.le)]
        return " and ".join(f"{word} {_shown(bound)}" for word, bound in words if bound is not None)

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
    """One option of a configuration class, ready to be shown, parsed or checked.

    `kind` is the plain type (`int`, `float`, `bool`, `str`); `choices` is not empty for a `Literal`; `many`: a tuple of it.
    """

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
        """What messages call it."""
        return self.option.spelt or self.long

    def parse(self, text: Any, origin: str = "") -> Any:
        """The value of a text from the command line or the environment (of a switch a bool, of `many` a list of texts).
        Raises `UsageError`."""
        if self.kind not in (int, float):
            return self.check(text, origin)
        try:
            number = self.kind(text)
        except ValueError:
            raise UsageError(f"{self.flag} {text}{_from(origin)}: must be {self._noun()}") from None
        return self.check(number, origin)

    def check(self, value: Any, origin: str = "") -> Any:
        """`value` as this field's type; `UsageError` naming the option, the value and what is allowed. From Python it may be
        of NumPy or torch, a path, a time."""
        value = _builtin(value)
        if value is None and self.optional:
            return None
        if self.many:
            if not isinstance(value, list | tuple):
                raise UsageError(f"{self.flag} {_told(value)}: must be a list of texts")
            return tuple(dataclasses.replace(self, many=False).check(one, origin) for one in value)
        where = _from(origin)
        if self.option.reads is not None:
            try:
                self.option.reads(value)
            except ValueError as error:
                raise UsageError(f"{self.flag} {_told(value, str)}{where}: {error}") from None
            return value if isinstance(value, str) else str(value)
        if isinstance(value, list | tuple):
            raise UsageError(
                f"{self.flag} {_told(value)}{where}: must be one value; only the command line takes several"
            )
        if self.kind is float and type(value) is int:
            value = float(value)
        if self.kind is int and type(value) is float and value.is_integer():  # 1e4
            value = int(value)
        if type(value) is not self.kind:
            raise UsageError(f"{self.flag} {_told(value)}{where}: must be {self._noun()}")
        if self.choices and value not in self.choices:
            hint = suggestions.of_value(self.long, str(value), self.choices)
            raise UsageError(f"{self.flag} {value}{where}: must be one of {', '.join(self.choices)}{hint}")
        if isinstance(value, int | float) and not (math.isfinite(value) and self.option.allows(value)):
            bounds = self.option.bounds() or "finite"
            raise UsageError(f"{self.flag} {value}{where}: must be {bounds}")
        if self.option.path and value == "":
            raise UsageError(f"{self.flag}{where}: is empty; a path is wanted (the working directory is .)")
        if isinstance(value, str) and not value.isprintable() and not self.option.raw:
            raise UsageError(f"{self.flag} {value!r}{where}: must not hold control characters or undecodable bytes")
        return value

    def _noun(self) -> str:
        if self.option.metavar == "NAME|PATH":
            return "a name or a path; save an array with numpy.savez, and give the path of that file"
        if self.option.path:
            return "a path"
        return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[self.kind]


def _builtin(value: Any) -> Any:
    """A value of Python's own types: numbers of NumPy, torch and others, paths, and times (as `1h30m`) become such."""
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


def _told(value: object, words: Callable[[object], str] = repr) -> str:
    """A value in a message of one line."""
    text = words(value)
    return text if isinstance(value, str) or (len(text) <= 200 and "\n" not in text) else f"<{type(value).__name__}>"


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
    """Options of a configuration as Python gives them, each checked. Raises `UsageError`."""
    fields = {field.name: field for field in fields_of(config_class)}
    return {name: fields[name].check(value) for name, value in values.items()}


def from_environment(config_class: type) -> dict[str, Any]:
    """What environment variables (`GAN_DATA`, …) say of a configuration's options, parsed. Raises `UsageError`."""
    return {
        field.name: field.parse(text, variable)
        for field in fields_of(config_class)
        if (variable := field.option.env) and (text := os.environ.get(variable))
    }


def with_current_names(values: Mapping[str, Value], fields: Iterable[Field]) -> dict[str, Value]:
    """Values by the names of options, where former names are replaced by those of today."""
    names = {field.option.former: field.name for field in fields if field.option.former}
    return {names.get(name, name): value for name, value in values.items()}


def refuse(*given: Given, why: str) -> None:
    """Raises `UsageError` for the first of the options that was given. `why` completes "--flag value: …"."""
    for flag, value in given:
        if value is not None and value is not False:
            raise UsageError(f"{flag if value is True else f'{flag} {value}'}: {why}")
