"""gancli/api/option_types.py, made from the options: `python -m tests.docs.pages` writes it, and test_pages.py holds it to
that."""

from gancli import catalogue
from gancli.config import Field, RunConfig, fields_of
from tests.conftest import ROOT

FILE = ROOT / "gancli" / "api" / "option_types.py"
HEAD = '''"""The options of `gancli.train` with their types, for editors and type checkers. Made from the options by
`python -m tests.docs.pages`. An option of one variant is an error at run time with another."""

import datetime
import os
from typing import Literal, SupportsFloat, SupportsIndex, TypedDict

from gancli.data.dataset_object import MapDataset

Int = int | SupportsIndex  # NumPy's and torch's, too
Float = float | SupportsFloat
Path = str | os.PathLike[str]
Time = str | Float | datetime.timedelta  # "1h30m", or a number of seconds


class TrainOptions(TypedDict, total=False):
    config: Path | None
    resume: Path | None
'''


def source() -> str:
    """The file: a `TypedDict` of all options, those of all variants included."""
    found: dict[str, set[str]] = {}
    fields = [field for field in fields_of(RunConfig) if field.name != "variant"]
    for name in catalogue.built_in():
        fields += fields_of(catalogue.variant_info(name).config_class)
    for field in fields:
        found.setdefault(field.name, set()).add(_type(field))
    found["progress"] = {hint.replace("]", ', "notebook"]') for hint in found["progress"]}  # in Python alone
    return HEAD + "".join(f"    {name}: {_union(hints)}\n" for name, hints in found.items())


def _union(hints: set[str]) -> str:
    if len(hints) == 1:
        return f"{min(hints)} | None"
    choices = {choice for hint in hints for choice in hint.removeprefix("Literal[").removesuffix("]").split(", ")}
    return f"Literal[{', '.join(sorted(choices))}] | None"


def _type(field: Field) -> str:
    if field.choices:
        return "Literal[" + ", ".join(f'"{choice}"' for choice in field.choices) + "]"
    if field.name == "dataset":
        return "Path | MapDataset"
    if field.option.path:
        return "Path"
    if (field.option.metavar or "").startswith("TIME"):
        return "Time"
    return {int: "Int", float: "Float", bool: "bool", str: "str"}[field.kind]
