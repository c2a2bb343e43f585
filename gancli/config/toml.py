"""Configurations as TOML: the `config.toml` of a run directory, and files for `--config`."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from gancli.config.paths import read_file
from gancli.errors import UsageError, os_problem

Scalars = Mapping[str, object]


CHOSEN = "came_to"
ORIGIN = "origin"  # the table with the origin of the code of a variant from outside; not read for its options
HEADING = "# gan "  # the first line of a run's own file


def dump(run: Scalars, variant: str, own: Scalars, heading: str, came_to: Scalars) -> str:
    """A TOML text: `heading` as a comment, the run's requested values, the variant's in a table named after it, and the
    values chosen for the rest in a table of which `--config` reads only former defaults. None is left out."""
    comment = "# Values chosen for options that were not set, on this machine; only former defaults are read again."
    chosen = ["", comment, f"[{CHOSEN}]"]
    lines = [HEADING + heading, *_rows(run), "", f"[{variant}]", *_rows(own), *chosen, *_rows(came_to)]
    return "\n".join(lines) + "\n"


def dump_table(name: str, comment: str, values: Scalars) -> str:
    """A table as a TOML text, to follow that of `dump`."""
    return "\n".join(["", f"# {comment}", f"[{name}]", *_rows(values), ""])


def _rows(values: Scalars) -> list[str]:
    return [f"{name} = {_literal(value)}" for name, value in values.items() if value is not None]


def _literal(value: object) -> str:
    assert isinstance(value, bool | int | float | str), value
    if isinstance(value, str):
        # A JSON string is a TOML basic string but for DEL; and TOML knows no escaped surrogates, as for an emoji.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    return str(value).lower() if isinstance(value, bool) else repr(value)


def read(path: Path) -> dict[str, object]:
    """The values of a TOML file; a run's own always has `CHOSEN`. Raises `UsageError` that names the file, and the line
    where it is not TOML."""
    try:
        text = read_file(path).decode("utf-8")
    except OSError as error:
        raise UsageError(os_problem(f"--config {path}", "read", error)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {path}: cannot be read (not UTF-8)") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--config {path}: not TOML: {error}") from error
    return {CHOSEN: {}, **table} if text.startswith(HEADING) else table
