"""Options as Python gives them: by the names, and with the values and errors, of the command line."""

import os
from collections.abc import Mapping
from typing import Any

from gancli.config import fields_of, meanings
from gancli.config.option import Field
from gancli.errors import UsageError


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; None is not given."""
    return {name: value for name, value in options.items() if value is not None}


def from_environment(config_class: type) -> dict[str, Any]:
    """What the environment says of a configuration's options (`GAN_DATA`, …), as on the command line. Raises
    `UsageError`."""
    return {
        field.name: _read(field, text)
        for field in fields_of(config_class)
        if field.option.env and (text := os.environ.get(field.option.env))
    }


def _read(field: Field, text: str) -> Any:
    if field.kind is not int:
        return text
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{field.option.env} {text}: must be a whole number") from None


def check_known(options: Mapping[str, object], known: Mapping[str, Field], of: str) -> None:
    """Raises `UsageError` for a name that is no option."""
    for name in options:
        if name not in known:
            raise UsageError(f"{name}: is no option of {of}{meanings.of_name(name, known)}")
